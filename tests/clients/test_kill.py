"""`kill -9` in the middle of mixed load: nothing that was acknowledged is lost, and the trail verifies after each."""

import hashlib
import json
import os
import random
import secrets
import threading

import botocore.exceptions
import oss2

from conftest import s3_client
from kit import BIN, VERIFY, Browser, Server, run
from test_trail import OBJECT, export, s3


def test_killed_in_the_middle_nothing_acknowledged_is_lost(tmp_path):
    rounds = int(os.environ.get("BAILEE_KILL_ROUNDS", "20"))
    seed = int(os.environ.get("BAILEE_SEED", secrets.randbits(32)))
    print("seed", seed)
    dice = random.Random(seed)
    with Server() as s:
        kept, lock = {}, threading.Lock()
        for n in range(rounds):
            stop = threading.Event()

            def put(worker):
                client, i = s3(s), 0
                while not stop.is_set():
                    size = dice.choice([10, 3_000, 40_000, 400_000])
                    key, body = f"r{n}/w{worker}/{i % 7}", secrets.token_bytes(size)
                    with lock:
                        before = kept.pop(key, None)
                    try:
                        client.put_object(Bucket="acme-invoices", Key=key, Body=body)
                    except Exception:
                        return
                    with lock:
                        kept[key] = body
                    i += 1

            def operate():
                try:
                    lin = Browser(s).login_operator(s)
                    while not stop.is_set():
                        lin.get("/desk/tickets/T-1/data/acme-invoices")
                        lin.post("/desk/tickets/T-1/read", **OBJECT)
                except Exception:
                    return

            workers = [threading.Thread(target=put, args=(w,)) for w in range(4)] + [threading.Thread(target=operate)]
            for w in workers:
                w.start()
            stop.wait(dice.uniform(0.2, 1.2))
            s.kill()
            stop.set()
            for w in workers:
                w.join()
            s.start()
            run(VERIFY, export(s.data, str(tmp_path / "k.bundle")))
        client = s3(s)
        for key, body in kept.items():
            assert client.get_object(Bucket="acme-invoices", Key=key)["Body"].read() == body, key
        assert len(kept) > rounds
        s.stop()
        assert "every log gives what was signed" in run(BIN, "doctor", "--data", s.data).stdout
        s.start()


CONTESTED = [f"hammer-{n}" for n in range(3)]
QUOTA = 3_000_000


def test_two_tenants_hammer_the_same_names_and_are_killed(tmp_path):
    """64 clients of two tenants at the same bucket names, versions, quotas, parts; the server dies at random."""
    rounds = max(3, int(os.environ.get("BAILEE_KILL_ROUNDS", "20")) // 4)
    seed = int(os.environ.get("BAILEE_SEED", secrets.randbits(32)))
    print("seed", seed)
    dice = random.Random(seed)
    with Server() as s:
        clients = {alias: s3_client(s, alias) for alias in ("acme", "globex")}
        for alias, client in clients.items():
            for bucket in (f"{alias}-hammer", f"{alias}-full"):
                client.create_bucket(Bucket=bucket)
            on = {"Status": "Enabled"}
            client.put_bucket_versioning(Bucket=f"{alias}-hammer", VersioningConfiguration=on)
            put_quota(s, alias, f"{alias}-full", QUOTA)
        history = {}  # (tenant, key): [(version, body)] as acknowledged, by the one worker who writes it
        over = {alias: 0 for alias in clients}
        acknowledged = 0
        for _ in range(rounds):
            stop = threading.Event()
            strange = []

            def work(alias, number, seed):
                own, dice = s3_client(s, alias), random.Random(seed)
                while not stop.is_set():
                    try:
                        step(own, alias, number, dice)
                    except botocore.exceptions.ClientError as error:
                        said = error.response["Error"]["Code"]
                        over[alias] += said == "QuotaExceeded"
                        usual = ("NoSuchBucket", "BucketAlreadyExists", "BucketNotEmpty", "QuotaExceeded", "NoSuchKey",
                                 "OperationAborted", "NoSuchUpload")
                        if said not in usual:
                            strange.append(f"{alias}: {error}")
                    except AssertionError as error:
                        strange.append(str(error))
                        return
                    except Exception:
                        return  # the server is gone

            def step(own, alias, number, dice):
                kind = dice.randrange(4)
                if kind == 0:
                    # Whoever makes the bucket first has it; nobody ever reads what the other put there.
                    bucket = dice.choice(CONTESTED)
                    own.create_bucket(Bucket=bucket)
                    own.put_object(Bucket=bucket, Key="mine", Body=alias.encode())
                    read = own.get_object(Bucket=bucket, Key="mine")["Body"].read()
                    assert read == alias.encode(), f"{alias} reads {read} in {bucket}"
                    own.delete_object(Bucket=bucket, Key="mine")
                    own.delete_bucket(Bucket=bucket)
                elif kind == 1:
                    key, body = f"w{number}/{dice.randrange(2)}", secrets.token_bytes(dice.choice([10, 20_000, 150_000]))
                    done = own.put_object(Bucket=f"{alias}-hammer", Key=key, Body=body)
                    history.setdefault((alias, key), []).append((done["VersionId"], hashlib.sha256(body).digest()))
                elif kind == 2:
                    key, body = f"q{number}", secrets.token_bytes(dice.choice([1_000, 100_000, 300_000]))
                    own.put_object(Bucket=f"{alias}-full", Key=key, Body=body)
                    if dice.randrange(3) == 0:
                        own.delete_object(Bucket=f"{alias}-full", Key=key)
                else:
                    key, part = f"parts/w{number}", secrets.token_bytes(60_000)
                    upload = own.create_multipart_upload(Bucket=f"{alias}-hammer", Key=key)["UploadId"]
                    tag = own.upload_part(Bucket=f"{alias}-hammer", Key=key, UploadId=upload, PartNumber=7, Body=part)["ETag"]
                    done = own.complete_multipart_upload(Bucket=f"{alias}-hammer", Key=key, UploadId=upload,
                                                         MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 7}]})
                    history.setdefault((alias, key), []).append((done["VersionId"], hashlib.sha256(part).digest()))

            workers = [threading.Thread(target=work, args=(alias, n, dice.randrange(2**32))) for n in range(32) for alias in clients]
            for w in workers:
                w.start()
            stop.wait(dice.uniform(2, 4))
            s.kill()
            stop.set()
            for w in workers:
                w.join()
            assert not strange, strange[:5]
            s.start()
            clients = {alias: s3_client(s, alias) for alias in clients}
            for alias, client in clients.items():
                found = versions(client, f"{alias}-hammer")
                for (whose, key), written in history.items():
                    if whose != alias:
                        continue
                    # The newest first; between two that were acknowledged there is at most one that was not.
                    there = [v for v, _ in reversed(found.get(key, []))]
                    at = [there.index(version) for version, _ in written]
                    assert at == sorted(at), f"{alias} {key}: acknowledged in another order than kept"
                for bucket, all_versions in ((f"{alias}-hammer", found), (f"{alias}-full", versions(client, f"{alias}-full"))):
                    kept = sum(size for list_ in all_versions.values() for _, size in list_)
                    under_way = sum(p["Size"] for u in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
                                    for p in client.list_parts(Bucket=bucket, Key=u["Key"], UploadId=u["UploadId"]).get("Parts", []))
                    counted = stat(s, alias, bucket)
                    assert counted == kept + under_way, f"{bucket}: counts {counted}, has {kept} and {under_way} in parts"
                    assert bucket.endswith("hammer") or counted <= QUOTA
        for (alias, key), written in history.items():
            for version, digest in written[-3:]:
                got = clients[alias].get_object(Bucket=f"{alias}-hammer", Key=key, VersionId=version)["Body"].read()
                assert hashlib.sha256(got).digest() == digest, f"{alias} {key} {version}"
                acknowledged += 1
        assert acknowledged > 60 and all(over.values()), (acknowledged, over)
        for alias in clients:
            run(VERIFY, export(s.data, str(tmp_path / f"{alias}.bundle"), alias))
        scrub = json.loads(run(BIN, "vault", "scrub", "--data", s.data, "--output", "json").stdout.splitlines()[-1])
        assert not scrub.get("damaged"), scrub
        print("acknowledged writes", sum(map(len, history.values())), "refused by quota", over)


def versions(client, bucket):
    """By key, the newest first: (version, size)."""
    out = {}
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for v in page.get("Versions", []):
            out.setdefault(v["Key"], []).append((v["VersionId"], v["Size"]))
    return out


def oss_bucket(server, alias, bucket):
    key_id, secret = server.key(alias)
    return oss2.Bucket(oss2.AuthV4(key_id, secret), server.objects, bucket, region=server.region)


def put_quota(server, alias, bucket, size):
    body = f"<QuotaConfiguration><StorageQuota>{size}</StorageQuota></QuotaConfiguration>"
    done = oss_bucket(server, alias, bucket)._do("PUT", bucket, "", data=body, params={"quota": ""})
    assert done.status == 200


def stat(server, alias, bucket):
    return oss_bucket(server, alias, bucket).get_bucket_stat().storage_size_in_bytes
