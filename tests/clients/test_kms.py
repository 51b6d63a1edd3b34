"""KMS by its own SDKs, new and old: life of a key, ciphertexts, data keys, pairs, brought material, aliases, tags, rights."""

import base64
import hashlib
import json
import os
import re
import sqlite3
import threading
from urllib.parse import quote_plus

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkkms.request.v20160120 import (
    CreateKeyRequest, DecryptRequest, DescribeKeyRequest, EncryptRequest, GenerateDataKeyRequest,
)
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from gmssl import sm2 as gm_sm2

import house as h
import sdk
from kit import Browser, rpc, run, wait_until
from sdk import Sdk, make_user, policy, refused

KMS = "2016-01-20"


@pytest.fixture(scope="module")
def kms(shared):
    return Sdk("Kms", shared, shared.key("acme"))


@pytest.fixture(scope="module")
def ram(shared):
    return Sdk("Ram", shared, shared.key("acme"))


def b64(data):
    return base64.b64encode(data).decode()


def raw(text):
    return base64.b64decode(text)


def new(kms, **more):
    return kms("CreateKey", **more)["KeyMetadata"]


def test_a_key_lives_from_its_making_to_its_scheduled_end(kms, shared):
    key = new(kms, Description="invoices", Tags=json.dumps([{"TagKey": "team", "TagValue": "billing"}]))
    id = key["KeyId"]
    assert key["KeySpec"] == "Aliyun_AES_256" and key["KeyUsage"] == "ENCRYPT/DECRYPT" and key["KeyState"] == "Enabled"
    assert key["Origin"] == "Aliyun_KMS" and key["AutomaticRotation"] == "Disabled" and key["Description"] == "invoices"
    assert key["Arn"] == f"acs:kms:{h.REGION}:{shared.tenant('acme')['id']}:key/{id}"
    assert kms("DescribeKey", KeyId=key["Arn"])["KeyMetadata"]["KeyId"] == id
    kms("UpdateKeyDescription", KeyId=id, Description="bills")
    assert kms("DescribeKey", KeyId=id)["KeyMetadata"]["Description"] == "bills"

    blob = kms("Encrypt", KeyId=id, Plaintext=b64(b"secret"))["CiphertextBlob"]
    kms("DisableKey", KeyId=id)
    for action, more in [("Encrypt", {"KeyId": id, "Plaintext": b64(b"x")}), ("Decrypt", {"CiphertextBlob": blob}),
                         ("GenerateDataKey", {"KeyId": id})]:
        with refused("Rejected.Disabled"):
            kms(action, **more)
    kms("EnableKey", KeyId=id)
    assert raw(kms("Decrypt", CiphertextBlob=blob)["Plaintext"]) == b"secret"

    kms("SetDeletionProtection", ProtectedResourceArn=key["Arn"], EnableDeletionProtection=True, DeletionProtectionDescription="in use")
    told = kms("DescribeKey", KeyId=id)["KeyMetadata"]
    assert told["DeletionProtection"] == "Enabled" and told["DeletionProtectionDescription"] == "in use"
    with refused("Rejected.DeletionProtected"):
        kms("ScheduleKeyDeletion", KeyId=id, PendingWindowInDays=7)
    kms("SetDeletionProtection", ProtectedResourceArn=key["Arn"], EnableDeletionProtection=False)
    for days in (6, 367):
        with refused("InvalidParameter"):
            kms("ScheduleKeyDeletion", KeyId=id, PendingWindowInDays=days)
    kms("ScheduleKeyDeletion", KeyId=id, PendingWindowInDays=7)
    told = kms("DescribeKey", KeyId=id)["KeyMetadata"]
    assert told["KeyState"] == "PendingDeletion" and told["DeleteDate"] > told["CreationDate"]
    for action, more in [("Encrypt", {"KeyId": id, "Plaintext": b64(b"x")}), ("Decrypt", {"CiphertextBlob": blob}),
                         ("EnableKey", {"KeyId": id}), ("ScheduleKeyDeletion", {"KeyId": id, "PendingWindowInDays": 7}),
                         ("UpdateKeyDescription", {"KeyId": id, "Description": "x"})]:
        with refused("Rejected.PendingDeletion"):
            kms(action, **more)
    kms("CancelKeyDeletion", KeyId=id)
    assert raw(kms("Decrypt", CiphertextBlob=blob)["Plaintext"]) == b"secret"
    with refused("Rejected.StateModifiedFailed"):
        kms("CancelKeyDeletion", KeyId=id)


def test_what_is_wrong_is_said_by_the_codes_of_the_product(kms):
    nobody = "00000000-0000-4000-8000-000000000000"
    for name in (nobody, "no-such-key", "key/x", f"acs:kms:x:1:key/{nobody}"):
        with refused("Forbidden.KeyNotFound", 404):
            kms("DescribeKey", KeyId=name)
    with refused("Forbidden.KeyNotFound", 404):
        kms("Encrypt", KeyId=nobody, Plaintext=b64(b"x"))
    with refused("Forbidden.AliasNotFound", 404):
        kms("Encrypt", KeyId="alias/nobody", Plaintext=b64(b"x"))
    key = new(kms)["KeyId"]
    for more in ({"Plaintext": "not base64!"}, {"Plaintext": b64(b"x" * 6145)}):
        with refused("InvalidParameter"):
            kms("Encrypt", KeyId=key, **more)
    for blob in ("", "AAAA", b64(b"\x01" + bytes(40)), b64(b"\x02" + bytes(80)), "%%%"):
        with pytest.raises(Exception) as said:
            kms("Decrypt", CiphertextBlob=blob)
        assert getattr(said.value, "code", "") in ("InvalidParameter", "MissingParameter", "Forbidden.KeyNotFound"), said.value
    for spec in ("AES_256", "Aliyun_AES_128", "RSA_1024"):
        with refused("InvalidParameter"):
            new(kms, KeySpec=spec)
    with refused("InvalidParameter"):
        new(kms, KeySpec="EC_P256", KeyUsage="ENCRYPT/DECRYPT")
    with refused("UnsupportedOperation"):
        new(kms, ProtectionLevel="HSM")
    with refused("UnsupportedOperation"):
        kms("Encrypt", KeyId=key, Plaintext=b64(b"x"), DryRun="true")
    with refused("InvalidParameter"):
        kms("GenerateDataKey", KeyId=key, KeySpec="AES_256", NumberOfBytes=5)
    with refused("Forbidden.KeyVersionNotFound", 404):
        kms("DescribeKeyVersion", KeyId=key, KeyVersionId=nobody)


@pytest.mark.parametrize("spec", ["Aliyun_AES_256", "Aliyun_SM4"])
def test_a_ciphertext_opens_in_its_context_only(kms, spec):
    key = new(kms, KeySpec=spec)["KeyId"]
    context = {"object": "invoices/1.pdf", "a": "b c"}
    sealed = kms("Encrypt", KeyId=key, Plaintext=b64(b"42 pumps"), EncryptionContext=context)
    assert sealed["KeyId"] == key
    assert raw(kms("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)["Plaintext"]) == b"42 pumps"
    for other in ({}, {"object": "invoices/1.pdf"}, {**context, "a": "b  c"}, {"objectinvoices/1.pdf": "", "a": "b c"}):
        with refused("InvalidParameter"):
            kms("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=other)
    blob = bytearray(raw(sealed["CiphertextBlob"]))
    for at in (1, 20, 33, 40, 60, len(blob) - 1):
        changed = bytearray(blob)
        changed[at] ^= 1
        with pytest.raises(Exception) as said:
            kms("Decrypt", CiphertextBlob=b64(changed), EncryptionContext=context)
        assert said.value.code in ("InvalidParameter", "Forbidden.KeyNotFound", "Forbidden.KeyVersionNotFound"), at
    # Under another key with the same material's place: the blob names its key, and is bound to it.
    other = new(kms, KeySpec=spec)["KeyId"]
    moved = bytearray(blob)
    moved[1:17] = bytes.fromhex(other.replace("-", ""))
    with refused("Forbidden.KeyVersionNotFound", 404):
        kms("Decrypt", CiphertextBlob=b64(moved), EncryptionContext=context)

    again = kms("ReEncrypt", CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext=context, DestinationKeyId=other,
                DestinationEncryptionContext={"new": "1"})
    assert again["KeyId"] == other
    assert raw(kms("Decrypt", CiphertextBlob=again["CiphertextBlob"], EncryptionContext={"new": "1"})["Plaintext"]) == b"42 pumps"


def test_data_keys_come_in_all_lengths_and_can_be_exported(kms):
    key = new(kms)["KeyId"]
    for more, length in [({}, 32), ({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32), ({"NumberOfBytes": 1024}, 1024), ({"NumberOfBytes": 1}, 1)]:
        made = kms("GenerateDataKey", KeyId=key, **more)
        assert len(raw(made["Plaintext"])) == length
        assert kms("Decrypt", CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    blind = kms("GenerateDataKeyWithoutPlaintext", KeyId=key, EncryptionContext={"x": "y"})
    assert not blind.get("Plaintext") and len(raw(kms("Decrypt", CiphertextBlob=blind["CiphertextBlob"], EncryptionContext={"x": "y"})["Plaintext"])) == 32

    private = rsa.generate_private_key(65537, 2048)
    public = b64(private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    ways = {
        "RSAES_OAEP_SHA_256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
        "RSAES_OAEP_SHA_1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
        "RSAES_PKCS1_V1_5": padding.PKCS1v15(),
    }
    for way, how in ways.items():
        to = {"PublicKeyBlob": public, "WrappingKeySpec": "RSA_2048", "WrappingAlgorithm": way}
        made = kms("GenerateAndExportDataKey", KeyId=key, **to)
        plain = kms("Decrypt", CiphertextBlob=made["CiphertextBlob"])["Plaintext"]
        assert private.decrypt(raw(made["ExportedDataKey"]), how) == raw(plain)
        out = kms("ExportDataKey", CiphertextBlob=made["CiphertextBlob"], **to)["ExportedDataKey"]
        assert private.decrypt(raw(out), how) == raw(plain)
    for wrong in ({"PublicKeyBlob": b64(b"x")}, {"WrappingKeySpec": "EC_SM2"}, {"WrappingKeySpec": "RSA_3072"}, {"WrappingAlgorithm": "ROT13"}):
        with pytest.raises(Exception) as said:
            kms("GenerateAndExportDataKey", KeyId=key, **{**to, **wrong})
        assert said.value.code in ("InvalidParameter", "UnsupportedOperation"), said.value


def test_a_rotated_key_still_decrypts_what_older_versions_encrypted(kms):
    key = new(kms, EnableAutomaticRotation=True, RotationInterval="30d")
    id, first = key["KeyId"], key["PrimaryKeyVersion"]
    assert key["AutomaticRotation"] == "Enabled" and key["RotationInterval"] == "2592000s" and key["NextRotationDate"]
    old = kms("Encrypt", KeyId=id, Plaintext=b64(b"old"))
    second = kms("CreateKeyVersion", KeyId=id)["KeyVersion"]["KeyVersionId"]
    fresh = kms("Encrypt", KeyId=id, Plaintext=b64(b"new"))
    assert (old["KeyVersionId"], fresh["KeyVersionId"]) == (first, second)
    assert raw(kms("Decrypt", CiphertextBlob=old["CiphertextBlob"])["Plaintext"]) == b"old"
    assert raw(kms("Decrypt", CiphertextBlob=fresh["CiphertextBlob"])["Plaintext"]) == b"new"
    assert kms("DescribeKey", KeyId=id)["KeyMetadata"]["PrimaryKeyVersion"] == second
    listed = kms("ListKeyVersions", KeyId=id, PageSize=1, PageNumber=2)
    assert listed["TotalCount"] == 2 and [v["KeyVersionId"] for v in listed["KeyVersions"]["KeyVersion"]] == [second]
    assert kms("DescribeKeyVersion", KeyId=id, KeyVersionId=first)["KeyVersion"]["KeyVersionId"] == first
    kms("UpdateRotationPolicy", KeyId=id, EnableAutomaticRotation=False)
    assert kms("DescribeKey", KeyId=id)["KeyMetadata"]["AutomaticRotation"] == "Disabled"
    for wrong in ("6d", "731d", "x", "10", "-30d", "9999999999999999999d"):
        with refused("InvalidParameter"):
            kms("UpdateRotationPolicy", KeyId=id, EnableAutomaticRotation=True, RotationInterval=wrong)
    kms("UpdateRotationPolicy", KeyId=id, EnableAutomaticRotation=True, RotationInterval="604800s")
    kms("DisableKey", KeyId=id)
    assert kms("DescribeKey", KeyId=id)["KeyMetadata"]["AutomaticRotation"] == "Suspended"


def test_key_pairs_work_with_libraries_that_are_not_ours(kms):
    digest = hashlib.sha256(b"a contract").digest()
    prehashed = utils.Prehashed(hashes.SHA256())
    for spec, algorithm in [("RSA_2048", "RSA_PSS_SHA_256"), ("RSA_2048", "RSA_PKCS1_SHA_256"), ("EC_P256", "ECDSA_SHA_256"), ("EC_P256K", "ECDSA_SHA_256")]:
        key = new(kms, KeySpec=spec, KeyUsage="SIGN/VERIFY")
        assert not key["PrimaryKeyVersion"]
        version = kms("ListKeyVersions", KeyId=key["KeyId"])["KeyVersions"]["KeyVersion"][0]["KeyVersionId"]
        at = {"KeyId": key["KeyId"], "KeyVersionId": version}
        public = serialization.load_pem_public_key(kms("GetPublicKey", **at)["PublicKey"].encode())
        signature = kms("AsymmetricSign", **at, Algorithm=algorithm, Digest=b64(digest))["Value"]
        how = {"RSA_PSS_SHA_256": lambda s, d: public.verify(s, d, padding.PSS(padding.MGF1(hashes.SHA256()), 32), prehashed),
               "RSA_PKCS1_SHA_256": lambda s, d: public.verify(s, d, padding.PKCS1v15(), prehashed),
               "ECDSA_SHA_256": lambda s, d: public.verify(s, d, ec.ECDSA(prehashed))}[algorithm]
        how(raw(signature), digest)
        with pytest.raises(InvalidSignature):
            how(raw(signature), hashlib.sha256(b"another").digest())
        assert kms("AsymmetricVerify", **at, Algorithm=algorithm, Digest=b64(digest), Value=signature)["Value"] is True
        assert kms("AsymmetricVerify", **at, Algorithm=algorithm, Digest=b64(bytes(32)), Value=signature)["Value"] is False
        assert kms("AsymmetricVerify", **at, Algorithm=algorithm, Digest=b64(digest), Value=b64(b"x"))["Value"] is False
        with refused("InvalidParameter"):
            kms("AsymmetricSign", **at, Algorithm=algorithm, Digest=b64(b"short"))
        with refused("UnsupportedOperation"):
            kms("AsymmetricSign", **at, Algorithm="SM2DSA", Digest=b64(digest))
        with refused("UnsupportedOperation"):
            kms("Encrypt", KeyId=key["KeyId"], Plaintext=b64(b"x"))
        # What theirs signs, ours checks: an own key of theirs cannot be asked, so the other way round is by Verify above.

    key = new(kms, KeySpec="RSA_2048")["KeyId"]
    version = kms("ListKeyVersions", KeyId=key)["KeyVersions"]["KeyVersion"][0]["KeyVersionId"]
    at = {"KeyId": key, "KeyVersionId": version}
    public = serialization.load_pem_public_key(kms("GetPublicKey", **at)["PublicKey"].encode())
    theirs = public.encrypt(b"data key", padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    assert raw(kms("AsymmetricDecrypt", **at, Algorithm="RSAES_OAEP_SHA_256", CiphertextBlob=b64(theirs))["Plaintext"]) == b"data key"
    ours = kms("AsymmetricEncrypt", **at, Algorithm="RSAES_OAEP_SHA_1", Plaintext=b64(b"x"))["CiphertextBlob"]
    assert raw(kms("AsymmetricDecrypt", **at, Algorithm="RSAES_OAEP_SHA_1", CiphertextBlob=ours)["Plaintext"]) == b"x"
    with refused("InvalidParameter"):
        kms("AsymmetricDecrypt", **at, Algorithm="RSAES_OAEP_SHA_256", CiphertextBlob=ours)
    with refused("UnsupportedOperation"):
        kms("AsymmetricDecrypt", **at, Algorithm="RSAES_PKCS1_V1_5", CiphertextBlob=b64(public.encrypt(b"x", padding.PKCS1v15())))
    with refused("InvalidParameter"):
        kms("AsymmetricEncrypt", **at, Algorithm="RSAES_OAEP_SHA_256", Plaintext=b64(bytes(200)))
    symmetric = new(kms)["KeyId"]
    moved = kms("ReEncrypt", CiphertextBlob=ours, SourceKeyId=key, SourceKeyVersionId=version,
                SourceEncryptionAlgorithm="RSAES_OAEP_SHA_1", DestinationKeyId=symmetric)["CiphertextBlob"]
    assert raw(kms("Decrypt", CiphertextBlob=moved)["Plaintext"]) == b"x"


def test_sm2_works_with_an_implementation_that_is_not_ours(kms):
    def point(at):
        pem = kms("GetPublicKey", **at)["PublicKey"]
        der = raw("".join(line for line in pem.splitlines() if not line.startswith("-")))
        return der[-64:].hex()

    key = new(kms, KeySpec="EC_SM2", KeyUsage="SIGN/VERIFY")["KeyId"]
    version = kms("ListKeyVersions", KeyId=key)["KeyVersions"]["KeyVersion"][0]["KeyVersionId"]
    at = {"KeyId": key, "KeyVersionId": version}
    theirs = gm_sm2.CryptSM2(private_key="", public_key=point(at), asn1=True)
    e = theirs._sm3_z(b"a contract")
    signature = raw(kms("AsymmetricSign", **at, Algorithm="SM2DSA", Digest=b64(bytes.fromhex(e)))["Value"])
    assert theirs.verify(signature.hex(), bytes.fromhex(e))
    assert not theirs.verify(signature.hex(), hashlib.sha256(b"x").digest())

    key = new(kms, KeySpec="EC_SM2")["KeyId"]
    version = kms("ListKeyVersions", KeyId=key)["KeyVersions"]["KeyVersion"][0]["KeyVersionId"]
    at = {"KeyId": key, "KeyVersionId": version}
    sealed = kms("AsymmetricEncrypt", **at, Algorithm="SM2PKE", Plaintext=b64(b"42 pumps"))["CiphertextBlob"]
    assert raw(kms("AsymmetricDecrypt", **at, Algorithm="SM2PKE", CiphertextBlob=sealed)["Plaintext"]) == b"42 pumps"
    # C1 x and y, C3, C2 of theirs as the DER that the standard writes (GB/T 35276).
    parts = bytes.fromhex(gm_sm2.CryptSM2(private_key="", public_key=point(at), mode=1).encrypt(b"from elsewhere").hex())
    x, y, c3, c2 = parts[:32], parts[32:64], parts[64:96], parts[96:]

    def tlv(tag, body):
        return bytes([tag, len(body)]) + body

    def number(data):
        data = data.lstrip(b"\0") or b"\0"
        return tlv(2, b"\0" + data if data[0] > 127 else data)

    der = tlv(0x30, number(x) + number(y) + tlv(4, c3) + tlv(4, c2))
    assert raw(kms("AsymmetricDecrypt", **at, Algorithm="SM2PKE", CiphertextBlob=b64(der))["Plaintext"]) == b"from elsewhere"


def test_authentication_codes_are_checked_and_belong_to_one_key(kms):
    for spec, length in [("HMAC_SM3", 32), ("HMAC_SHA_224", 28), ("HMAC_SHA_256", 32), ("HMAC_SHA_384", 48), ("HMAC_SHA_512", 64)]:
        key = new(kms, KeySpec=spec)
        assert key["KeyUsage"] == "GENERATE/VERIFY_MAC"
        made = kms("GenerateMac", KeyId=key["KeyId"], Algorithm=spec, Message=b64(b"order 7"))
        assert len(raw(made["Mac"])) == length
        check = lambda message, mac: kms("VerifyMac", KeyId=key["KeyId"], Algorithm=spec, Message=b64(message), Mac=b64(mac))["Value"]
        assert check(b"order 7", raw(made["Mac"])) is True
        assert check(b"order 8", raw(made["Mac"])) is False and check(b"order 7", raw(made["Mac"])[:-1]) is False
        other = "HMAC_SHA_256" if spec != "HMAC_SHA_256" else "HMAC_SM3"
        with refused("UnsupportedOperation"):
            kms("GenerateMac", KeyId=key["KeyId"], Algorithm=other, Message=b64(b"x"))


@pytest.mark.parametrize("spec,length", [("Aliyun_AES_256", 32), ("Aliyun_SM4", 16)])
def test_a_tenant_brings_its_own_material_and_takes_it_away(kms, spec, length):
    key = new(kms, Origin="EXTERNAL", KeySpec=spec)
    id, material = key["KeyId"], bytes(range(length))
    assert key["KeyState"] == "PendingImport"
    with refused("Rejected.PendingImport"):
        kms("Encrypt", KeyId=id, Plaintext=b64(b"x"))

    def bring(what, way="RSAES_OAEP_SHA_256", until=0, key=id, **more):
        told = kms("GetParametersForImport", KeyId=key, WrappingAlgorithm=way, WrappingKeySpec="RSA_2048")
        public = serialization.load_der_public_key(raw(told["PublicKey"]))
        how = {"RSAES_OAEP_SHA_256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
               "RSAES_OAEP_SHA_1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
               "RSAES_PKCS1_V1_5": padding.PKCS1v15()}[way]
        wire = {"KeyId": key, "EncryptedKeyMaterial": b64(public.encrypt(what, how)), "ImportToken": told["ImportToken"], "KeyMaterialExpireUnix": until}
        kms("ImportKeyMaterial", **{**wire, **more})

    with refused("InvalidKeyMaterial", 400):
        bring(material[:-1])
    with refused("InvalidKeyMaterial", 400):
        bring(material, EncryptedKeyMaterial=b64(bytes(256)))
    with refused("InvalidImportToken", 400):
        bring(material, ImportToken=b64(bytes(100)))
    other = new(kms, Origin="EXTERNAL", KeySpec=spec)["KeyId"]
    token = kms("GetParametersForImport", KeyId=other, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")["ImportToken"]
    with refused("InvalidImportToken", 400):
        bring(material, ImportToken=token)
    with refused("InvalidParameter"):
        bring(material, until=1)

    bring(material)
    blob = kms("Encrypt", KeyId=id, Plaintext=b64(b"mine"))["CiphertextBlob"]
    kms("DeleteKeyMaterial", KeyId=id)
    with refused("Rejected.PendingImport"):
        kms("Decrypt", CiphertextBlob=blob)
    # Only the first material for ever: with another, what was encrypted would be lost without a word.
    with refused("InvalidKeyMaterial", 400):
        bring(bytes(length))
    bring(material, "RSAES_PKCS1_V1_5")
    assert raw(kms("Decrypt", CiphertextBlob=blob)["Plaintext"]) == b"mine"
    bring(material, "RSAES_OAEP_SHA_1", until=4102444800)
    assert kms("DescribeKey", KeyId=id)["KeyMetadata"]["MaterialExpireTime"].startswith("2100-01-01")
    with refused("Unsupported.Origin"):
        kms("CreateKeyVersion", KeyId=id)
    with refused("Unsupported.Origin"):
        kms("UpdateRotationPolicy", KeyId=id, EnableAutomaticRotation=True, RotationInterval="7d")
    with refused("Unsupported.Origin"):
        kms("DeleteKeyMaterial", KeyId=new(kms)["KeyId"])
    with refused("Unsupported.Origin"):
        new(kms, Origin="EXTERNAL", KeySpec="RSA_2048")


@pytest.mark.parametrize("length", [1, 32, 255, 4_000, 6_144])
def test_openssl_opens_what_an_sm4_key_sealed(kms, shared, length):
    """The form of docs/kms.md and the cipher itself, by an implementation that is not ours, of the same material."""
    id, material, plain = new(kms, Origin="EXTERNAL", KeySpec="Aliyun_SM4")["KeyId"], bytes(range(16)), os.urandom(length)
    told = kms("GetParametersForImport", KeyId=id, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    wrapped = serialization.load_der_public_key(raw(told["PublicKey"])).encrypt(
        material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    kms("ImportKeyMaterial", KeyId=id, EncryptedKeyMaterial=b64(wrapped), ImportToken=told["ImportToken"], KeyMaterialExpireUnix=0)
    sealed = kms("Encrypt", KeyId=id, Plaintext=b64(plain), EncryptionContext={"a": "b"})
    version, salt, nonce, body, tag = (lambda b: (b[:1], b[1:17], b[17:29], b[29:-16], b[-16:]))(raw(sealed["CiphertextBlob"])[33:])
    assert version == b"\x01" and len(body) == length
    mac = hmac.HMAC(material, hashes.SM3())
    mac.update(b"bailee/sm4-seal/v1\0" + salt)
    opener = Cipher(algorithms.SM4(mac.finalize()[:16]), modes.GCM(nonce, tag)).decryptor()
    for part in (b"bailee/kms-blob/v1", shared.tenant("acme")["id"].encode(), id.encode(), sealed["KeyVersionId"].encode(), b"a", b"b"):
        opener.authenticate_additional_data(len(part).to_bytes(4, "big") + part)
    assert opener.update(body) + opener.finalize() == plain


def test_aliases_name_keys_and_move(kms):
    one, two = new(kms)["KeyId"], new(kms)["KeyId"]
    kms("CreateAlias", AliasName="alias/bills", KeyId=one)
    with refused("AliasAlreadyExists"):
        kms("CreateAlias", AliasName="alias/bills", KeyId=two)
    sealed = kms("Encrypt", KeyId="alias/bills", Plaintext=b64(b"x"))
    assert sealed["KeyId"] == one
    assert kms("ListAliasesByKeyId", KeyId=one)["Aliases"]["Alias"][0]["AliasName"] == "alias/bills"
    kms("UpdateAlias", AliasName="alias/bills", KeyId=two)
    assert kms("Encrypt", KeyId="alias/bills", Plaintext=b64(b"x"))["KeyId"] == two
    assert kms("ListAliasesByKeyId", KeyId=one)["TotalCount"] == 0
    with refused("InvalidParameter"):
        kms("UpdateAlias", AliasName="alias/bills", KeyId=new(kms, KeySpec="Aliyun_SM4")["KeyId"])
    kms("CreateAlias", AliasName="alias/a/b_c-d", KeyId=two)
    listed = kms("ListAliases", PageSize=1, PageNumber=1)
    assert listed["TotalCount"] == 2 and listed["Aliases"]["Alias"][0]["AliasName"] == "alias/a/b_c-d"
    for wrong in ("bills", "alias/", "alias/a b", "alias/" + "x" * 250, "alias/ü"):
        with refused("InvalidParameter"):
            kms("CreateAlias", AliasName=wrong, KeyId=one)
    kms("DeleteAlias", AliasName="alias/bills")
    with refused("Forbidden.AliasNotFound", 404):
        kms("DeleteAlias", AliasName="alias/bills")
    with refused("Forbidden.AliasNotFound", 404):
        kms("Encrypt", KeyId="alias/bills", Plaintext=b64(b"x"))


def test_tags_lists_and_filters(house):
    kms = Sdk("Kms", house, house.key("acme"))
    keys = [new(kms, KeySpec=s)["KeyId"] for s in ("Aliyun_AES_256", "Aliyun_SM4", "EC_P256")]
    kms("DisableKey", KeyId=keys[1])
    listed = kms("ListKeys", PageSize=2, PageNumber=1)
    assert listed["TotalCount"] == 3 and len(listed["Keys"]["Key"]) == 2
    seen = {k["KeyId"] for n in (1, 2) for k in kms("ListKeys", PageSize=2, PageNumber=n)["Keys"]["Key"]}
    assert seen == set(keys)
    found = lambda **filters: [k["KeyId"] for k in kms("ListKeys", Filters=json.dumps([{"Key": k, "Values": v} for k, v in filters.items()]))["Keys"]["Key"]]
    assert found(KeyState=["Disabled"]) == [keys[1]]
    assert set(found(KeySpec=["EC_P256", "Aliyun_SM4"])) == set(keys[1:])
    assert found(KeyState=["Enabled"], KeySpec=["Aliyun_SM4"]) == []
    with refused("InvalidParameter"):
        found(KeyState=["Asleep"])

    tags = lambda key: {t["TagKey"]: t["TagValue"] for t in kms("ListResourceTags", KeyId=key)["Tags"].get("Tag") or []}
    kms("TagResource", KeyId=keys[0], Tags=json.dumps([{"TagKey": "team", "TagValue": "billing"}, {"TagKey": "env", "TagValue": "prod"}]))
    assert tags(keys[0]) == {"team": "billing", "env": "prod"}
    kms("UntagResource", KeyId=keys[0], TagKeys='["env"]')
    assert tags(keys[0]) == {"team": "billing"}
    kms("TagResources", RegionId=h.REGION, ResourceType="key", ResourceId=keys, Tag=[{"Key": "owner", "Value": "li"}])
    assert all(tags(k)["owner"] == "li" for k in keys)
    told = kms("ListTagResources", RegionId=h.REGION, ResourceType="key", ResourceId=keys, Tag=[{"Key": "team", "Value": "billing"}])
    assert {t["ResourceId"] for t in told["TagResources"]["TagResource"]} == {keys[0]}
    kms("UntagResources", RegionId=h.REGION, ResourceType="key", ResourceId=[keys[0]], All=True)
    assert tags(keys[0]) == {}
    with refused("InvalidParameter"):
        kms("TagResource", KeyId=keys[0], Tags=json.dumps([{"TagKey": f"k{n}", "TagValue": ""} for n in range(21)]))
    with refused("InvalidParameter"):
        kms("TagResource", KeyId=keys[0], SecretName="s", Tags=json.dumps([{"TagKey": "a"}]))


def test_the_account_and_passwords(kms):
    kms("OpenKmsService")
    assert kms("DescribeAccountKmsStatus")["AccountStatus"] == "Enabled"
    assert kms("DescribeRegions")["Regions"]["Region"][0]["RegionId"] == h.REGION
    made = kms("GetRandomPassword")["RandomPassword"]
    assert len(made) == 32 and any(c.isdigit() for c in made) and any(c.isupper() for c in made)
    made = kms("GetRandomPassword", PasswordLength="64", ExcludePunctuation="true", ExcludeCharacters="abcABC")["RandomPassword"]
    assert len(made) == 64 and made.isalnum() and not set(made) & set("abcABC")
    with refused("InvalidParameter"):
        kms("GetRandomPassword", PasswordLength="7")


def test_rights_are_asked_by_key_and_context(kms, ram, shared):
    mine, other = new(kms)["KeyId"], new(kms)["KeyId"]
    arn = lambda key: f"acs:kms:*:*:key/{key}"
    keys = make_user(ram, "crypt", own={
        "use-one": policy(action=["kms:Encrypt", "kms:Decrypt"], resource=arn(mine)),
        "not-secret": policy("Deny", ["kms:Decrypt"], "*", StringEquals={"kms:EncryptionContext/class": "secret"}),
    })
    user = Sdk("Kms", shared, keys)
    blob = user("Encrypt", KeyId=mine, Plaintext=b64(b"x"))["CiphertextBlob"]
    assert raw(user("Decrypt", CiphertextBlob=blob)["Plaintext"]) == b"x"
    with refused("Forbidden.NoPermission", 403) as said:
        user("Encrypt", KeyId=other, Plaintext=b64(b"x"))
    assert said.detail["AuthAction"] == "kms:Encrypt" and said.detail["NoPermissionType"] == "ImplicitDeny"
    foreign = kms("Encrypt", KeyId=other, Plaintext=b64(b"x"))["CiphertextBlob"]
    with refused("Forbidden.NoPermission", 403):
        user("Decrypt", CiphertextBlob=foreign)
    with refused("Forbidden.NoPermission", 403):
        user("ReEncrypt", CiphertextBlob=foreign, DestinationKeyId=mine)
    secret = user("Encrypt", KeyId=mine, Plaintext=b64(b"x"), EncryptionContext={"class": "secret"})["CiphertextBlob"]
    with refused("Forbidden.NoPermission", 403) as said:
        user("Decrypt", CiphertextBlob=secret, EncryptionContext={"class": "secret"})
    assert said.detail["NoPermissionType"] == "ExplicitDeny"
    with refused("InvalidParameter"):
        user("Decrypt", CiphertextBlob=secret)
    with refused("Forbidden.NoPermission", 403):
        user("ScheduleKeyDeletion", KeyId=mine, PendingWindowInDays=7)


def test_another_tenants_key_is_not_there(kms, shared):
    key = new(kms)["KeyId"]
    blob = kms("Encrypt", KeyId=key, Plaintext=b64(b"x"))["CiphertextBlob"]
    kms("CreateAlias", AliasName="alias/ours", KeyId=key)
    theirs = Sdk("Kms", shared, shared.key("globex"))
    for action, more in [("DescribeKey", {"KeyId": key}), ("Encrypt", {"KeyId": key, "Plaintext": b64(b"x")}),
                         ("Decrypt", {"CiphertextBlob": blob}), ("DisableKey", {"KeyId": key}), ("ListResourceTags", {"KeyId": key}),
                         ("DescribeKey", {"KeyId": f"acs:kms:{h.REGION}:{shared.tenant('acme')['id']}:key/{key}"})]:
        with refused("Forbidden.KeyNotFound", 404):
            theirs(action, **more)
    with refused("Forbidden.AliasNotFound", 404):
        theirs("Encrypt", KeyId="alias/ours", Plaintext=b64(b"x"))
    assert key not in json.dumps(theirs("ListKeys"))


@pytest.mark.parametrize("config", [{}, {"signature_algorithm": "v2"}, {"signature_algorithm": "ACS3-HMAC-SM3"}, {"signature_version": "v4"}])
def test_every_signature_of_the_sdk_is_taken(shared, config):
    kms = Sdk("Kms", shared, shared.key("acme"), **config)
    key = new(kms)["KeyId"]
    blob = kms("Encrypt", KeyId=key, Plaintext=b64(b"x"), EncryptionContext={"a": "b c/+"})["CiphertextBlob"]
    assert raw(kms("Decrypt", CiphertextBlob=blob, EncryptionContext={"a": "b c/+"})["Plaintext"]) == b"x"


def test_the_old_sdk_encrypts_and_decrypts(shared):
    key_id, secret = shared.key("acme")
    client = AcsClient(key_id, secret, h.REGION)
    client.add_endpoint(h.REGION, "Kms", shared.console.removeprefix("http://"))

    def call(module, kind, **fields):
        request = getattr(module, kind)()
        request.set_protocol_type("http")
        for name, value in fields.items():
            getattr(request, f"set_{name}")(value)
        return json.loads(client.do_action_with_exception(request))

    key = call(CreateKeyRequest, "CreateKeyRequest", Description="old")["KeyMetadata"]["KeyId"]
    assert call(DescribeKeyRequest, "DescribeKeyRequest", KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    blob = call(EncryptRequest, "EncryptRequest", KeyId=key, Plaintext=b64(b"from long ago"))["CiphertextBlob"]
    assert raw(call(DecryptRequest, "DecryptRequest", CiphertextBlob=blob)["Plaintext"]) == b"from long ago"
    assert len(raw(call(GenerateDataKeyRequest, "GenerateDataKeyRequest", KeyId=key)["Plaintext"])) == 32
    with pytest.raises(ServerException) as said:
        call(DescribeKeyRequest, "DescribeKeyRequest", KeyId="nobody")
    assert (said.value.http_status, said.value.error_code) == (404, "Forbidden.KeyNotFound")


def test_keys_survive_a_kill_and_secrets_stand_nowhere(house):
    kms = Sdk("Kms", house, house.key("acme"))
    key = new(kms)["KeyId"]
    secret = "a very secret text 4711"
    blob = kms("Encrypt", KeyId=key, Plaintext=b64(secret.encode()))["CiphertextBlob"]
    data_key = kms("GenerateDataKey", KeyId=key)["Plaintext"]
    threads = [threading.Thread(target=lambda: [kms("Encrypt", KeyId=key, Plaintext=b64(b"x")) for _ in range(20)]) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    house.kill()
    house.start()
    kms = Sdk("Kms", house, house.key("acme"))
    assert raw(kms("Decrypt", CiphertextBlob=blob)["Plaintext"]) == secret.encode()
    house.stop()
    for file in house.data.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for hidden in (secret.encode(), b64(secret.encode()).encode(), data_key.encode(), raw(data_key)):
                assert hidden not in content, file
    house.start()


def test_uses_are_counted_in_the_tenants_log_when_the_house_stops(house):
    kms = Sdk("Kms", house, house.key("acme"))
    key = new(kms)["KeyId"]
    for _ in range(7):
        kms("Encrypt", KeyId=key, Plaintext=b64(b"x"))
    house.stop()
    house.start()
    out = run(h.BIN, "trail", "list", "--tenant", "acme", "--data", str(house.data), "--output", "json").stdout
    assert '"NoteKeyUses"' in out.replace("kms:", ""), out[:500]


def test_the_console_makes_rotates_disables_and_schedules_keys(house):
    browser = Browser(house).login_tenant(house)
    assert "No key here" in browser.get("/console/keys").text
    browser.post("/console/keys", spec="Aliyun_SM4", description="bills <b>2026</b>", days="30", external="")
    assert browser.status == 200 and "<b>2026" not in browser.source, browser.text
    id = re.search(r'<span class="mono">([0-9a-f-]{36})</span>', browser.source).group(1)
    at = f"/console/keys/{id}"
    kms = Sdk("Kms", house, house.key("acme"))
    blob = kms("Encrypt", KeyId=id, Plaintext=b64(b"x"))["CiphertextBlob"]
    browser.get(at).post(at + "/rotate")
    assert kms("ListKeyVersions", KeyId=id)["TotalCount"] == 2
    browser.get(at).post(at + "/rotation", days="6")
    assert browser.status == 400 and "730" in browser.text
    browser.get(at).post(at + "/rotation", days="x")
    assert browser.status == 400
    browser.get(at).post(at + "/disable")
    with refused("Rejected.Disabled"):
        kms("Decrypt", CiphertextBlob=blob)
    browser.get(at).post(at + "/enable")
    assert raw(kms("Decrypt", CiphertextBlob=blob)["Plaintext"]) == b"x"
    browser.get(at).post(at + "/destroy", days="7", confirm="00000000")
    assert browser.status == 400 and kms("DescribeKey", KeyId=id)["KeyMetadata"]["KeyState"] == "Enabled"
    browser.get(at).post(at + "/destroy", days="7", confirm=id[:8])
    assert "Will be destroyed" in browser.get(at).text
    browser.post(at + "/cancel")
    assert kms("DescribeKey", KeyId=id)["KeyMetadata"]["KeyState"] == "Enabled"
    assert id in browser.get("/console/keys?state=Enabled").text and id not in browser.get("/console/keys?state=Disabled").text
    for path in ("/console/keys/none", "/console/keys/00000000-0000-4000-8000-000000000000", at + "/explode"):
        assert browser.get(path).status in (404, 405), path
    other = Browser(house).login_tenant(house, "globex")
    assert other.get(at).status == 404


def test_the_command_line_lists_keys_and_their_uses(house):
    kms = Sdk("Kms", house, house.key("acme"))
    key = new(kms, Description="bills")["KeyId"]
    kms("CreateAlias", AliasName="alias/bills", KeyId=key)
    for _ in range(3):
        kms("Encrypt", KeyId="alias/bills", Plaintext=b64(b"x"))
    house.stop()
    at = ("--data", str(house.data))
    told = [json.loads(line) for line in run(h.BIN, "kms", "list", "--tenant", "acme", *at, "--output", "json").stdout.splitlines()]
    assert [(k["keyId"], k["state"], k["description"]) for k in told] == [(key, "Enabled", "bills")]
    assert run(h.BIN, "kms", "list", "--tenant", "acme", "--state", "Disabled", *at).stdout.strip() == "no key"
    uses = json.loads(run(h.BIN, "kms", "uses", "--tenant", "acme", "--key", "alias/bills", *at, "--output", "json").stdout)
    assert (uses["operation"], uses["times"]) == ("Encrypt", 3)
    assert "Encrypt" in run(h.BIN, "kms", "uses", "--tenant", "acme", "--key", key, *at).stdout
    assert json.loads(run(h.BIN, "kms", "keep", *at, "--output", "json").stdout) == {"changed": 0}
    said = run(h.BIN, "kms", "uses", "--tenant", "acme", "--key", "alias/none", *at, ok=1).stderr
    assert "alias/none" in said and "does not exist" in said
    made = run(h.BIN, "api", "--tenant", "acme", "kms", "CreateKey", "KeySpec=EC_SM2", *at).stdout
    assert json.loads(made)["KeyMetadata"]["KeySpec"] == "EC_SM2"
    assert "not offered at the machine" in run(h.BIN, "api", "--tenant", "acme", "kms", "Encrypt", f"KeyId={key}", *at, ok=1).stderr
    house.start()


def test_nobody_replays_a_use_of_a_key(shared):
    from signing import rpc_v3

    key = rpc(shared, "CreateKey", KMS, ok=True)["KeyMetadata"]["KeyId"]
    host = shared.console.removeprefix("http://")
    path, headers, body = rpc_v3("Encrypt", KMS, shared.key("acme"), host=host, form={"KeyId": key, "Plaintext": b64(b"x")})
    answers = [json.loads(h.request("POST", shared.console + path, body, headers)[2]) for _ in range(2)]
    assert "CiphertextBlob" in answers[0] and answers[1]["Code"] == "SignatureNonceUsed", answers


def test_a_secret_has_versions_and_stages(kms):
    made = kms("CreateSecret", SecretName="db/main", SecretData="first", VersionId="v1", Description="the database")
    assert made["SecretType"] == "Generic" and made["Arn"].endswith(":secret/db/main")
    with refused("Rejected.ResourceExist"):
        kms("CreateSecret", SecretName="db/main", SecretData="x", VersionId="v1")
    get = lambda **more: kms("GetSecretValue", SecretName="db/main", **more)
    assert get()["SecretData"] == "first" and get()["VersionStages"]["VersionStage"] == ["ACSCurrent"]
    assert kms("PutSecretValue", SecretName="db/main", SecretData="second", VersionId="v2")["VersionStages"]["VersionStage"] == ["ACSCurrent"]
    assert (get()["SecretData"], get(VersionStage="ACSPrevious")["SecretData"], get(VersionId="v1")["SecretData"]) == ("second", "first", "first")
    with refused("Rejected.ResourceExist"):
        kms("PutSecretValue", SecretName="db/main", SecretData="x", VersionId="v2")
    kms("PutSecretValue", SecretName="db/main", SecretData="third", VersionId="v3", VersionStages='["canary"]')
    assert get()["SecretData"] == "second" and get(VersionStage="canary")["SecretData"] == "third"
    kms("UpdateSecretVersionStage", SecretName="db/main", VersionStage="ACSCurrent", MoveToVersion="v3")
    assert (get()["SecretData"], get(VersionStage="ACSPrevious")["SecretData"]) == ("third", "second")
    stages = lambda all="false": {v["VersionId"]: v["VersionStages"].get("VersionStage") or [] for v in kms("ListSecretVersionIds", SecretName="db/main", IncludeDeprecated=all)["VersionIds"]["VersionId"]}
    assert stages() == {"v2": ["ACSPrevious"], "v3": ["canary", "ACSCurrent"]} and stages("true")["v1"] == []
    kms("UpdateSecretVersionStage", SecretName="db/main", VersionStage="canary", RemoveFromVersion="v3")
    with refused("Forbidden.ResourceNotFound", 404):
        get(VersionStage="canary")
    for wrong in ({"VersionStage": "ACSCurrent", "RemoveFromVersion": "v3"}, {"VersionStage": "canary"}, {"VersionStage": "ACSPrevious", "RemoveFromVersion": "v3"}):
        with refused("InvalidParameter"):
            kms("UpdateSecretVersionStage", SecretName="db/main", **wrong)
    # Values that nobody names go, the oldest first; those that somebody names stay.
    kms("UpdateSecretVersionStage", SecretName="db/main", VersionStage="keep", MoveToVersion="v1")
    for n in range(12):
        kms("PutSecretValue", SecretName="db/main", SecretData=f"n{n}", VersionId=f"n{n}")
    left = stages("true")
    assert len(left) == 10 and "v1" in left and "n11" in left and "v2" not in left
    kms("UpdateSecret", SecretName="db/main", Description="another")
    told = kms("DescribeSecret", SecretName="db/main")
    assert told["Description"] == "another" and not told.get("EncryptionKeyId") and told["UpdateTime"]


def test_a_secret_lies_under_the_key_that_its_owner_names(kms):
    key = new(kms)["KeyId"]
    kms("CreateAlias", AliasName="alias/secrets", KeyId=key)
    kms("CreateSecret", SecretName="api-key", SecretData=b64(bytes(range(256))), SecretDataType="binary", VersionId="1", EncryptionKeyId="alias/secrets")
    got = kms("GetSecretValue", SecretName="api-key")
    assert raw(got["SecretData"]) == bytes(range(256)) and got["SecretDataType"] == "binary"
    assert kms("DescribeSecret", SecretName="api-key")["EncryptionKeyId"] == key
    kms("CreateKeyVersion", KeyId=key)
    kms("PutSecretValue", SecretName="api-key", SecretData="text now", VersionId="2")
    assert kms("GetSecretValue", SecretName="api-key", VersionId="1")["SecretDataType"] == "binary"
    kms("DisableKey", KeyId=key)
    for action, more in [("GetSecretValue", {}), ("PutSecretValue", {"SecretData": "x", "VersionId": "3"})]:
        with refused("Rejected.Disabled"):
            kms(action, SecretName="api-key", **more)
    kms("EnableKey", KeyId=key)
    assert kms("GetSecretValue", SecretName="api-key")["SecretData"] == "text now"
    with refused("Forbidden.KeyNotFound", 404):
        kms("CreateSecret", SecretName="x", SecretData="x", VersionId="1", EncryptionKeyId="00000000-0000-4000-8000-000000000000")
    with refused("UnsupportedOperation"):
        kms("CreateSecret", SecretName="x", SecretData="x", VersionId="1", EncryptionKeyId=new(kms, KeySpec="EC_P256")["KeyId"])


def test_secrets_are_listed_tagged_deleted_and_called_back(house):
    kms = Sdk("Kms", house, house.key("acme"))
    for name in ("a", "b", "c"):
        kms("CreateSecret", SecretName=name, SecretData=f"of {name}", VersionId="1", Tags=json.dumps([{"TagKey": "team", "TagValue": name}]))
    listed = kms("ListSecrets", PageSize=2, PageNumber=2, FetchTags="true")
    assert listed["TotalCount"] == 3 and [s["SecretName"] for s in listed["SecretList"]["Secret"]] == ["c"]
    assert listed["SecretList"]["Secret"][0]["Tags"]["Tag"] == [{"TagKey": "team", "TagValue": "c"}]
    kms("TagResource", SecretName="a", Tags=json.dumps([{"TagKey": "env", "TagValue": "prod"}]))
    kms("UntagResource", SecretName="a", TagKeys='["team"]')
    assert kms("DescribeSecret", SecretName="a", FetchTags="true")["Tags"]["Tag"] == [{"TagKey": "env", "TagValue": "prod"}]
    many = kms("BatchGetSecretValue", SecretsList=[{"SecretName": "a"}, {"SecretName": "nobody"}, {"SecretName": "b", "VersionId": "1"}])
    assert [v["SecretData"] for v in many["SecretValues"]] == ["of a", "of b"]
    assert [(e["SecretName"], e["Code"], e["HttpStatus"]) for e in many["Errors"]] == [("nobody", "Forbidden.ResourceNotFound", 404)]

    assert kms("DeleteSecret", SecretName="a", RecoveryWindowInDays="7")["PlannedDeleteTime"]
    for action, more in [("GetSecretValue", {}), ("PutSecretValue", {"SecretData": "x", "VersionId": "2"}), ("UpdateSecret", {"Description": "x"})]:
        with refused("Rejected.PendingDeletion"):
            kms(action, SecretName="a", **more)
    kms("RestoreSecret", SecretName="a")
    assert kms("GetSecretValue", SecretName="a")["SecretData"] == "of a"
    with refused("Rejected.StateModifiedFailed"):
        kms("RestoreSecret", SecretName="a")
    kms("DeleteSecret", SecretName="b", ForceDeleteWithoutRecovery="true")
    with refused("Forbidden.ResourceNotFound", 404):
        kms("GetSecretValue", SecretName="b")
    for wrong in ({"SecretName": "with space"}, {"SecretName": "x" * 193}, {"SecretName": "acs/x"}, {"VersionId": "a b"}, {"SecretData": "x" * 30721}, {"SecretDataType": "yaml"},
                  {"SecretDataType": "binary", "SecretData": "!"}, {"ExtendedConfig": "not json"}):
        with pytest.raises(Exception) as said:
            rpc_call = {"SecretName": "x", "SecretData": "x", "VersionId": "1", **wrong}
            status, answer = rpc(house, "CreateSecret", KMS, **rpc_call)
            raise AssertionError((status, answer.get("Code")))
        assert said.value.args[0] == (400, "InvalidParameter"), (wrong, said.value)
    for action, more in [("RotateSecret", {"VersionId": "2"}), ("UpdateSecretRotationPolicy", {"EnableAutomaticRotation": True, "RotationInterval": "7d"})]:
        with refused("UnsupportedOperation"):
            kms(action, SecretName="a", **more)
    for kind in ("Rds", "Redis", "PolarDB", "ECS"):
        with refused("UnsupportedOperation"):
            kms("CreateSecret", SecretName="x", SecretData="x", VersionId="1", SecretType=kind)
    with refused("UnsupportedOperation"):
        kms("CreateSecret", SecretName="x", SecretData="x", VersionId="1", EnableAutomaticRotation=True, RotationInterval="7d")
    with refused("InvalidParameter"):
        kms("CreateSecret", SecretName="x", SecretData="x", VersionId="1", SecretType="ramcredentials")


def test_secrets_are_read_by_right_on_record_and_stand_nowhere_in_clear(house):
    root, ram = Sdk("Kms", house, house.key("acme")), Sdk("Ram", house, house.key("acme"))
    root("CreateSecret", SecretName="db", SecretData="hunter2-4711-secret", VersionId="1")
    root("CreateSecret", SecretName="other", SecretData="x", VersionId="1")
    user = Sdk("Kms", house, make_user(ram, "app", own={"read-db": policy(action="kms:GetSecretValue", resource="acs:kms:*:*:secret/db")}))
    assert user("GetSecretValue", SecretName="db")["SecretData"] == "hunter2-4711-secret"
    for action, more in [("GetSecretValue", {"SecretName": "other"}), ("PutSecretValue", {"SecretName": "db", "SecretData": "x", "VersionId": "2"}),
                         ("BatchGetSecretValue", {"SecretsList": [{"SecretName": "db"}, {"SecretName": "other"}]}), ("DeleteSecret", {"SecretName": "db"})]:
        with refused("Forbidden.NoPermission", 403):
            user(action, **more)
    theirs = Sdk("Kms", house, house.key("globex"))
    with refused("Forbidden.ResourceNotFound", 404):
        theirs("GetSecretValue", SecretName="db")
    house.stop()
    acts = run(h.BIN, "trail", "list", "--all", "--tenant", "acme", "--data", str(house.data), "--output", "json").stdout
    assert "GetSecretValue" in acts and "hunter2" not in acts
    said = run(h.BIN, "api", "--tenant", "acme", "kms", "GetSecretValue", "SecretName=db", "--data", str(house.data), ok=1).stderr
    assert "not offered at the machine" in said
    for file in house.data.rglob("*"):
        if file.is_file():
            assert b"hunter2-4711" not in file.read_bytes(), file
    house.start()


def ram_secret(kms, key, user, **more):
    return kms("CreateSecret", SecretName="$Auto", SecretType="RAMCredentials", VersionId="v1",
               SecretData=json.dumps({"AccessKeys": [{"AccessKeyId": key[0], "AccessKeySecret": key[1]}]}),
               ExtendedConfig={"SecretSubType": "RamUserAccessKey", "UserName": user}, **more)


def current(kms, user):
    """The AccessKey that a reader of the secret holds."""
    data = json.loads(kms("GetSecretValue", SecretName=f"acs/ram/user/{user}")["SecretData"])
    return data["AccessKeyId"], data["AccessKeySecret"]


def due(house, **columns):
    """Lets the time of a rotation come, and a process start that looks for it."""
    house.stop()
    with sqlite3.connect(house.data / "bailee.sqlite") as db:
        for column, table in columns.items():
            assert db.execute(f"UPDATE {table} SET {column} = 1 WHERE {column} IS NOT NULL").rowcount > 0
    house.start()


def works(house, key, user):
    return Sdk("Sts", house, key)("GetCallerIdentity")["Arn"].endswith(f":user/{user}")


def test_a_users_accesskey_rotates_and_the_old_one_ends_at_its_time(house):
    kms, ram = (Sdk(product, house, house.key("acme")) for product in ("Kms", "Ram"))
    first = make_user(ram, "app", "AliyunKMSSecretUserAccess")
    made = ram_secret(kms, first, "app", Tags=json.dumps([{"TagKey": "team", "TagValue": "red"}]))
    name = made["SecretName"]
    assert name == "acs/ram/user/app" and made["Arn"].endswith(":secret/acs/ram/user/app")
    assert (made["SecretType"], made["AutomaticRotation"]) == ("RAMCredentials", "Disabled") and "NextRotationDate" not in made
    # The user reads his own secret with the AccessKey in it, and later with the next one.
    mine = Sdk("Kms", house, first)
    got = mine("GetSecretValue", SecretName=name, FetchExtendedConfig=True)
    assert json.loads(got["ExtendedConfig"]) == {"SecretSubType": "RamUserAccessKey", "UserName": "app", "CustomData": {}}
    assert json.loads(got["SecretData"]).keys() == {"AccessKeyId", "AccessKeySecret", "GenerateTimestamp"}
    assert current(mine, "app") == first
    with refused("Forbidden.NoPermission", 403):
        mine("RotateSecret", SecretName=name, VersionId="v2")

    rotated = kms("RotateSecret", SecretName=name, VersionId="v2")
    assert (rotated["SecretName"], rotated["VersionId"], rotated["Arn"]) == (name, "v2", made["Arn"])
    second = current(mine, "app")
    assert second[0] != first[0] and works(house, second, "app") and works(house, first, "app")
    # Asked for again nothing happens; another rotation has to wait.
    assert kms("RotateSecret", SecretName=name, VersionId="v2")["VersionId"] == "v2" and current(kms, "app") == second
    for action, more in [("RotateSecret", {"VersionId": "v3"}), ("UpdateSecretRotationPolicy", {"EnableAutomaticRotation": True, "RotationInterval": "30d"})]:
        with refused("Rejected.SecretRotating"):
            kms(action, SecretName=name, **more)
    for action, more in [("PutSecretValue", {"SecretData": "x", "VersionId": "v3"}), ("UpdateSecretVersionStage", {"VersionStage": "ACSCurrent", "MoveToVersion": "v1"})]:
        with refused("UnsupportedOperation"):
            kms(action, SecretName=name, **more)
    told = kms("DescribeSecret", SecretName=name)
    assert told["LastRotationDate"] and told["AutomaticRotation"] == "Disabled" and told["SecretType"] == "RAMCredentials"

    due(house, due_at_ms="secret_rotation")
    kms, ram, mine = Sdk("Kms", house, house.key("acme")), Sdk("Ram", house, house.key("acme")), Sdk("Kms", house, second)
    left = lambda: [v["VersionId"] for v in kms("ListSecretVersionIds", SecretName=name, IncludeDeprecated="true")["VersionIds"]["VersionId"]]
    wait_until(lambda: left() == ["v2"])
    assert [k["AccessKeyId"] for k in ram("ListAccessKeys", UserName="app")["AccessKeys"]["AccessKey"]] == [second[0]]
    with refused("InvalidAccessKeyId.NotFound", 404):
        Sdk("Sts", house, first)("GetCallerIdentity")
    assert works(house, second, "app") and current(mine, "app") == second

    # By itself: each month, as it is told.
    for interval in ("5h", "366d", "0d", "-1d", "1w", "x"):
        with refused("InvalidParameter"):
            kms("UpdateSecretRotationPolicy", SecretName=name, EnableAutomaticRotation=True, RotationInterval=interval)
    with refused("MissingParameter"):
        kms("UpdateSecretRotationPolicy", SecretName=name, EnableAutomaticRotation=True)
    kms("UpdateSecretRotationPolicy", SecretName=name, EnableAutomaticRotation=True, RotationInterval="30d")
    told = kms("DescribeSecret", SecretName=name)
    assert (told["AutomaticRotation"], told["RotationInterval"]) == ("Enabled", "2592000s") and told["NextRotationDate"] > told["LastRotationDate"]
    assert kms("GetSecretValue", SecretName=name)["NextRotationDate"] == told["NextRotationDate"]
    due(house, rotate_at_ms="secret")
    kms = Sdk("Kms", house, house.key("acme"))
    wait_until(lambda: current(kms, "app") != second)
    assert works(house, current(kms, "app"), "app") and works(house, second, "app")

    house.stop()
    acts = run(h.BIN, "trail", "list", "--all", "--tenant", "acme", "--data", str(house.data), "--output", "json").stdout
    for key in (first, second):
        assert key[1] not in acts
        for file in house.data.rglob("*"):
            if file.is_file():
                assert key[1].encode() not in file.read_bytes(), file
    for act in ("RotateSecret", "RetireSecretVersion", "CreateAccessKey", "DeleteAccessKey"):
        assert act in acts
    house.start()


def test_who_may_hand_a_users_accesskey_to_a_secret(house):
    root, ram = Sdk("Kms", house, house.key("acme")), Sdk("Ram", house, house.key("acme"))
    app = make_user(ram, "app")
    keeper = Sdk("Kms", house, make_user(ram, "keeper", "AliyunKMSSecretAdminAccess"))
    with refused("Forbidden.NoPermission", 403) as said:
        ram_secret(keeper, app, "app")
    assert "CreateAccessKey" in said.message
    for key, why in [((app[0], app[1][:-1]), "a wrong secret"), (house.key("acme"), "root's"), (house.key("globex"), "another tenant's")]:
        with refused("InvalidParameter") as said:
            ram_secret(root, key, "app")
        assert app[1] not in said.message and "AccessKey of the user" in said.message, why
    for wrong in ({"SecretName": "mine"}, {"ExtendedConfig": {"SecretSubType": "RamUser", "UserName": "app"}}, {"SecretData": "x"},
                  {"RotationInterval": "1h", "EnableAutomaticRotation": True}):
        given = {"SecretName": "$Auto", "SecretType": "RAMCredentials", "VersionId": "v1", "SecretData": "{}",
                 "ExtendedConfig": {"SecretSubType": "RamUserAccessKey", "UserName": "app"}, **wrong}
        with refused("InvalidParameter"):
            root("CreateSecret", **given)
    ram_secret(root, app, "app", EnableAutomaticRotation=True, RotationInterval="168h", Description="the app's")
    with refused("Rejected.ResourceExist"):
        ram_secret(root, app, "app")
    root("CreateSecret", SecretName="db", SecretData="x", VersionId="1", Description="the app's", Tags=json.dumps([{"TagKey": "team", "TagValue": "red"}]))
    find = lambda *filters: [s["SecretName"] for s in root("ListSecrets", Filters=json.dumps([{"Key": k, "Values": v} for k, v in filters]))["SecretList"]["Secret"]]
    assert find(("SecretType", ["RAMCredentials"])) == ["acs/ram/user/app"]
    assert find(("Description", ["the app's"])) == ["acs/ram/user/app", "db"]
    assert find(("TagKey", ["team"]), ("TagValue", ["red"])) == find(("SecretName", ["db", "x"])) == ["db"]
    assert find(("TagKey", ["team"]), ("TagValue", ["blue"])) == []
    for filters in ("{}", '[{"Key":"SecretName","Values":["d*"]}]', '[{"Key":"Creator","Values":["x"]}]'):
        with refused("InvalidParameter"):
            root("ListSecrets", Filters=filters)


def test_a_rotation_survives_kill_9(house):
    """Killed anywhere: who reads the secret holds an AccessKey that works, and the next process ends what was begun."""
    ram = Sdk("Ram", house, house.key("acme"))
    key = make_user(ram, "app")
    ram_secret(Sdk("Kms", house, house.key("acme")), key, "app")
    for n in range(8):
        kms = Sdk("Kms", house, house.key("acme"))

        def rotate():
            try:
                kms("RotateSecret", SecretName="acs/ram/user/app", VersionId=f"r{n}")
            except Exception:
                return  # the server is gone

        worker = threading.Thread(target=rotate)
        worker.start()
        worker.join(0.002 * n)
        house.kill()
        worker.join()
        house.start()
        kms, ram = Sdk("Kms", house, house.key("acme")), Sdk("Ram", house, house.key("acme"))
        assert works(house, current(kms, "app"), "app")
        kms("RotateSecret", SecretName="acs/ram/user/app", VersionId=f"r{n}")
        new = current(kms, "app")
        assert new != key and works(house, new, "app") and works(house, key, "app")
        ram("DeleteAccessKey", UserName="app", UserAccessKeyId=key[0])  # by hand: then the next rotation need not wait
        assert [k["AccessKeyId"] for k in ram("ListAccessKeys", UserName="app")["AccessKeys"]["AccessKey"]] == [new[0]]
        key = new


def on_it(server, effect, who, *actions):
    """A policy of a key or secret."""
    principal = f"acs:ram::{server.tenant('acme')['id']}:{who}"
    return json.dumps({"Version": "1", "Statement": [
        {"Sid": "s", "Effect": effect, "Principal": {"RAM": [principal]}, "Action": list(actions), "Resource": ["*"]}]})


def test_a_keys_own_policy_lets_in_whom_it_names_and_its_no_wins(kms, ram, shared):
    key, other = new(kms)["KeyId"], new(kms)["KeyId"]
    named = Sdk("Kms", shared, make_user(ram, "named"))
    allowed = Sdk("Kms", shared, make_user(ram, "allowed", own={"use-all-keys": policy(action="kms:*")}))
    sealed = kms("Encrypt", KeyId=key, Plaintext=b64(b"42 pumps"))["CiphertextBlob"]

    def opens(who):
        return raw(who("Decrypt", CiphertextBlob=sealed)["Plaintext"]) == b"42 pumps"

    usual = kms("GetKeyPolicy", KeyId=key)["Policy"]
    assert json.loads(usual)["Statement"][0]["Sid"] == "kms default key policy"
    kms("SetKeyPolicy", KeyId=key, Policy=usual, PolicyName="default")
    with refused("Forbidden.NoPermission", 403):
        opens(named)
    kms("SetKeyPolicy", KeyId=key, Policy=on_it(shared, "Allow", "user/named", "kms:Decrypt"))
    assert opens(named) and opens(allowed)
    assert json.loads(kms("GetKeyPolicy", KeyId=key)["Policy"])["Statement"][0]["Action"] == ["kms:Decrypt"]
    for action, more in [("Encrypt", {"KeyId": key, "Plaintext": b64(b"x")}), ("GetKeyPolicy", {"KeyId": key}),
                         ("SetKeyPolicy", {"KeyId": key, "Policy": usual}), ("Encrypt", {"KeyId": other, "Plaintext": b64(b"x")})]:
        with refused("Forbidden.NoPermission", 403):
            named(action, **more)
    kms("SetKeyPolicy", KeyId=key, Policy=on_it(shared, "Deny", "*", "kms:Decrypt"))
    for who in (named, allowed):
        with refused("Forbidden.NoPermission", 403):
            opens(who)
    assert opens(kms)
    other_account = json.loads(usual)
    other_account["Statement"][0]["Principal"]["RAM"].append("acs:ram::1999999999999999:user/x")
    for wrong in ("not json", "{}", on_it(shared, "Allow", "user/named", "oss:GetObject"), usual.replace('["*"]', '["acs:kms:*:*:key/*"]'),
                  json.dumps(other_account), usual.replace('"Sid"', '"Sidd"'), on_it(shared, "Allow", "user/" + "x" * 33_000, "kms:Decrypt")):
        with refused("InvalidParameter"):
            kms("SetKeyPolicy", KeyId=key, Policy=wrong)
    with refused("InvalidParameter"):
        kms("SetKeyPolicy", KeyId=key, Policy=usual, PolicyName="other")
    with refused("Forbidden.KeyNotFound", 404):
        kms("GetKeyPolicy", KeyId="00000000-0000-4000-8000-000000000000")
    theirs = Sdk("Kms", shared, shared.key("globex"))
    with refused("Forbidden.KeyNotFound", 404):
        theirs("SetKeyPolicy", KeyId=key, Policy=usual)
    made = new(kms, Policy=on_it(shared, "Allow", "user/named", "kms:Describe*"))["KeyId"]
    assert named("DescribeKey", KeyId=made)["KeyMetadata"]["KeyId"] == made


def test_a_secrets_own_policy(kms, ram, shared):
    reader = Sdk("Kms", shared, make_user(ram, "policy-reader"))
    read = {"Policy": on_it(shared, "Allow", "user/policy-reader", "kms:GetSecretValue")}
    kms("CreateSecret", SecretName="guarded", SecretData="s3cret", VersionId="1", **read)
    assert reader("GetSecretValue", SecretName="guarded")["SecretData"] == "s3cret"
    kms("CreateSecret", SecretName="unguarded", SecretData="x", VersionId="1")
    assert json.loads(kms("GetSecretPolicy", SecretName="unguarded")["Policy"])["Statement"][0]["Sid"] == "kms default secret policy"
    both = {"SecretsList": [{"SecretName": "guarded"}, {"SecretName": "unguarded"}]}
    with refused("Forbidden.NoPermission", 403):
        reader("BatchGetSecretValue", **both)
    kms("SetSecretPolicy", SecretName="unguarded", **read)
    values = reader("BatchGetSecretValue", **both)["SecretValues"]
    assert [one["SecretData"] for one in values] == ["s3cret", "x"]
    kms("SetSecretPolicy", SecretName="guarded", Policy=on_it(shared, "Deny", "user/policy-reader", "kms:*"))
    with refused("Forbidden.NoPermission", 403):
        reader("GetSecretValue", SecretName="guarded")
    # Made anew under the same name, it has the usual one.
    kms("DeleteSecret", SecretName="guarded", ForceDeleteWithoutRecovery="true")
    kms("CreateSecret", SecretName="guarded", SecretData="new", VersionId="1")
    assert "default secret policy" in kms("GetSecretPolicy", SecretName="guarded")["Policy"]


def test_a_keys_policy_in_the_console(kms, shared):
    key = new(kms)["KeyId"]
    browser = Browser(shared).login_tenant(shared)
    at = f"/console/keys/{key}/policy"
    assert at in browser.get(f"/console/keys/{key}").source
    assert "kms default key policy" in browser.get(at).text and "adds nobody" in browser.text
    wanted = on_it(shared, "Allow", "user/named", "kms:Decrypt")
    assert browser.post(at, document=wanted).status == 200
    assert kms("GetKeyPolicy", KeyId=key)["Policy"] == wanted
    # As large as a policy may be, which is twice as much in a form.
    one = json.loads(wanted)
    one["Statement"][0]["Action"] *= 4_000
    largest = json.dumps(one, separators=(",", ":")).replace("kms:Decrypt", "kms:*")
    assert 32_000 < len(largest) <= 32_768 and len(quote_plus(largest)) > 65_536
    assert browser.get(at).post(at, document=largest).status == 200
    assert kms("GetKeyPolicy", KeyId=key)["Policy"] == largest
    assert largest[:60] in browser.get(at).text, "shown as it can be stored again"
    assert browser.post(at, document=wanted).status == 200
    browser.get(at).post(at, document=wanted.replace("kms:", "oss:"))
    assert browser.status == 400 and "oss:Decrypt" in browser.text
    assert kms("GetKeyPolicy", KeyId=key)["Policy"] == wanted


def test_all_of_it_was_driven():
    served = {name for product, _, name, _ in sdk.operations() if product == "Kms" and sdk.is_served(product, name)}
    # Ours, in no SDK: test_keyhouse.py drives them with its generic client.
    assert not served - sdk.CALLED["Kms"] - sdk.OWN_KMS
