"""What `bailee-verify` says of a bundle that was changed, anywhere, in any way."""

import dataclasses
import re

import conftest
import pytest

import house as h

MAGIC = b"bailee-bundle/v2\n"


@dataclasses.dataclass
class Bundle:
    """A bundle taken apart, by the format's description."""

    manifest: bytes
    checkpoint: bytes
    places: bytes
    records: list

    @classmethod
    def read(cls, data):
        assert data.startswith(MAGIC)
        at = len(MAGIC)

        def part():
            nonlocal at
            size = int.from_bytes(data[at : at + 4], "big")
            at += 4 + size
            return data[at - size : at]

        manifest, checkpoint, places = part(), part(), part()
        count = int.from_bytes(data[at : at + 8], "big")
        at += 8
        records = []
        for _ in range(count):
            size = 87 + int.from_bytes(data[at + 83 : at + 87], "big")
            records.append(data[at : at + size])
            at += size
        assert at == len(data)
        return cls(manifest, checkpoint, places, records)

    def write(self, count=None):
        def sized(part):
            return len(part).to_bytes(4, "big") + part

        count = len(self.records) if count is None else count
        head = MAGIC + sized(self.manifest) + sized(self.checkpoint) + sized(self.places) + count.to_bytes(8, "big")
        return head + b"".join(self.records)

    def record_at(self, position):
        """The record that holds this byte of the file; none before the first."""
        at = len(self.write()) - sum(map(len, self.records))
        for n, record in enumerate(self.records):
            if at <= position < at + len(record):
                return n, position - at
            at += len(record)
        return None, 0


@pytest.fixture(scope="module")
def exported(seed, tmp_path_factory):
    """acme's bundle after a little work, and globex's."""
    house = h.House(h.copy_of(seed, tmp_path_factory.mktemp("bundle") / "data"))
    s3 = conftest.s3_client(house)
    for n in range(5):
        s3.create_bucket(Bucket=f"made-{n}")
    acme = house.export("acme", "acme.bundle").read_bytes()
    globex = house.export("globex", "globex.bundle").read_bytes()
    house.assert_well()
    house.stop()
    return acme, globex


@pytest.fixture
def check(tmp_path):
    """Verifies bytes; the code must be as expected. Returns what was printed."""

    def run(data, code):
        path = tmp_path / "x.bundle"
        path.write_bytes(data)
        done = h.verify(path, code=code)
        return done.stdout + done.stderr

    return run


def test_an_untouched_bundle_holds_and_says_what_that_means(exported, check):
    text = check(exported[0], 0).lower()
    for promise in ("integrity", "order", "complete", "signature"):
        assert promise in text, text
    bundle = Bundle.read(exported[0])
    assert bundle.write() == exported[0]
    assert str(len(bundle.records)) in text, text


def test_any_flipped_byte_is_found(exported, check, chance):
    data = exported[0]
    bundle = Bundle.read(data)
    records = len(data) - sum(map(len, bundle.records))
    positions = {0, len(MAGIC) - 1, *range(len(MAGIC), len(MAGIC) + 8), *range(records - 10, records + 90), len(data) - 1}
    positions |= {chance.randrange(len(data)) for _ in range(400)}
    for position in sorted(positions):
        bad = bytearray(data)
        bad[position] ^= 1 << chance.randrange(8)
        text = check(bytes(bad), 3)
        number, offset = bundle.record_at(position)
        # A mark or length that changed moves everything behind it; all other bytes belong to one record, which is named.
        if number is not None and offset != 50 and not 82 <= offset < 87:
            assert re.search(rf"\brecord {number}\b", text), (position, number, offset, text)


def test_a_record_removed_swapped_repeated_or_cut_off_is_found(exported, check, chance):
    data, other = exported
    whole = Bundle.read(data)

    def changed(records, count=None):
        return dataclasses.replace(whole, records=records).write(count)

    for _ in range(12):
        n = chance.randrange(len(whole.records))
        m = chance.choice([i for i in range(len(whole.records)) if i != n])
        without = whole.records[:n] + whole.records[n + 1 :]
        check(changed(without), 3)
        check(changed(without, len(whole.records)), 3)
        swapped = list(whole.records)
        swapped[n], swapped[m] = swapped[m], swapped[n]
        check(changed(swapped), 3)
        check(changed(whole.records[:n] + [whole.records[n]] + whole.records[n:]), 3)
    for kept in (0, 1, len(whole.records) - 1):
        text = check(changed(whole.records[:kept]), 3)
        assert text.strip(), "it says why"
        check(changed(whole.records[:kept], len(whole.records)), 3)
    foreign = Bundle.read(other)
    check(changed(foreign.records), 3)
    check(dataclasses.replace(whole, checkpoint=foreign.checkpoint).write(), 3)
    check(dataclasses.replace(whole, places=foreign.places).write(), 3)
    # A record that is called erased or withheld without leave.
    for mark, why in ((0, "no later record says that it was erased"), (2, "withheld")):
        n = chance.randrange(len(whole.records))
        closed = [*whole.records[:n], whole.records[n][:50] + bytes([mark]), *whole.records[n + 1 :]]
        text = check(changed(closed), 3)
        assert why in text or "no intent that waits" in text or "grant" in text, text
    check(dataclasses.replace(whole, manifest=foreign.manifest).write(), 3)
    check(dataclasses.replace(whole, records=[*whole.records[:-1], foreign.records[-1]]).write(), 3)


def test_a_file_cut_at_any_place_is_found(exported, check, chance):
    data = exported[0]
    for kept in {0, 1, len(MAGIC), len(data) - 1, *(chance.randrange(len(data)) for _ in range(60))}:
        check(data[:kept], 3)
    check(data + b"\n", 3)
    check(data + data, 3)


def test_what_cannot_be_told_is_not_called_false(tmp_path):
    assert h.verify(tmp_path / "none.bundle", code=1).stderr
    assert h.verify(tmp_path, code=1).stderr


def test_numbers_in_a_bundle_do_not_eat_memory(exported, check):
    """A length is believed only as far as bytes follow."""
    whole = Bundle.read(exported[0])
    for count in (2**64 - 1, 2**40, len(whole.records) + 1):
        check(whole.write(count), 3)
    check(MAGIC + b"\xff\xff\xff\xff" + b"x" * 100, 3)
