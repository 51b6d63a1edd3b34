"""Prints what OpenSSL makes of the messages in `crates/sm4/src/tests.rs`: tags of the chain, and the nonce and tag of the counter that wraps.

    python3 -m venv v && v/bin/pip install cryptography==50.0.2
    v/bin/python tests/oracles/make_sm4.py
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def tag_of(key, nonce, aad, content):
    seal = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    seal.authenticate_additional_data(aad)
    seal.update(content)
    seal.finalize()
    return seal.tag


tag = bytes([7]) * 16
for n in range(5_001):
    tag = tag_of(tag, tag[:3:-1], tag[:n % 17], bytes((i * 7 + n) % 256 for i in range(n)))
    if n in (0, 1_000, 5_000):
        print(n, tag.hex())


def times(x, y):
    """GHASH's product: bit 127 of the number is the power 0."""
    out = 0
    for i in range(127, -1, -1):
        if y >> i & 1:
            out ^= x
        x = x >> 1 ^ (0xe1 << 120) * (x & 1)
    return out


def inverse(x):
    """x to the power 2^128 - 2."""
    out = 1 << 127
    for _ in range(127):
        x = times(x, x)
        out = times(out, x)
    return out


# The first counter of a nonce N of 16 bytes is (N·H + 128)·H. So N follows from the counter that is wanted.
key = bytes([7]) * 16
h = int.from_bytes(Cipher(algorithms.SM4(key), modes.ECB()).encryptor().update(bytes(16)), "big")
first = int.from_bytes(bytes(range(12)) + bytes.fromhex("fffffffa"), "big")
nonce = times(times(first, inverse(h)) ^ 128, inverse(h)).to_bytes(16, "big")
print("wraps", nonce.hex(), tag_of(key, nonce, b"", bytes([9]) * 1_000).hex())
