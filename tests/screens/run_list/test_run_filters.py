"""Typed filters, chips, columns, sorting by several keys, groups and the baseline: all of it in the query string."""

from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from runs.models import Device, Run
from tests.screens.conftest import METERED
from tests.screens.run_list.test_runs import names
from tests.wire import CPU, ago, sample


@pytest.fixture
def five(run):
    """Runs that differ in tag, parameters, energy and age."""
    run(
        kwh=1.0,
        name="a",
        model="bert",
        tags=["night", "bf16"],
        params={"lr": 0.1, "opt": "adam"},
        started_at=ago(days=9),
    )
    run(kwh=2.0, name="b", model="bert", tags=["night"], params={"lr": 0.01, "opt": "sgd"}, started_at=ago(days=6))
    run(kwh=3.0, name="c", model="resnet", tags=[], params={"lr": 0.1, "fast": True}, started_at=ago(days=4))
    run(kwh=4.0, name="d", model="resnet", kind="inference", params={"lr": "0.1"}, started_at=ago(days=2))
    run(kwh=4.0, name="e", model="resnet", kind="inference", params={}, started_at=ago(hours=1))


def day(days: int) -> str:
    return (timezone.now() - timedelta(days=days)).date().isoformat()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tag": "night"}, "ba"),
        ({"tag": "nigh"}, ""),
        ({"q": "bf16"}, "a"),
        ({"q": "lr:0.1"}, "dca"),
        ({"q": "lr: 1e-1"}, "ca"),
        ({"q": "opt:ADAM"}, "a"),
        ({"q": "fast:true"}, "c"),
        ({"q": "lr__gt:0"}, ""),
        ({"q": "opt:NaN"}, ""),
        ({"over": "2"}, "edc"),
        ({"over": "2", "kind": "inference", "model": "digits/resnet"}, "ed"),
        ({"hardware": "nvidia-a100-sxm4-40gb"}, "edcba"),
        ({"hardware": "a100"}, "edcba"),
        ({"hardware": "h100"}, ""),
        ({"sort": "-energy,started"}, "decba"),
        ({"sort": "-energy,-started"}, "edcba"),
        ({"sort": "energy,energy,password"}, "abcde"),
        ({"sort": "name"}, "abcde"),
        ({"sort": "kind,-name"}, "edcba"),
    ],
    ids=str,
)
def test_a_filter_finds_and_a_sort_orders(alice, five, query, expected):
    assert "".join(names(alice.read("/runs/", **query))) == expected


def test_days_are_the_readers_own_and_both_included(alice, five):
    assert "".join(names(alice.read("/runs/", since=day(6), until=day(2)))) == "dcb"
    assert "".join(names(alice.read("/runs/", until=day(7)))) == "a"


def test_one_day_may_be_asked_for_in_short(alice, five):
    answer = alice.get("/runs/", {"day": day(4), "archived": "too"})
    assert parse_qs(answer.url.lstrip("?")) == {"since": [day(4)], "until": [day(4)], "archived": ["too"]}
    assert names(alice.read(f"/runs/{answer.url}")) == ["c"]


@pytest.mark.parametrize(
    "query", ["day=today", "since=yesterday", "until=2026-02-30", "over=much", "over=nan", "over=1e999"]
)
def test_a_day_or_number_that_is_none_is_refused(alice, five, query):
    assert alice.get(f"/runs/?{query}").status_code == 400


def test_every_filter_in_force_is_a_chip_that_removes_it_alone(alice, five):
    page = alice.read("/runs/", tag="night", over="0.5", sort="-energy", page="1")
    links = [link for link in page.root.all("a") if link.attributes.get("class") == "chip"]
    chips = {link.text: parse_qs(link.attributes["href"].lstrip("?")) for link in links}
    assert chips == {
        "Tag night Remove": {"over": ["0.5"], "sort": ["-energy"]},
        "Over 0.5 kWh Remove": {"tag": ["night"], "sort": ["-energy"]},
    }


def test_a_click_on_a_head_sorts_by_it_first_and_keeps_the_former_key(alice, five):
    heads = [
        head.all("a")[0].attributes["href"]
        for head in alice.read("/runs/", sort="-energy").root.all("th")
        if head.all("a")
    ]
    asked = [parse_qs(link.lstrip("?"))["sort"] for link in heads if "sort=" in link]
    assert ["energy"] in asked
    assert ["-started,-energy"] in asked


def test_columns_are_chosen(alice, five):
    page = alice.read("/runs/", column=["tags", "energy"], params="lr, opt", q="a")
    heads = [head.text for head in page.one("thead").all("th")]
    assert heads == ["Run", "Tags", "lr", "opt", "Energy (kWh)"]
    assert page.table()[0][1:] == ["night bf16", "0.1", "adam", "1"]


def test_hardware_is_named_and_counted(alice, five):
    device = Device.objects.filter(run__name="e").get()
    device.pk, device.key = None, "gpu-1"
    device.save()
    cells = alice.read("/runs/", column="hardware").column(1)
    assert cells == ["2 × NVIDIA A100 SXM4 40GB", *["NVIDIA A100 SXM4 40GB"] * 4]


def test_a_baseline_shows_how_much_more_the_others_used(alice, five):
    base = Run.objects.get(name="b")
    page = alice.read("/runs/", base=str(base.run_id), sort="name")
    assert "Compared with b" in page.by_id("base").text
    assert page.column(5) == ["1 −1 kWh (−50 %)", "2", "3 +1 kWh (+50 %)", "4 +2 kWh (+100 %)", "4 +2 kWh (+100 %)"]


def test_charlies_run_is_no_baseline_for_alice(alice, charlies_wire, five):
    other = charlies_wire.whole_run(name="secret")
    assert "secret" not in alice.read("/runs/", base=other).text


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", [["resnet", "3", "11"], ["bert", "2", "3"]]),
        ("kind", [["Inference", "2", "8"], ["Training", "3", "6"]]),
        ("project", [["Digits", "5", "14"]]),
        ("tag", [["no tag", "3", "11"], ["night", "2", "3"], ["bf16", "1", "1"]]),
        ("hardware", [["NVIDIA A100 SXM4 40GB", "5", "14"]]),
        ("param:opt", [["not set", "3", "11"], ["sgd", "1", "2"], ["adam", "1", "1"]]),
    ],
)
def test_runs_are_grouped_with_count_and_sum(alice, five, by, expected):
    assert [row[:3] for row in alice.read("/runs/", group=by).table()] == expected


def test_a_run_is_in_the_group_of_each_accelerator_else_of_its_processors(alice, wire, profile):
    other = {"key": "gpu-1", "kind": "gpu", "name": "Odd card", "uuid": "GPU-2"}
    both = [sample(key, 60, 30, 3600.0) for key in ("gpu-0", "gpu-1", "cpu-0")]
    wire.whole_run([sample("cpu-0", 60, 30)], [CPU])
    wire.whole_run(both, [METERED, other, CPU])
    wire.start()
    wire.whole_run([sample("gpu-0", 60, 30, 3600.0)], [METERED])
    rows = {row[0]: row[1] for row in alice.read("/runs/", group="hardware").table()}
    assert rows.pop("NVIDIA A100 SXM4 40GB") == "2"
    assert rows.pop("no device") == "1"
    assert sorted(rows.values()) == ["1", "1"]


def test_a_group_has_mean_and_standard_deviation_of_a_run(alice, five):
    rows = {row[0]: row[3] for row in alice.read("/runs/", group="model").table()}
    assert rows["bert"] == "1.5 ± 0.707"
    assert {row[0]: row[3] for row in alice.read("/runs/", group="param:opt").table()}["sgd"] == "2 ± –"


def test_a_group_leads_to_its_runs_within_the_filters(alice, five):
    page = alice.read("/runs/", group="tag", kind="training")
    (link,) = (link.attributes["href"] for link in page.one("table").all("a") if link.text == "night")
    assert "".join(names(alice.read(f"/runs/{link}"))) == "ba"


def test_archived_runs_leave_the_list_but_not_the_totals(alice, five):
    before = alice.read("/", range="all").text
    Run.objects.filter(name="e").update(archived_at=timezone.now())
    assert "".join(names(alice.read("/runs/"))) == "dcba"
    assert "".join(names(alice.read("/runs/", archived="only"))) == "e"
    assert "".join(names(alice.read("/runs/", archived="too"))) == "edcba"
    after = alice.read("/", range="all").text
    assert after.split("Latest runs")[0] == before.split("Latest runs")[0]


def test_a_list_of_archived_runs_alone_says_so(alice, run):
    run()
    Run.objects.update(archived_at=timezone.now())
    assert "All runs are archived" in alice.read("/runs/").text
