"""Writes id tokens that PyJWT signs, one for each algorithm that `bailee_federation::jwt` takes, and their JWKS.

    python3 -m venv v && v/bin/pip install PyJWT==2.15.1 cryptography==50.0.2
    v/bin/python tests/oracles/make_jwt.py crates/federation/tests/it/fixtures/pyjwt.json

The keys are made on the spot and thrown away.
"""

import json
import pathlib
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

NOW = 1_800_000_000
CLAIMS = {
    "iss": "https://id.example/tenant", "sub": "248289761001", "aud": "bailee", "iat": NOW - 10, "exp": NOW + 300,
    "nonce": "n-0S6", "name": "Lin Müller",
}

keys, tokens = [], []
for kid, key, names in [
    ("rsa", rsa.generate_private_key(65537, 3072), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
    ("p256", ec.generate_private_key(ec.SECP256R1()), ["ES256"]),
    ("p384", ec.generate_private_key(ec.SECP384R1()), ["ES384"]),
    ("ed", ed25519.Ed25519PrivateKey.generate(), ["EdDSA"]),
]:
    jwk = get_default_algorithms()[names[0]].to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    keys.append({**jwk, "kid": kid, "use": "sig"})
    tokens += [[name, jwt.encode(CLAIMS, key, algorithm=name, headers={"kid": kid})] for name in names]
# What must not verify: no signature, and an HMAC under the public modulus.
tokens.append(["none", jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "rsa"})])
secret = keys[0]["n"]
tokens.append(["HS256", jwt.encode(CLAIMS, secret, algorithm="HS256", headers={"kid": "rsa"})])
pathlib.Path(sys.argv[1]).write_text(json.dumps({"jwks": {"keys": keys}, "tokens": tokens}, indent=1) + "\n")
