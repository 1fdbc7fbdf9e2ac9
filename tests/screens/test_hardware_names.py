"""A device that is not in the catalogue reads the same wherever one device is named: as its driver calls it."""

import csv
import io
import json

import pytest

from tests.wire import sample

UNKNOWN = {"key": "gpu-0", "kind": "gpu", "name": "Acme Thinker 9", "uuid": "GPU-9"}


@pytest.fixture
def run_id(wire, catalogue) -> str:
    return wire.whole_run([sample("gpu-0", 3600, 1800)], [UNKNOWN])


def test_the_run_list_names_it(alice, run_id):
    assert "Acme Thinker 9" in alice.read("/runs/", column="hardware").text


def test_the_file_of_the_run_list_names_it(alice, run_id):
    rows = csv.DictReader(io.StringIO(b"".join(alice.get("/runs/export.csv").streaming_content).decode()))
    assert [row["hardware"] for row in rows] == ["Acme Thinker 9"]


def test_a_comparison_names_it(alice, run_id):
    assert "Acme Thinker 9" in alice.read("/compare/", run=run_id).text


def test_a_citation_of_the_final_run_names_it(alice, run_id):
    cited = json.loads(alice.get("/models/digits/resnet-50/cite.json", {"of": "final"}).content)
    assert [name.partition(" (")[0] for name in cited["hardware"]] == ["Acme Thinker 9"]


def test_sums_over_devices_name_what_the_catalogue_lacks(alice, run_id):
    """Rows that add up several devices have no driver's name: they are those of the generic profile."""
    assert "Unknown GPU" in alice.read("/", range="all").text
