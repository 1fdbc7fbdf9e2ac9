"""Columnar batches: what goes in comes out, small."""

import json
import random
import sys
import zlib
from array import array

from runs.models.batch import Sample, pack, unpack, unpack_columns


def packed(samples: dict[str, list[Sample]]) -> bytes:
    return pack({key: list(zip(*rows, strict=True)) for key, rows in samples.items()})


def test_samples_come_back_to_the_millisecond_and_millijoule():
    samples = {
        "gpu-0": [Sample(0.0, 0.0, 0.0, 0.0), Sample(5.004, 5.0, 4.321, 1203.5), Sample(10.1, 10.0, 9.9, 2400.125)],
        "cpu-0": [Sample(5.0, 5.0, 1.25, None)],
    }
    assert unpack(packed(samples)) == samples


def test_a_counter_that_was_read_late_and_keys_of_any_kind_come_back():
    samples = {'a"b\n': [Sample(1.0, 1.0, 0.5, None), Sample(2.0, 2.0, 1.0, 7.5)], "": [Sample(1e9, 1e9, 0.0, 1e15)]}
    assert unpack(packed(samples)) == samples


def test_batches_of_the_first_version_are_read_still():
    columns = {"gpu-0": [[5000, 5000], [5000, 5000], [1000, 2000], [None, 700_000]]}
    stored = zlib.compress(json.dumps(columns).encode())
    assert unpack(stored) == {"gpu-0": [Sample(5.0, 5.0, 1.0, None), Sample(10.0, 10.0, 3.0, 700.0)]}


def test_batches_of_the_second_version_are_read_still():
    plain = array("q", [5000, 5000, 1000, 2000, 700_000, -100])
    plain.byteswap() if sys.byteorder == "big" else None
    stored = b"\x01" + zlib.compress(b'{"gpu-0": [2, 2, 1, [null]], "ram": [1, 0, 0, 0]}\n' + plain.tobytes())
    assert unpack_columns(stored)["gpu-0"] == [[5.0, 10.0], [1.0, 3.0], [700.0], [None]]


def test_a_thousand_samples_take_at_most_twelve_bytes_each():
    source = random.Random(1)
    t, busy, energy, rows = 0.0, 0.0, 0.0, []
    for _ in range(1000):
        t += 5 + source.uniform(-0.005, 0.005)
        busy += 5 * source.uniform(0.8, 1.0)
        energy += 5 * source.uniform(250, 400)
        rows.append(Sample(round(t, 3), round(t, 3), round(busy, 3), round(energy, 3)))
    assert len(packed({"gpu-0": rows})) <= 12 * 1000
