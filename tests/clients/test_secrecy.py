"""Nothing that a tenant stores can be read on the provider's disk."""

import base64
import sqlite3

import conftest
import oss2

import house as h
from sdk import Sdk, make_user, refused, trusting


def everything(house):
    """Every byte of the data folder, by file: database, its log, blobs, settings."""
    return {p: p.read_bytes() for p in house.data.rglob("*") if p.is_file()}


def places(house, words):
    return [(p.name, word) for p, data in everything(house).items() for word in words if word in data]


def test_no_file_holds_what_was_stored(house, chance):
    marker = b"marker-" + chance.randbytes(12).hex().encode()
    note = "note-" + chance.randbytes(12).hex()
    s3, bucket = conftest.s3_client(house), house.bucket("acme")
    key_id, secret = house.key("acme")
    oss = oss2.Bucket(oss2.AuthV4(key_id, secret), house.objects, bucket, region=h.REGION)
    for n, size in enumerate((64, 8_000, 16_000, 17_000, 66_000, 400_000, 3_000_000)):
        body = (marker * (size // len(marker) + 1))[:size]
        s3.put_object(Bucket=bucket, Key=f"s3/{n}", Body=body, Metadata={"note": note}, ContentType=f"text/{note}")
        oss.put_object(f"oss/{n}", body)
        assert s3.get_object(Bucket=bucket, Key=f"s3/{n}")["Body"].read() == body
    words = [
        marker,
        marker.hex().encode(),
        note.encode(),
        secret.encode(),
        b"Invoice 2026-11",
        house.tenant("acme")["root"]["password"].encode(),
        house.operator("op-lin")["password"].encode(),
    ]
    assert len(everything(house)) > 5
    assert places(house, words) == [], "while it runs"
    house.kill()
    assert places(house, words) == [], "after kill -9, with the database's log still there"
    house.start()
    house.stop()
    assert places(house, words) == [], "after a clean stop"
    assert not [w for w in words if w in house.log.read_bytes()], "in its own log"
    house.start()
    assert conftest.s3_client(house).get_object(Bucket=bucket, Key="s3/6")["Body"].read().startswith(marker)


def test_a_deleted_object_can_be_opened_by_nobody(house, chance):
    """Its key goes with the row, at once. The sealed bytes stay until reads that had begun are over (15 minutes)."""
    s3, bucket = conftest.s3_client(house), house.bucket("acme")
    s3.put_object(Bucket=bucket, Key="large", Body=chance.randbytes(2_000_000))
    keys = lambda: sqlite3.connect(house.data / "bailee.sqlite").execute(  # noqa: E731
        "SELECT wrapped_key FROM object WHERE object_key = 'large'").fetchall()
    ((wrapped,),) = keys()
    s3.delete_object(Bucket=bucket, Key="large")
    assert keys() == []
    house.stop()
    # After a clean stop no page and no journal holds the wrapped key.
    assert [p.name for p, data in everything(house).items() if wrapped in data] == []
    house.start()


def test_the_data_folder_is_for_its_owner_only(house):
    root = house.data / "root.key"
    assert root.stat().st_mode & 0o077 == 0
    assert house.data.stat().st_mode & 0o007 == 0, oct(house.data.stat().st_mode)


def test_no_file_holds_a_password_a_key_a_token_or_a_seed(house):
    """Secrets travel in addresses (contract §1); none may be left in a log, the database or the trail."""
    root, account = Sdk("Ram", house, house.key("acme")), house.tenant("acme")["id"]
    first, second = "kestrel-Tango-41-first", "kestrel-Tango-42-second"
    keys = make_user(root, "quiet", "AliyunSTSAssumeRoleAccess")
    root("CreateLoginProfile", UserName="quiet", Password=first)
    own = Sdk("Ram", house, keys)
    own("ChangePassword", OldPassword=first, NewPassword=second)
    with refused("InvalidParameter.OldPassword"):
        own("ChangePassword", OldPassword=first, NewPassword=second)
    seed = root("CreateVirtualMFADevice", VirtualMFADeviceName="quiet")["VirtualMFADevice"]["Base32StringSeed"]
    root("CreateRole", RoleName="quiet", AssumeRolePolicyDocument=trusting(f"acs:ram::{account}:root"))
    root("AttachPolicyToRole", RoleName="quiet", PolicyType="System", PolicyName="ReadOnlyAccess")
    session = Sdk("Sts", house, keys)("AssumeRole", RoleArn=f"acs:ram::{account}:role/quiet", RoleSessionName="s1",
                                      ExternalId="external-Tango-43")["Credentials"]
    mine = (session["AccessKeyId"], session["AccessKeySecret"], session["SecurityToken"])
    # V1 has the token in the address, and so has a presigned request.
    assert Sdk("Ram", house, mine, signature_algorithm="v2")("ListUsers")["Users"]["User"]
    bucket = oss2.Bucket(oss2.StsAuth(*mine), house.objects, house.bucket("acme"))
    assert h.get(bucket.sign_url("GET", "readme.txt", 60))[0] == 200
    assert h.get(bucket.sign_url("GET", "nothing", 60))[0] == 404
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    words = [w.encode() for w in (first, second, keys[1], mine[1], mine[2], seed)] + [raw]
    assert places(house, words) == [], "while it runs"
    bundle = house.export().read_bytes()
    assert b"ChangePassword" in bundle and not [w for w in words if w in bundle], "in the trail, where they can be read"
    house.stop()
    assert places(house, words) == [], "after a clean stop"
    assert not [w for w in words if w in house.log.read_bytes()], "in its own log"
    house.start()
