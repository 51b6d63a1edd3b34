"""`kill -9` in the middle of mixed load: nothing that was acknowledged is lost, and the trail verifies after each."""

import os
import random
import secrets
import threading

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
