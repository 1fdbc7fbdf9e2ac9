"""Links that the portal makes find what they promise, whatever names, tags and parameters have in them."""

import json
from collections import Counter
from urllib.parse import parse_qs, urlencode

import pytest

from runs.models import Run
from tests.screens.conftest import METERED
from tests.screens.run_list.test_runs import names
from tests.wire import A100, CPU, sample

PROMPT = "y" * 300
#: Keys and values as people have them, and as nobody expects them; each set is one run's.
PARAMS: list[dict] = [
    {"layers": [64, 64], "optimizer:lr": 0.1, "prompt": PROMPT, "s": None},
    {"layers": [64, 64], "optimizer:lr": 0.1, "prompt": PROMPT + "z", "s": "None"},
    {"layers": "[64, 64]", "optimizer:lr": "0.1", "prompt": "", "s": "null"},
    {"layers": [64, 32], "optimizer:lr": 1e-7, "prompt": 'say "hi", it\'s 50%_\\ off & more?', "s": True},
    {"layers": [], "optimizer:lr": 3, "prompt": "two\nlines", "s": "true"},
    {"layers": {"a": [1, {"b": None}]}, "optimizer:lr": 3.0, "prompt": "سلام 🚀 café", "s": False},
    {"layers": 64, "optimizer:lr": 0.1 + 0.2, "prompt": " spaces ", "s": 0},
    {"layers": "64", "optimizer:lr": -1, "prompt": "a:b:c", "s": 1},
    {"layers": 2**53 + 1, "optimizer:lr": 1e300, "prompt": "A:B:C", "s": "1"},
    {"0": 7, "a.b[0]": 8, 'quo"te': 9, "back\\slash": 10, "größe": 11, "a,b": 12, "$": 13, "lr__gt": 14, "%s": 15},
    {"0": "7", "a.b[0]": None, 'quo"te': "x", "back\\slash": [1], "größe": "ü", "a,b": "y", "$": "", "lr__gt": 0},
]
KEYS = sorted({key for params in PARAMS for key in params})
TAGS = [["a", "b"], ["a,b"], ['"a"'], ["a"], ["ä&b=c"], ["50%"], ["[a]"], ["'"], ["\\"], [], ["a b"]]


@pytest.fixture
def odd(wire, profile):
    """A run for each set of parameters, with odd tags, models and devices; as many again that ended badly."""
    for number, (params, tags) in enumerate(zip(PARAMS, TAGS, strict=True)):
        devices = [METERED, CPU] if number % 3 else [CPU | {"name": f"Odd: processor, {number} & more"}]
        rows = [sample(device["key"], 60, 30, 3600.0 if device is METERED else None) for device in devices]
        about = {"name": f"run-{number}", "model": f'm/{number // 2} & "co": 50%', "kind": "training"}
        wire.whole_run(rows, devices, params=params, tags=tags, **about)
    failed = wire.start(name="failed", params={"s": None})
    wire.finish(failed, status="failed", exception='Value=Error: <&> "x"')


def groups(page) -> list[tuple[str, int, str]]:
    """Each group's name, its number of runs, and the link to them where there is one."""
    rows = page.root.all("table")[0].all("tbody")[0].all("tr")
    found = []
    for row in rows:
        head, count = row.all("th")[0], int(row.all("td")[0].figures[0])
        link = head.all("a")[0].attributes["href"] if head.all("a") else ""
        found.append((head.text, count, link))
    return found


@pytest.mark.parametrize("key", KEYS)
def test_every_group_of_a_parameter_leads_to_just_its_runs(alice, odd, key):
    found = groups(alice.read("/runs/", group=f"param:{key}"))
    held = Counter(json.dumps(run.params.get(key, ...), default=str, sort_keys=True) for run in Run.objects.all())
    # 3 and 3.0 are one number, on both databases.
    together = 1 if key == "optimizer:lr" else 0
    assert len(found) == len(held) - together
    assert sum(count for _, count, _ in found) == Run.objects.count()
    for label, count, link in found:
        assert bool(link) == (label != "not set"), label
        if link:
            listed = alice.read(f"/runs/{link}")
            assert len(names(listed)) == count, (label, link)
            assert listed.by_id("total").figures[0] == count
            assert f"Parameter {key} =" in listed.text


@pytest.mark.parametrize("by", ["model", "kind", "tag", "hardware", "project", "member", "exception"])
def test_every_group_leads_to_just_its_runs(alice, odd, by):
    found = groups(alice.read("/runs/", group=by))
    followed = 0
    for label, count, link in found:
        if link:
            assert len(names(alice.read(f"/runs/{link}"))) == count, (label, link)
            followed += 1
    assert followed >= len(found) - 1


def test_a_group_of_hardware_is_not_that_of_all_runs_with_the_device(alice, wire, profile):
    wire.whole_run([sample("cpu-0", 60, 30)], [CPU], name="processor")
    wire.whole_run([sample("gpu-0", 60, 30), sample("cpu-0", 60, 30)], [A100, CPU], name="card")
    links = {label: link for label, _, link in groups(alice.read("/runs/", group="hardware"))}
    (processor,) = (link for label, link in links.items() if "7742" in label)
    assert names(alice.read(f"/runs/{processor}")) == ["processor"]
    assert "Ran on" in alice.read(f"/runs/{processor}").text


def test_a_tag_in_a_row_leads_to_its_runs(alice, odd):
    page = alice.read("/runs/", column="tags")
    tags = [link for link in page.root.all("a") if link.attributes.get("class") == "tag"]
    assert len(tags) == sum(map(len, TAGS))
    for link in tags:
        found = alice.read(f"/runs/{link.attributes['href']}").column(1)
        assert all(link.text in cell for cell in found)
        assert len(found) == sum(link.text in tags for tags in TAGS)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("optimizer:lr:0.1", [0, 1, 2]),
        ("layers:[64, 64]", [0, 1, 2]),
        ("layers: [64,64]", [0, 1]),
        ("s:None", [0, 1, "failed"]),
        ("s:null", [0, 2, "failed"]),
        ("s:true", [3, 4]),
        ("s:True", [3, 4]),
        ("s:1", [7, 8]),
        ("prompt:a:b:c", [7, 8]),
        (f"prompt:{'y' * 190}", []),
        ("0:7", [9, 10]),
        ("größe:11", [9]),
        ('quo"te:9', [9]),
        ("optimizer:lr:1e999", []),
        ('s:"\\u0000"', []),
        ('s:"\\ud800"', []),
        ("s:" + "[" * 190, []),
    ],
)
def test_what_a_person_types_finds_the_value_as_text_and_as_what_it_spells(alice, odd, typed, found):
    assert sorted(names(alice.read("/runs/", q=typed))) == sorted(
        f"run-{each}" if isinstance(each, int) else each for each in found
    )


@pytest.mark.parametrize(
    "asked", ["{", "[]", "1", "null", '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": "\\u0000"}', "{}"]
)
def test_a_parameter_that_can_not_be_finds_nothing(alice, odd, asked):
    assert names(alice.read("/runs/", param=asked)) == []


def test_a_value_too_long_for_an_address_has_no_link_that_would_fail(alice, wire, profile):
    wire.whole_run(params={"prompt": "ü" * 500})
    ((label, count, link),) = groups(alice.read("/runs/", group="param:prompt"))
    assert (count, link) == (1, "")
    assert label.endswith("…")


def test_groups_of_long_values_are_compared(alice, run):
    for prompt in (PROMPT, PROMPT, PROMPT, "x", "x", "x"):
        run(params={"prompt": prompt})
    page = alice.read("/runs/", group="param:prompt")
    base = next(link for link in page.links() if "against" in link)
    assert "base" in alice.read(f"/runs/{base}").column(7)[0] + alice.read(f"/runs/{base}").column(7)[1]


def test_every_chip_takes_its_own_filter_away_and_leaves_the_others(alice, odd):
    asked = {"param": json.dumps({"optimizer:lr": 0.1}), "main_hardware": "nvidia-a100-sxm4-40gb", "kind": "training"}
    page = alice.read("/runs/", **asked)
    assert names(page) == ["run-1"]
    chips = [link.attributes["href"] for link in page.root.all("a") if link.attributes.get("class") == "chip"]
    left = [{name: values[0] for name, values in parse_qs(chip.lstrip("?")).items()} for chip in chips]
    assert sorted(map(sorted, left)) == sorted(sorted(asked.keys() - {name}) for name in asked)


def test_a_filter_stays_when_the_form_is_sent_again(alice, odd):
    asked = {"param": json.dumps({"s": None}), "exception": 'Value=Error: <&> "x"'}
    page = alice.read(f"/runs/?{urlencode(asked)}")
    kept = {each.attributes.get("name"): each.attributes.get("value") for each in page.by_id("filters").all("input")}
    assert {name: kept[name] for name in asked} == asked
    assert names(page) == ["failed"]
