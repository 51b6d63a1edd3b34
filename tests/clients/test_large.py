"""Large objects pass through in constant memory."""

import hashlib
import http.client
import os

from signing import sigv4, sigv4_chunks

MIB = 1024 * 1024
SIZE = 2 * 1024 * MIB
MEMORY_MIB_MAX = 150


def pieces(size):
    """Bytes that do not repeat within reach of any cache or compressor, made as they are sent."""
    block = os.urandom(MIB)
    for n in range(size // MIB):
        yield n.to_bytes(8, "big") + block[8:]


def test_two_gibibytes_go_in_and_out_in_constant_memory(house):
    host, path = house.objects.removeprefix("http://"), f"/{house.bucket('acme')}/two-gibibytes"
    sent, received = hashlib.sha256(), hashlib.sha256()

    def body():
        for piece in pieces(SIZE):
            sent.update(piece)
            yield piece

    def ask(method, **more):
        connection = http.client.HTTPConnection(host, timeout=300)
        signed = sigv4(method, path, house.key("acme"), host=host, payload="UNSIGNED-PAYLOAD")
        connection.request(method, path, headers={**signed, **more.pop("headers", {})}, **more)
        return connection.getresponse()

    answer = ask("PUT", body=body(), headers={"content-length": str(SIZE)})
    assert answer.status == 200, answer.read()
    after_put = house.peak_mib()
    answer = ask("GET")
    assert answer.status == 200 and int(answer.headers["content-length"]) == SIZE
    while piece := answer.read(MIB):
        received.update(piece)
    assert received.digest() == sent.digest()
    peak = house.peak_mib()
    print(f"peak resident size: {after_put:.0f} MiB after PUT, {peak:.0f} MiB after GET")
    assert peak < MEMORY_MIB_MAX

    # A slow reader must not make the server hold what he does not take.
    slow = ask("GET")
    assert len(slow.read(MIB)) == MIB
    assert house.memory("VmRSS") < MEMORY_MIB_MAX
    slow.close()
    assert ask("DELETE").status == 204


def test_many_signed_chunks_stay_in_constant_memory(house):
    host, path = house.objects.removeprefix("http://"), f"/{house.bucket('acme')}/chunks"
    body = list(pieces(64 * MIB))
    headers, wire = sigv4_chunks("PUT", path, house.key("acme"), host=host, chunks=body)
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("PUT", path, body=iter(wire), headers={**headers, "content-length": str(sum(map(len, wire)))})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("GET", path, headers=sigv4("GET", path, house.key("acme"), host=host))
    assert connection.getresponse().read() == b"".join(body)
    assert house.peak_mib() < MEMORY_MIB_MAX


def test_a_house_at_rest_is_small(house):
    assert house.memory("VmRSS") < 60
