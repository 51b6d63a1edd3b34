"""The same house on PostgreSQL: the consent path, two servers on one database, and the database that goes away."""

import collections
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config

import house as h
from kit import VERIFY, Browser, run, wait_until
from signing import rpc_v3
from test_trail import OBJECT, consented_read

LIN_PAGE = "/desk/tickets/T-1"


class Cluster:
    """A PostgreSQL of this test's own."""

    def __init__(self, folder):
        self.bin = newest_programs()
        self.folder = folder
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        folder.mkdir()
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            for path in [folder, *folder.parents]:
                if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
                    path.chmod(path.stat().st_mode | 0o011)
            shutil.chown(folder, "postgres", "postgres")
        self.call("initdb", "--username=bailee", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-D", self.data)
        self.start()
        self.url = f"postgres://bailee@127.0.0.1:{self.port}/postgres"

    @property
    def data(self):
        return str(self.folder / "data")

    def call(self, program, *args):
        command = [str(self.bin / program), *args]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' -c fsync=off"
        self.call("pg_ctl", "start", "--wait", "--silent", "--log", str(self.folder / "log"), "--options", options,
                  "-D", self.data)

    def stop(self):
        self.call("pg_ctl", "stop", "--mode", "immediate", "--silent", "-D", self.data)


def newest_programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    program = str(found[-1]) if found else shutil.which("initdb")
    assert program, "PostgreSQL is not on this machine: `cargo xtask test` installs it as root"
    return pathlib.Path(program).parent


@pytest.fixture
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("postgres") / "cluster")
    yield cluster
    try:
        cluster.stop()
    except AssertionError:
        pass  # stopped already


class OnPostgres(h.House):
    def tenant(self, alias="acme"):
        return super().tenant(alias)

    def operator(self, name="op-lin"):
        return super().operator(name)


def s3(house):
    key_id, secret = house.key("acme")
    return boto3.client("s3", endpoint_url=house.objects, region_name=h.REGION, aws_access_key_id=key_id,
                        aws_secret_access_key=secret,
                        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


def test_the_whole_path_two_servers_and_a_database_that_goes_away(cluster, tmp_path):
    house = OnPostgres(tmp_path / "data", env={"BAILEE_DATABASE": cluster.url})
    try:
        lin, li = consented_read(house)
        client = s3(house)
        for size in (10, 20_000, 3_000_000):
            client.put_object(Bucket="acme-invoices", Key=f"n/{size}", Body=b"x" * size)
            assert client.get_object(Bucket="acme-invoices", Key=f"n/{size}")["ContentLength"] == size
        keys = [o["Key"] for o in client.list_objects_v2(Bucket="acme-invoices", Prefix="n/")["Contents"]]
        assert keys == ["n/10", "n/20000", "n/3000000"]
        assert "Done" in li.get("/console/trail").text
        out = str(tmp_path / "pg.bundle")
        run(h.BIN, "trail", "export", "--data", str(house.data), "--tenant", "acme", "-o", out,
            env={**os.environ, "BAILEE_DATABASE": cluster.url})
        run(VERIFY, out)

        # A second server on the same database and folder: what one took, the other gives; one history for both.
        second = OnPostgres(tmp_path / "data", env={"BAILEE_DATABASE": cluster.url})
        try:
            assert s3(second).get_object(Bucket="acme-invoices", Key="n/3000000")["ContentLength"] == 3_000_000
            s3(second).put_object(Bucket="acme-invoices", Key="n/second", Body=b"y" * 100_000)
            assert client.get_object(Bucket="acme-invoices", Key="n/second")["ContentLength"] == 100_000
            raw = rpc_v3("GetCallerIdentity", "2015-04-01", house.key("acme"), host="x")
            answers = [h.request("POST", at.console + raw[0], body=raw[2], headers={**raw[1], "host": "x"})
                       for at in (house, second)]
            assert [a[0] for a in answers] == [200, 400] and b"SignatureNonceUsed" in answers[1][2], answers
            lin.get(LIN_PAGE)
            lin.post("/desk/tickets/T-1/read", **OBJECT)
            assert lin.status == 200
            assert Browser(second).login_tenant(second).get("/console/trail").text.count("GetObject") >= 3
        finally:
            second.stop()
        run(h.BIN, "trail", "export", "--data", str(house.data), "--tenant", "acme", "-o", out,
            env={**os.environ, "BAILEE_DATABASE": cluster.url})
        run(VERIFY, out)

        lin.get(LIN_PAGE)
        cluster.stop()
        lin.get(LIN_PAGE)
        assert lin.status == 503 and "nothing was changed or opened" in lin.text.lower(), (lin.status, lin.text[:900])
        with pytest.raises(client.exceptions.ClientError) as error:
            client.get_object(Bucket="acme-invoices", Key="n/10")
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert h.get(house.console + "/readyz")[0] == 503
        assert h.get(house.console + "/healthz")[0] == 200

        cluster.start()

        def works():
            lin.get(LIN_PAGE)
            return lin.status == 200

        wait_until(works)
        assert client.get_object(Bucket="acme-invoices", Key="n/10")["Body"].read() == b"x" * 10
        lin.post("/desk/tickets/T-1/read", **OBJECT)
        assert lin.status == 200, ("the grant is still there, and no use was lost or counted twice", lin.text)
        wait_until(lambda: h.get(house.console + "/readyz")[0] == 200)  # probes share an answer for a second
        house.assert_well()
    finally:
        house.kill()
    # A new process on the same database, and `doctor` over everything that was written.
    house.start()
    try:
        assert s3(house).get_object(Bucket="acme-invoices", Key="n/10")["Body"].read() == b"x" * 10
        assert "Done" in Browser(house).login_tenant(house).get("/console/trail").text
    finally:
        house.kill()
    said = run(h.BIN, "doctor", "--data", str(house.data), env={**os.environ, "BAILEE_DATABASE": cluster.url}).stdout
    assert "every log gives what was signed" in said


def test_a_wrong_address_is_said_without_its_password(tmp_path):
    done = subprocess.run([h.BIN, "dev", "--data", str(tmp_path / "d"), "--database", "postgres://b:hunter2@127.0.0.1:1/x"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "database" in done.stderr, done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_a_server_that_dies_hands_the_log_over_in_seconds(cluster, tmp_path):
    """Two servers write one log; one is killed in the middle. What was answered is there once, in one order."""
    env = {"BAILEE_DATABASE": cluster.url}
    first = OnPostgres(tmp_path / "data", env=env)
    second = OnPostgres(tmp_path / "data", env=env)
    answered, stop = [], threading.Event()

    def write(server, worker):
        n = 0
        while not stop.is_set():
            name = f"w{worker}-{n}"
            path, headers, body = rpc_v3("CreateUser", "2015-05-01", first.key("acme"), host="x", form={"UserName": name})
            try:
                status = h.request("POST", server.console + path, body=body, headers={**headers, "host": "x"}, timeout=10)[0]
            except (OSError, http.client.HTTPException):
                return
            if status == 200:
                answered.append((time.monotonic(), server, name))
            n += 1

    threads = [threading.Thread(target=write, args=(s, f"{at}{i}")) for at, s in enumerate((first, second)) for i in range(4)]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: len({s for _, s, _ in answered}) == 2 and len(answered) > 40)
        first.kill()
        killed = time.monotonic()
        wait_until(lambda: sum(1 for at, s, _ in answered if s is second and at > killed) > 20)
        stop.set()
        for thread in threads:
            thread.join(30)
        after = min(at for at, s, _ in answered if s is second and at > killed)
        assert after - killed <= 5, f"nobody wrote for {after - killed:.1f} s"
        names = [name for _, _, name in answered]
        acts, before = [], []
        while True:
            page = json.loads(run(h.BIN, "trail", "acts", "--data", str(second.data), "--tenant", "acme", "--all", "--limit", "1000",
                                  *before, "--output", "json", env={**os.environ, **env}).stdout)
            acts += page["acts"]
            if page["next_before"] is None:
                break
            before = ["--before", str(page["next_before"])]
        done = collections.Counter(a["resource"].rsplit("/", 1)[1] for a in acts if a["event"] == "CreateUser" and a["result"] == "done")
        assert all(done[name] == 1 for name in names), [n for n in names if done[n] != 1]
        assert [a["record"] for a in acts] == sorted({a["record"] for a in acts}, reverse=True)
        out = str(tmp_path / "pg.bundle")
        run(h.BIN, "trail", "export", "--data", str(second.data), "--tenant", "acme", "-o", out, env={**os.environ, **env})
        run(VERIFY, out)
    finally:
        stop.set()
        for server in (first, second):
            if server.is_running():
                server.kill()
