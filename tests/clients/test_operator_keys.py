"""Temporary keys of an operator's grant, as his own tools use them: AWS CLI, boto3, oss2, rclone; and the desk's object browser."""

import concurrent.futures
import os
import re
import threading
import time

import botocore.exceptions
import oss2
import pytest

import house as h
from conftest import s3_client
from kit import Browser, Server, run

MIB = 1024 * 1024
BUCKET = "acme-invoices"


def put(server, files):
    s3 = s3_client(server)
    for name, data in files.items():
        s3.put_object(Bucket=BUCKET, Key=name, Body=data)


class Scene:
    """An operator with a live grant, and the tenant that gave it."""

    def __init__(self, server):
        self.server = server
        self.lin, self.li = Browser(server).login_operator(server), Browser(server).login_tenant(server)

    def grant(self, name="inv/", covers="prefix", uses=20, minutes=30):
        self.lin.get("/desk/tickets/T-1/ask")
        self.lin.post("/desk/tickets/T-1/ask", covers=covers, bucket=BUCKET, name=name, minutes=str(minutes), uses=str(uses),
                      reason="compare the bytes with our copy", code="customer_initiated_support", reference="", step="send")
        if self.lin.status != 200 or "/desk/requests/" not in self.lin.source:
            raise AssertionError((self.lin.status, self.lin.text))
        self.lin.get("/desk")
        found = re.search(r"/desk/requests/(\d+)/(G-[a-z0-9]{12})", self.lin.source)
        self.tenant, grant = found.groups()
        self.li.get("/console/consent")
        self.li.post(f"/console/consent/{grant}/approve", minutes=str(minutes), uses=str(uses))
        assert self.li.status == 200, self.li.text
        return grant

    def take(self, grant, content="yes", ok=200):
        self.lin.get("/desk")
        self.lin.post(f"/desk/requests/{self.tenant}/{grant}/keys", content=content)
        assert self.lin.status == ok, (self.lin.status, self.lin.text)
        if ok != 200:
            return None
        return Keys(self.server, *(re.search(rf'id="{name}">([^<]+)<', self.lin.source).group(1) for name in ("access-key", "secret", "token")))

    def end(self, how, grant):
        self.li.get("/console/consent")
        self.li.post(f"/console/consent/{grant}/{how}")
        assert self.li.status == 200, self.li.text

    def cut(self, keys):
        self.li.get("/console/sessions")
        assert keys.id in self.li.source
        self.li.post(f"/console/sessions/{keys.id}/cut")
        assert self.li.status == 200, self.li.text

    def used(self, grant):
        self.li.get(f"/console/consent/{grant}")
        return int(re.search(r"Used (\d+)", self.li.text).group(1))


class Keys:
    def __init__(self, server, id, secret, token):
        self.server, self.id, self.secret, self.token = server, id, secret, token

    def s3(self, **config):
        import boto3
        import botocore.config
        config.setdefault("retries", {"max_attempts": 1})
        return boto3.client("s3", endpoint_url=self.server.objects, region_name=h.REGION, aws_access_key_id=self.id,
                            aws_secret_access_key=self.secret, aws_session_token=self.token,
                            config=botocore.config.Config(s3={"addressing_style": "path"}, **config))

    def oss(self, version="v4"):
        auth = oss2.StsAuth(self.id, self.secret, self.token, auth_version=version)
        return oss2.Bucket(auth, self.server.objects, BUCKET, region=h.REGION)

    def aws(self, *args, ok=0, cwd=None):
        env = {"PATH": os.environ["PATH"], "HOME": str(cwd or "/nonexistent"), "AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret,
               "AWS_SESSION_TOKEN": self.token, "AWS_MAX_ATTEMPTS": "1"}
        aws = os.path.join(os.path.dirname(os.sys.executable), "aws")
        return run(os.sys.executable, aws, "--endpoint-url", self.server.objects, "--region", h.REGION, *args, ok=ok, env=env, cwd=cwd)

    def rclone(self, *args, ok=0, home):
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "RCLONE_CONFIG": "/dev/null", "RCLONE_S3_PROVIDER": "Other",
               "RCLONE_S3_ENDPOINT": self.server.objects, "RCLONE_S3_REGION": h.REGION, "RCLONE_S3_ACCESS_KEY_ID": self.id,
               "RCLONE_S3_SECRET_ACCESS_KEY": self.secret, "RCLONE_S3_SESSION_TOKEN": self.token, "RCLONE_LOW_LEVEL_RETRIES": "1", "RCLONE_RETRIES": "1"}
        return run("rclone", *args, ok=ok, env=env)


def no(call, *args, **kw):
    """The error of a call that must be refused."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(*args, **kw)
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403, answer
    return answer["Error"].get("Message", "")


def verified(server, tmp_path):
    bundle = server.export()
    done = h.verify(bundle)
    return bundle, done.stdout


def test_his_own_tools_list_and_read_and_do_nothing_else(tmp_path, chance):
    files = {"inv/1.txt": b"one", "inv/sub/2.txt": b"two", "inv/large.bin": chance.randbytes(20 * MIB + 7), "inv/empty": b"",
             "invoices-secret": b"no", "inv": b"no", "plan": b"no", "inv/\u53d1 \u7968+%2F.pdf": b"odd"}
    with Server() as s:
        put(s, files)
        scene = Scene(s)
        grant = scene.grant()
        keys = scene.take(grant)
        assert keys.id.startswith("GRT.") and keys.secret not in scene.li.get("/console/sessions").source
        granted = {name: data for name, data in files.items() if name.startswith("inv/")}

        # AWS CLI: in parts at once, as a folder, byte for byte.
        listed = keys.aws("s3", "ls", f"s3://{BUCKET}/inv/", cwd=tmp_path).stdout
        assert "1.txt" in listed and "PRE sub/" in listed and "secret" not in listed
        keys.aws("s3", "cp", "--recursive", f"s3://{BUCKET}/inv/", str(tmp_path / "aws"), cwd=tmp_path)
        for name, data in granted.items():
            assert (tmp_path / "aws" / name.removeprefix("inv/")).read_bytes() == data, name
        assert scene.used(grant) == len(granted)

        # rclone and oss2, V1 and V4: no further use for what these keys opened before.
        keys.rclone("copy", f":s3:{BUCKET}/inv", str(tmp_path / "rclone"), home=tmp_path)
        for name, data in granted.items():
            assert (tmp_path / "rclone" / name.removeprefix("inv/")).read_bytes() == data, name
        for version in ("v1", "v4"):
            bucket = keys.oss(version)
            for name, data in granted.items():
                assert bucket.get_object(name).read() == data, (version, name)
            assert sorted(x.key for x in oss2.ObjectIterator(bucket, prefix="inv/")) == sorted(granted)
            assert [x.key for x in oss2.ObjectIteratorV2(bucket, prefix="inv/", delimiter="/") if x.is_prefix()] == ["inv/sub/"]
            assert bucket.head_object("inv/1.txt").content_length == 3
            assert bucket.get_object("inv/large.bin", byte_range=(MIB, MIB + 9)).read() == files["inv/large.bin"][MIB:MIB + 10]
            for refused in (lambda: bucket.get_object("plan"), lambda: bucket.put_object("inv/new", b"x"), lambda: bucket.delete_object("inv/1.txt"),
                            lambda: bucket.get_bucket_acl(), lambda: bucket.list_objects("in"), lambda: bucket.list_objects()):
                with pytest.raises(oss2.exceptions.ServerError) as error:
                    refused()
                assert error.value.status == 403 and error.value.code == "AccessDenied", error.value
        assert scene.used(grant) == len(granted), "no further use for what these keys opened before"

        # boto3: what is refused says what the grant covers.
        s3 = keys.s3()
        assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == h.REGION
        assert s3.get_object_tagging(Bucket=BUCKET, Key="inv/1.txt")["TagSet"] == []
        assert s3.get_object(Bucket=BUCKET, Key="inv/large.bin", Range="bytes=-5")["Body"].read() == files["inv/large.bin"][-5:]
        head = s3.head_object(Bucket=BUCKET, Key="inv/1.txt")
        assert "f97c5d29" not in head["ETag"] and len(s3.list_object_versions(Bucket=BUCKET, Prefix="inv/")["Versions"]) == len(granted)
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.get_object(Bucket=BUCKET, Key="inv/1.txt", IfNoneMatch=head["ETag"])
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
        b = {"Bucket": BUCKET}
        for call in [lambda: s3.get_object(**b, Key="plan"), lambda: s3.get_object(**b, Key="inv"),
                     lambda: s3.put_object(**b, Key="inv/x", Body=b"x"), lambda: s3.delete_object(**b, Key="inv/1.txt"),
                     lambda: s3.copy_object(**b, Key="inv/y", CopySource=f"{BUCKET}/inv/1.txt"), lambda: s3.list_objects_v2(**b), lambda: s3.list_objects(**b, Prefix="in"),
                     lambda: s3.list_object_versions(**b), lambda: s3.list_buckets(), lambda: s3.get_bucket_policy(**b), lambda: s3.put_bucket_acl(**b, ACL="private"),
                     lambda: s3.create_multipart_upload(**b, Key="inv/z"), lambda: s3.get_object_acl(**b, Key="inv/1.txt"), lambda: s3.create_bucket(Bucket="acme-new-one"),
                     lambda: s3.delete_objects(**b, Delete={"Objects": [{"Key": "inv/1.txt"}]}),
                     lambda: s3.get_object(Bucket=s.bucket("globex"), Key="inv/1.txt"), lambda: s3.list_objects_v2(Bucket=s.bucket("globex"), Prefix="inv/")]:
            assert f"`{BUCKET}/inv/*` and nothing else" in no(call)
        assert no(s3.head_object, **b, Key="plan") is not None
        for walk in ("inv/../plan", "inv/%2e%2e/plan", "inv/..%2Fplan"):
            with pytest.raises(botocore.exceptions.ClientError) as error:
                s3.get_object(**b, Key=walk)
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404), walk
        assert s3_client(s).get_object(**b, Key="inv/1.txt")["Body"].read() == b"one", "nothing was changed"

        scene.li.get("/console/trail")
        assert keys.secret not in scene.li.source and "op-lin" not in scene.li.source
        bundle, said = verified(s, tmp_path)
        assert keys.token not in s.log_text() and keys.secret not in s.log_text()


def test_parts_at_once_cost_one_use_and_no_more_objects_than_granted_are_read(tmp_path, chance):
    data = chance.randbytes(40 * MIB)
    with Server() as s:
        put(s, {"inv/large.bin": data, **{f"inv/{i}": b"x" for i in range(8)}})
        scene = Scene(s)
        grant = scene.grant(uses=3)
        keys = scene.take(grant)
        keys.aws("s3", "cp", f"s3://{BUCKET}/inv/large.bin", str(tmp_path / "out"), cwd=tmp_path)
        assert (tmp_path / "out").read_bytes() == data
        s3 = keys.s3(max_pool_connections=32)

        def read(i):
            try:
                return s3.get_object(Bucket=BUCKET, Key=f"inv/{i % 8}")["Body"].read()
            except botocore.exceptions.ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
                return None

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            got = list(pool.map(read, range(32)))
        names = {i % 8 for i, body in enumerate(got) if body}
        assert len(names) == 2, (names, "three uses: the large one, and two more")
        assert "all reads of the grant are used" in no(s3.get_object, Bucket=BUCKET, Key=f"inv/{next(i for i in range(8) if i not in names)}")
        assert s3.get_object(Bucket=BUCKET, Key="inv/large.bin", Range="bytes=5-9")["Body"].read() == data[5:10], "what was opened goes on"
        scene.take(grant, ok=409)
        verified(s, tmp_path)


@pytest.mark.parametrize("how", ["revoke", "cut", "close"])
def test_a_running_download_is_cut_at_once(tmp_path, chance, how):
    data = chance.randbytes(96 * MIB)
    with Server() as s:
        put(s, {"inv/large.bin": data})
        scene = Scene(s)
        grant = scene.grant()
        keys = scene.take(grant)
        url = keys.s3().generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "inv/large.bin"}, ExpiresIn=7 * 24 * 3600)
        body = keys.s3(read_timeout=30).get_object(Bucket=BUCKET, Key="inv/large.bin")["Body"]
        got, ended, begun, quick = bytearray(body.read(MIB)), [], threading.Event(), threading.Event()

        def reader():
            try:
                while len(got) < len(data):
                    # Slow enough that it would go on for seconds; from the answer on, as quick as it can.
                    piece = body.read(256 * 1024)
                    if not piece:
                        break
                    got.extend(piece)
                    begun.set()
                    if not quick.is_set():
                        time.sleep(0.02)
            except Exception as error:  # noqa: BLE001 - whatever the client says of a cut
                ended.append(error)
            ended.append(time.monotonic())

        thread = threading.Thread(target=reader)
        thread.start()
        begun.wait(10)
        if how == "revoke":
            scene.end("revoke", grant)
        elif how == "cut":
            scene.cut(keys)
        else:
            scene.li.get("/console/tickets")
            scene.li.post("/console/tickets/T-1/close")
            assert scene.li.status == 200
        at = time.monotonic()
        quick.set()
        thread.join(30)
        assert not thread.is_alive() and len(got) < len(data), len(got)
        assert bytes(got) == data[:len(got)]
        assert ended[-1] - at < 0.5, "what the socket holds comes out, and nothing more"
        print(f"{how}: {len(got) / MIB:.1f} MiB came, the stream ended {ended[-1] - at:.3f} s after the answer")

        # From then on nothing, by a signature or an address that was made before.
        assert no(keys.s3().get_object, Bucket=BUCKET, Key="inv/large.bin", Range="bytes=0-9")
        status, _, answer = h.request("GET", url)
        assert status == 403 and b"AccessDenied" in answer, answer
        keys.aws("s3", "ls", f"s3://{BUCKET}/inv/", ok=255, cwd=tmp_path)
        keys.rclone("lsl", f":s3:{BUCKET}/inv", ok=1, home=tmp_path)
        verified(s, tmp_path)
        if how == "cut":
            again = scene.take(grant)
            assert again.s3().get_object(Bucket=BUCKET, Key="inv/large.bin", Range="bytes=0-9")["Body"].read() == data[:10], "the grant lives"
            assert no(keys.s3().head_object, Bucket=BUCKET, Key="inv/large.bin") is not None, "the old keys do not"


def test_keys_are_no_more_than_they_say():
    with Server() as s:
        put(s, {"inv/1": b"one", "inv/2": b"two"})
        scene = Scene(s)
        one, two = scene.grant("inv/1", "object"), scene.grant("inv/2", "object")
        a, b = scene.take(one), scene.take(two)
        assert a.s3().get_object(Bucket=BUCKET, Key="inv/1")["Body"].read() == b"one"
        assert "`acme-invoices/inv/1` and nothing else" in no(a.s3().get_object, Bucket=BUCKET, Key="inv/2")
        assert no(a.s3().list_objects_v2, Bucket=BUCKET, Prefix="inv/1"), "of one object there is no list"
        for wrong in (Keys(s, a.id, a.secret, b.token), Keys(s, a.id, b.secret, a.token), Keys(s, b.id, a.secret, a.token), Keys(s, a.id, a.secret, a.token[:-6] + "AAAAA="),
                      Keys(s, a.id, a.secret, None)):
            with pytest.raises(botocore.exceptions.ClientError) as error:
                wrong.s3().get_object(Bucket=BUCKET, Key="inv/1")
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
        names = scene.take(two, content="no")
        assert names.s3().head_object(Bucket=BUCKET, Key="inv/2")["ContentLength"] == 3
        assert "no content" in no(names.s3().get_object, Bucket=BUCKET, Key="inv/2")
        assert no(b.s3().get_object, Bucket=BUCKET, Key="inv/2"), "taken anew, the old ones end"
        # The tenant sees who could read now.
        scene.li.get("/console/consent")
        assert a.id in scene.li.source and names.id in scene.li.source and "op-lin" not in scene.li.source
        # Another operator's grant is not there for him.
        mei = Browser(s).login_operator(s, "op-mei")
        mei.get("/desk")
        mei.post(f"/desk/requests/{scene.tenant}/{one}/keys", content="yes")
        assert mei.status == 404


def test_the_desk_shows_folders_and_text():
    with Server() as s:
        put(s, {"inv/a/1.txt": b"<script>alert(1)</script> \xe4\xbb\xb7", "inv/a/b/2.txt": b"two", "inv/bin": b"\0\1\2", "plan": b"no", **{f"inv/page/{i:03}": b"" for i in range(120)}})
        scene = Scene(s)
        scene.grant(uses=4)
        lin = scene.lin
        lin.get(f"/desk/tickets/T-1/data/{BUCKET}?prefix=inv/")
        assert 'id="open-here"' in lin.source and "?prefix=inv/a/" in lin.source and "inv/bin" in lin.text
        lin.get(f"/desk/tickets/T-1/data/{BUCKET}?prefix=inv/page/")
        assert "inv/page/099" in lin.source and "inv/page/100" not in lin.source
        following = re.search(r'href="([^"]+after=[^"]+)"', lin.source).group(1).replace("&amp;", "&")
        path = following if following.startswith("/") else f"/desk/tickets/T-1/data/{BUCKET}{following}"
        lin.get(path)
        assert "inv/page/119" in lin.source
        lin.get(f"/desk/tickets/T-1/data/{BUCKET}?prefix=inv/a/")
        assert "1.txt" in lin.text and "?prefix=inv/a/b/" in lin.source
        lin.post("/desk/tickets/T-1/show", bucket=BUCKET, key="inv/a/1.txt")
        assert lin.status == 200 and "&lt;script&gt;alert(1)&lt;/script&gt; \u4ef7" in lin.source and "<script>alert" not in lin.source
        lin.get(f"/desk/tickets/T-1/data/{BUCKET}?prefix=inv/")
        lin.post("/desk/tickets/T-1/show", bucket=BUCKET, key="inv/bin")
        assert lin.status == 200 and "This is no text" in lin.text
        lin.get("/desk")
        lin.post("/desk/tickets/T-1/show", bucket=BUCKET, key="plan")
        assert lin.status == 403 and 'id="ask"' in lin.source
