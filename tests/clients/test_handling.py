"""What the provider does without a tenant's consent: takedowns of public data by two operators, and stability work under a change.
By boto3, oss2, requests without a signature, and a browser."""

import json
import pathlib
import random
import re
import shutil
import subprocess
import threading
import time

import oss2

import house as h
from house import VERIFY
from conftest import s3_client
from kit import BIN, Browser, Server, run
from test_oss import bucket_of
from test_sharing import OPEN, anybody, document, statement

SITE, PAGE, OTHER = "acme-site-public", "news/1.html", "about.html"
ORDER = {"authority": "Hangzhou Internet Court", "document": "(2026) 0192-17", "dated": "2026-11-20", "reason": "a court forbids this page"}


def operator(s, id, role):
    made = json.loads(run(BIN, "operator", "create", "--data", s.data, "--output", "json", "--id", id, "--role", role, "--place", "CN").stdout)
    browser = Browser(s)
    browser.send("POST", "/login/operator", {"operator": id, "password": made["password"]})
    assert browser.status == 200, browser.text
    return browser


def site(s):
    s3 = s3_client(s)
    s3.create_bucket(Bucket=SITE)
    for key in (PAGE, OTHER, "private"):
        s3.put_object(Bucket=SITE, Key=key, Body=key.encode())
    s3.put_public_access_block(Bucket=SITE, PublicAccessBlockConfiguration=OPEN)
    s3.put_bucket_policy(Bucket=SITE, Policy=document(statement(SITE, key="news/*"), statement(SITE, key=OTHER)))
    return s3


def file(hua, object=PAGE, **more):
    hua.get("/desk/handling")
    assert hua.status == 200, hua.text
    hua.post("/desk/handling", **{"tenant": "acme", "bucket": SITE, "object": object, **ORDER, **more})
    return hua


def filed(hua, **more):
    before = set(re.findall(r"H-[a-z0-9]{12}", hua.get("/desk/handling").source))
    file(hua, **more)
    assert hua.status == 200, hua.text
    [id] = set(re.findall(r"H-[a-z0-9]{12}", hua.source)) - before
    return id


def answer(who, s, id, what, note="as the order says"):
    who.get("/desk/handling")
    return who.post(f"/desk/handling/{s.tenant()['id']}/{id}/{what}", note=note)


def listed(s):
    return json.loads(run(BIN, "handling", "list", "--tenant", "acme", "--data", s.data, "--output", "json").stdout)


def test_two_operators_take_a_public_page_down_and_the_tenant_is_told():
    with Server() as s:
        s3, bucket = site(s), bucket_of(s, SITE, "v4")
        page, link = f"{SITE}/{PAGE}", s3.generate_presigned_url("get_object", Params={"Bucket": SITE, "Key": PAGE})
        hua, yu = operator(s, "op-hua", "compliance"), operator(s, "op-yu", "approver")
        li, wang, lin = Browser(s).login_tenant(s), Browser(s).login_tenant(s, "globex"), Browser(s).login_operator(s)
        assert 'id="handling-banner"' not in li.get("/console").source

        # What is not public is none of it, and answers like what is not there.
        assert file(hua, "private").status == 409
        private = hua.text
        assert file(hua, "no-such").status == 409 and hua.text == private
        assert file(hua, PAGE, bucket="globex-none").text == private
        assert file(hua, PAGE, dated="yesterday").status == 400
        assert lin.get("/desk/handling").status == 404 and li.get("/desk/handling").status == 404

        id = filed(hua)
        assert anybody(s, page)[0] == 200, "filed is not done"
        assert f'id="confirm-{id}"' not in hua.source
        assert answer(hua, s, id, "confirm").status == 409 and "another person" in hua.text
        assert f'id="confirm-{id}"' in yu.get("/desk/handling").source
        assert answer(yu, s, id, "confirm").status == 200, yu.text

        for method in ("GET", "HEAD"):
            status, headers, body = anybody(s, page, method)
            assert status == 451, (status, body)
            assert b"Court" not in body and s.tenant()["id"].encode() not in body, body
        assert b"<Code>UnavailableForLegalReasons</Code>" in anybody(s, page)[2]
        assert anybody(s, page + "?versionId=null")[0] == 451
        assert anybody(s, f"{SITE}/{OTHER}")[0] == 200
        # Its own people read on, in both dialects, and by an address that they signed.
        assert s3.get_object(Bucket=SITE, Key=PAGE)["Body"].read() == PAGE.encode()
        assert bucket.get_object(PAGE).read() == PAGE.encode()
        assert h.request("GET", link)[0] == 200
        # Another account is the public.
        stranger = oss2.Bucket(oss2.AuthV4(*s.key("globex")), s.objects, SITE, region=h.REGION, is_path_style=True)
        try:
            stranger.get_object(PAGE).read()
            raise AssertionError("a stranger reads what was taken down")
        except oss2.exceptions.ServerError as error:
            assert (error.status, error.code) == (451, "UnavailableForLegalReasons")

        # On top of every page of the tenant, in both languages, until it says that it knows.
        for path in ("/console", "/console/data", "/security"):
            assert 'id="handling-banner"' in li.get(path).source and id in li.text, path
        assert "确认知悉" in li.get("/console/handling?lang=zh").text
        li.get("/console/handling?lang=en")
        for text in (ORDER["authority"], ORDER["document"], "in force", f"{SITE}/{PAGE}"):
            assert text in li.text, text
        assert "op-hua" not in li.source and "op-yu" not in li.source and li.source.count("emp-") == 2
        assert 'id="handling-banner"' not in wang.get("/console/handling").source and id not in wang.source
        wang.post(f"/console/handling/{id}/acknowledge")
        assert wang.status == 404, wang.text
        li.get("/console/handling")
        assert Browser.send(li, "POST", f"/console/handling/{id}/acknowledge", {"csrf": "0" * 64}).status == 403
        li.get("/console/handling").post(f"/console/handling/{id}/acknowledge")
        assert li.status == 200 and 'id="handling-banner"' not in li.source
        # The answer is a ticket.
        assert f'id="appeal-{id}"' in li.source
        li.upload("/console/tickets", **{"new-category": "compliance", "title": f"Appeal against {id}", "message": "the page is ours"})
        assert li.status == 200 and f"Appeal against {id}" in li.text

        assert answer(yu, s, id, "lift").status == 403, "compliance lifts"
        assert answer(hua, s, id, "lift", note="").status == 400
        assert answer(hua, s, id, "lift", note="the order was set aside").status == 200
        assert anybody(s, page)[::2] == (200, PAGE.encode())
        assert 'id="handling-banner"' in li.get("/console").source, "the next step is news"
        [k] = listed(s)["takedowns"]
        assert [step["act"] for step in k["steps"]] == ["file", "confirm", "acknowledge", "lift"] and k["state"] == "lifted"

        # Gone with its end, and blocked for signed addresses where the order says so.
        id = filed(hua, object="news/*", presigned="yes", until="2099-01-01")
        assert answer(yu, s, id, "confirm").status == 200
        assert (anybody(s, page)[0], h.request("GET", link)[0]) == (451, 451)
        assert s3.get_object(Bucket=SITE, Key=PAGE)["ResponseMetadata"]["HTTPStatusCode"] == 200
        run(VERIFY, s.export("acme", "acme.bundle"))
        li.get("/console/trail?type=ALIYUN_INITIATED_PENALTY")
        assert f"legal reference {ORDER['authority']}, {ORDER['document']}, {ORDER['dated']}" in li.text, li.text


def test_a_confirmation_that_dies_is_done_or_is_not():
    chance = random.Random(7)
    with Server() as s:
        site(s)
        hua, yu = operator(s, "op-hua", "compliance"), operator(s, "op-yu", "approver")
        for round in range(5):
            id = filed(hua)
            yu.get("/desk/handling")

            def confirm():
                try:
                    yu.post(f"/desk/handling/{s.tenant()['id']}/{id}/confirm", note="")
                except OSError:
                    pass

            at = threading.Thread(target=confirm)
            at.start()
            at.join(chance.random() * 0.03)
            s.kill()
            at.join()
            s.start()
            [k] = [k for k in listed(s)["takedowns"] if k["id"] == id]
            done = [step["act"] for step in k["steps"]] == ["file", "confirm"]
            assert k["state"] == ("in force" if done else "filed"), k
            assert not k["acknowledged"]
            assert anybody(s, f"{SITE}/{PAGE}")[0] == (451 if done else 200), (round, k)
            hua.host = yu.host = s.console.removeprefix("http://")
            if done:
                assert answer(hua, s, id, "lift").status == 200, hua.text
            else:
                assert answer(yu, s, id, "decline").status == 200, yu.text


def test_stability_work_is_announced_and_opens_nothing():
    with Server() as s:
        bo, li = operator(s, "op-bo", "stability"), Browser(s).login_tenant(s)
        announce = {"change": "CHG-7", "tenant": "acme", "work": "scrub", "bucket": "acme-invoices", "reason": "disks are replaced"}
        bo.get("/desk/handling")
        assert 'id="announce"' in bo.source and 'id="file"' not in bo.source
        for wrong in ({"change": "a b"}, {"work": "read"}, {"bucket": ""}, {"planned": "soon"}, {"reason": "x"}):
            bo.get("/desk/handling").post("/desk/changes", **{**announce, **wrong})
            assert bo.status == 400, (wrong, bo.text)
        bo.get("/desk/handling").post("/desk/changes", **announce)
        assert bo.status == 200 and 'id="run-CHG-7"' in bo.source, bo.text
        assert "CHG-7" in li.get("/console/handling").text and "disks are replaced" in li.text and "op-bo" not in li.source
        bo.post(f"/desk/changes/{s.tenant()['id']}/CHG-7/run")
        assert bo.status == 200 and "0 damaged" in bo.text, bo.text
        bo.post(f"/desk/changes/{s.tenant()['id']}/CHG-7/run")
        assert bo.status == 409
        # The machine's commands carry a change, too.
        at = ["--data", s.data, "--output", "json"]
        run(BIN, "tenant", "quota", "--tenant", "acme", "--bytes", "1000000000", "--change", "CHG-8", *at)
        run(BIN, "vault", "scrub", "--tenant", "acme", "--change", "CHG-9", *at)
        run(BIN, "keys", "rotate", "--tenant", "acme", "--change", "CHG-10", *at)
        assert run(BIN, "vault", "scrub", "--change", "no such", *at, ok=2).stdout == ""
        li.get("/console/trail?type=ALIYUN_INITIATED_SERVICE")
        for change in ("CHG-7", "CHG-8", "CHG-9", "CHG-10"):
            assert f"change {change}" in li.text, (change, li.text)
        assert [c["state"] for c in listed(s)["changes"]] == ["done"]
        run(VERIFY, s.export("acme", "acme.bundle"))


def test_a_repair_at_the_machine_brings_damaged_objects_back_under_its_change(tmp_path):
    with Server() as s:
        bo, li = operator(s, "op-bo", "stability"), Browser(s).login_tenant(s)
        s3 = s3_client(s)
        for name, n in (("large", 700_000), ("larger", 6_000_000)):
            s3.put_object(Bucket="acme-invoices", Key=name, Body=random.Random(n).randbytes(n))
        store, copy = pathlib.Path(s.data) / "blobs", tmp_path / "copy"
        shutil.copytree(store, copy)
        sizes = {p.stat().st_size: p for p in store.rglob("*") if p.is_file()}
        large, larger = (sizes[size] for size in sorted(sizes)[-2:])
        kept = {p: p.read_bytes() for p in (large, larger)}
        large.unlink()
        larger.write_bytes(kept[larger][:-1] + b"?")
        at = ["--data", s.data, "--output", "json", "--tenant", "acme", "--bucket", "acme-invoices"]

        def repair(*more, ok=0):
            said = run(BIN, "vault", "repair", "--change", "CHG-7", "--from", str(copy), *more, *at, ok=ok).stdout
            return json.loads(said.splitlines()[-1]) if said else None

        assert repair(ok=1) is None, "nothing was announced"
        announce = {"change": "CHG-7", "tenant": "acme", "work": "repair", "bucket": "acme-invoices", "reason": "a disk lost blocks"}
        bo.get("/desk/handling").post("/desk/changes", **announce)
        assert bo.status == 200, bo.text
        bo.post(f"/desk/changes/{s.tenant()['id']}/CHG-7/run")
        assert bo.status == 409 and "bailee vault repair" in bo.text, bo.text
        done = repair("--dry-run")
        assert (done["damaged"], done["repaired"], done["dryRun"]) == (2, 2, True) and not large.exists()
        # Killed in the middle, again and again: what is there is whole or as it was, and the next run ends it.
        for pause in (0.05, 0.1, 0.2):
            call = [BIN, "vault", "repair", "--change", "CHG-7", "--from", str(copy), *at]
            process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(pause)
            process.kill()
            process.wait()
            assert not large.exists() or large.read_bytes() == kept[large]
            assert larger.read_bytes() in (kept[larger], kept[larger][:-1] + b"?")
        if any(not p.exists() or p.read_bytes() != kept[p] for p in kept):
            done = repair()
            assert done["left"] == [], done
        assert all(p.read_bytes() == kept[p] for p in kept)
        for name, n in (("large", 700_000), ("larger", 6_000_000)):
            assert s3.get_object(Bucket="acme-invoices", Key=name)["Body"].read() == random.Random(n).randbytes(n)
        li.get("/console/trail?type=ALIYUN_INITIATED_SERVICE")
        assert "RepairObject" in li.text and "change CHG-7" in li.text, li.text
        run(VERIFY, s.export("acme", "acme.bundle"))


def test_a_worker_stands_still_for_the_tenant_to_see():
    with Server() as s:
        bo, li = operator(s, "op-bo", "stability"), Browser(s).login_tenant(s)
        announce = {"change": "CHG-8", "tenant": "acme", "work": "suspend-lifecycle", "bucket": "", "reason": "a store is moved"}
        bo.get("/desk/handling").post("/desk/changes", **announce)
        run_it = f"/desk/changes/{s.tenant()['id']}/CHG-8/run"
        bo.post(run_it)
        assert bo.status == 200 and "Let it work again" in bo.text, bo.text
        assert "stands still" in li.get("/console/handling").text and "a store is moved" in li.text, li.text
        lifecycle = ["vault", "lifecycle", "--data", s.data, "--tenant", "acme", "--bucket", "acme-invoices"]
        assert "CHG-8" in run(BIN, *lifecycle, ok=1).stderr
        assert [c["state"] for c in listed(s)["changes"]] == ["running"]
        bo.get("/desk/handling").post(run_it)
        assert bo.status == 200, bo.text
        run(BIN, *lifecycle)
        assert [c["state"] for c in listed(s)["changes"]] == ["done"]
        run(VERIFY, s.export("acme", "acme.bundle"))
