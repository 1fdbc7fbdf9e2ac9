"""Runs side by side."""

import csv
import io
import uuid
from itertools import accumulate

import pytest

from runs.models import EmissionFactor
from tests.screens.conftest import METERED
from tests.wire import batch, sample


@pytest.fixture
def three(run) -> list[str]:
    return [
        run(kwh=2.0, name="base", params={"lr": 0.1, "same": 1}),
        run(kwh=1.0, name="half", params={"lr": 0.2, "same": 1}),
        run(kwh=3.0, name="more", params={"same": 1}),
    ]


def asked(runs, **more) -> dict:
    return {"run": runs} | more


def figures(page) -> dict[str, list[str]]:
    return {row[0].split(" (")[0]: row[1:] for row in page.table(0)}


def test_figures_stand_side_by_side_with_differences_to_the_first(alice, three):
    page = alice.read("/compare/", **asked(three))
    assert figures(page)["Energy"] == ["2", "1 −1 kWh (−50 %)", "3 +1 kWh (+50 %)"]
    assert figures(page)["Duration"][0] == "1 h"


def test_runs_of_two_factors_tell_them_apart(alice, run):
    first = run(kwh=1.0)
    EmissionFactor.objects.create(kg_per_kwh=0.51, year=2025, source="Another average").put_in_force()
    rows = figures(alice.read("/compare/", run=[first, run(kwh=1.0)]))
    assert rows["Emission factor"][0] == "0.458"
    assert rows["Emission factor"][1].startswith("0.51 +0.052")


def test_another_base_is_in_the_address(alice, three):
    page = alice.read("/compare/", **asked(three, base=three[1]))
    assert figures(page)["Energy"] == ["2 +1 kWh (+100 %)", "1", "3 +2 kWh (+200 %)"]


def test_parameters_that_differ_come_alone_unless_all_are_asked_for(alice, three):
    rows = alice.read("/compare/", **asked(three)).table(-1)
    assert rows == [["lr", "0.1", "0.2", "–"]]
    assert ["same", "1", "1", "1"] in alice.read("/compare/", params="all", **asked(three)).table(-1)


def test_curves_lie_over_each_other_by_time_or_by_share_done(alice, wire, profile):
    long = wire.whole_run([sample("gpu-0", 1000, 500, 1e5), sample("gpu-0", 2000, 900, 2e5)], [METERED], name="long")
    short = wire.whole_run([sample("gpu-0", 1000, 500, 3e5)], [METERED], name="short")
    data = alice.read("/compare/", show="energy", **asked([long, short])).data("curves-data")
    last = {series["name"]: series["values"][-1] for series in data["series"]}
    assert last == {"long": pytest.approx(2e5 / 3.6e6), "short": None}
    data = alice.read("/compare/", show="energy", by="share", **asked([long, short])).data("curves-data")
    assert data["series"][1]["values"][-1] == pytest.approx(3e5 / 3.6e6)
    assert data["labels"][-1] == 1.0


def test_at_most_eight_runs_are_compared(alice, run):
    runs = [run() for _ in range(9)]
    page = alice.read("/compare/", **asked(runs))
    assert len(figures(page)["Energy"]) == 8
    assert "the first 8 are shown" in page.text


def test_charlie_compares_nothing_of_theirs(charlie, three):
    assert "Nothing to compare yet" in charlie.read("/compare/", **asked(three)).text
    assert charlie.get("/compare/export.csv", asked(three)).status_code == 404


def test_a_run_that_is_not_there_is_left_out_and_said_so(alice, three):
    page = alice.read("/compare/", **asked([three[0], str(uuid.uuid4()), "x"]))
    assert "not there, or you may not see them" in page.text
    assert len(figures(page)["Energy"]) == 1


def test_groups_of_three_are_tested(alice, run):
    runs = [run(kwh=kwh, model="one", tags=[]) for kwh in (1.0, 1.1, 1.2)]
    runs += [run(kwh=kwh, model="two", tags=[]) for kwh in (2.0, 2.2, 2.1)]
    row = alice.read("/compare/", **asked(runs)).by_id("tests").all("tr")[1]
    assert "two (3) against one (3)" in row.text
    assert row.figures[-1] == pytest.approx(0.00026, rel=0.1)


def test_the_table_can_be_taken_along(alice, three):
    rows = list(csv.reader(io.StringIO(alice.get("/compare/export.csv", asked(three)).content.decode())))
    assert rows[0] == ["figure", "unit", "base (base)", "half", "more"]
    assert [float(value) for value in rows[1][2:]] == pytest.approx([2.0, 1.0, 3.0])
    assert (
        alice.get("/compare/export.md", asked(three)).content.decode().splitlines()[2] == "| Energy (kWh) | 2 | 1 | 3 |"
    )


def test_latex_and_markdown_take_no_commands_from_names(alice, run):
    runs = [run(name=r"a_b & \input{x} $1$ 50%"), run(name="pipe | [link](x)")]
    latex = alice.get("/compare/export.tex", asked(runs)).content.decode()
    assert r"a\_b \& \textbackslash{}input\{x\} \$1\$ 50\%" in latex
    markdown = alice.get("/compare/export.md", asked(runs)).content.decode()
    assert r"pipe \| \[link\](x)" in markdown


def staged(wire, name: str, epochs: list[float]) -> str:
    """A run whose epochs of a quarter of an hour used these kWh."""
    samples = [sample("gpu-0", 900 * n, 450 * n, 3.6e6 * kwh) for n, kwh in enumerate(accumulate(epochs), start=1)]
    stages = [
        {"id": str(n), "name": f"epoch {n}", "parent": "", "start_s": 900 * (n - 1), "end_s": 900 * n}
        for n in range(1, len(epochs) + 1)
    ]
    run_id = wire.start(name=name)
    assert wire.send(run_id, "b-1", batch(samples, [METERED], stages=stages)).status_code == 201
    return run_id


def test_curves_lie_over_each_other_by_stage(alice, wire, profile):
    runs = [staged(wire, "long", [1.0, 2.0, 3.0]), staged(wire, "short", [4.0])]
    data = alice.read("/compare/", by="stage", **asked(runs)).data("curves-data")
    assert data["labels"] == [1, 2, 3]
    values = {series["name"]: series["values"] for series in data["series"]}
    assert values["long"] == pytest.approx([4000, 8000, 12000])
    assert values["short"] == [pytest.approx(16000), None, None]
    data = alice.read("/compare/", by="stage", show="energy", **asked(runs)).data("curves-data")
    assert data["series"][0]["values"] == pytest.approx([1.0, 3.0, 6.0])


def test_runs_without_stages_say_so_where_stages_are_asked_for(alice, three):
    assert "None of these runs has finished stages" in alice.read("/compare/", by="stage", **asked(three)).text


def test_energy_is_told_by_device(alice, three):
    data = alice.read("/compare/", **asked(three)).data("energies-data")
    (card,) = data["series"]
    assert (card["name"], card["values"]) == ("NVIDIA A100 SXM4 40GB", pytest.approx([2.0, 1.0, 3.0]))


def test_the_devices_are_named(alice, three):
    page = alice.read("/compare/", **asked(three))
    assert figures(page)["Devices"] == ["NVIDIA A100 SXM4 40GB"] * 3


def test_one_run_alone_leads_to_more_of_its_model(alice, three):
    page = alice.read("/compare/", run=three[0])
    assert "One run has nothing to be compared with" in page.text
    assert "/runs/?model=digits/resnet-50" in page.links()


def test_runs_that_are_not_there_are_told_from_none_asked_for(alice, people):
    missing = {"run": [str(uuid.uuid4()), str(uuid.uuid4())]}
    assert "None of the 2 requested runs exist" in alice.read("/compare/", **missing).text
    assert "requested" not in alice.read("/compare/").text


def test_groups_that_do_not_vary_have_no_p(alice, run):
    runs = [run(kwh=1.0, model="one", tags=[]) for _ in range(3)] + [run(kwh=2.0, model="two") for _ in range(3)]
    assert alice.read("/compare/", **asked(runs)).table(-1)[0][-2:] == ["–", "–"]


def log(wire, run_id: str, **values: tuple) -> None:
    metrics = [
        {"t_s": t_s, "name": name.replace("__", "/"), "value": value}
        for name, logged in values.items()
        for t_s, value in enumerate(logged)
    ]
    assert wire.send(run_id, "b-metrics", batch([], [], metrics=metrics)).status_code == 201


def test_metrics_are_compared_by_their_last_and_best_values(alice, wire, three):
    log(wire, three[0], val__loss=(0.9, 0.5, 0.6), f1_cancer=(0.5,), samples=(10, 20))
    log(wire, three[1], val__loss=(0.9, 0.3, 0.4), f1_cancer=(0.7,))
    rows = figures(alice.read("/compare/", **asked(three)))
    assert rows["val/loss, last"] == ["0.6", "0.4 −0.2 (−33 %)", "–"]
    assert rows["val/loss, best"] == ["0.5", "0.3 −0.2 (−40 %)", "–"]
    assert rows["f1_cancer"] == ["0.5", "0.7 +0.2 (+40 %)", "–"]
    assert rows["samples, total"] == ["30", "–", "–"]
    html = alice.get("/compare/", asked(three)).content.decode().partition("f1_cancer")[2]
    assert 'class="change up gain"' in html.partition("</tr>")[0]


def test_the_table_to_take_along_has_metrics_and_ranges(alice, wire, three):
    log(wire, three[0], **{"a|b": (0.2, 1 / 3)})
    rows = list(csv.reader(io.StringIO(alice.get("/compare/export.csv", asked(three)).content.decode())))
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["a|b"] == ["", repr(1 / 3), "", ""]
    assert [float(value) for value in by_name["Energy, low"][1:]] == pytest.approx([1.9, 0.95, 2.85])
    markdown = alice.get("/compare/export.md", asked(three)).content.decode()
    assert r"| a\|b | 0.33333 | – | – |" in markdown
    assert "a|b & 0.33333" in alice.get("/compare/export.tex", asked(three)).content.decode().replace(
        r"\textbar{}", "|"
    )


def test_energy_and_emissions_have_their_ranges(alice, three):
    rows = figures(alice.read("/compare/", **asked(three)))
    assert rows["Energy, range"] == ["1.9–2.1", "0.95–1.05", "2.85–3.15"]


def pairs_tested(page) -> list[list[str]]:
    return [
        [cell.text for cell in row.children if not isinstance(cell, str)] for row in page.by_id("tests").all("tr")[1:]
    ]


def test_two_tags_on_the_same_runs_are_not_tested_against_each_other(alice, run):
    runs = [run(kwh=kwh, model="m", tags=["a", "b"]) for kwh in (1.0, 2.0, 3.0)]
    row = pairs_tested(alice.read("/compare/", **asked(runs)))[-1]
    assert row[3:] == ["3 runs are in both: not tested", "–", "–"]


def test_a_difference_that_may_be_chance_is_called_not_significant(alice, run):
    runs = [run(kwh=kwh, model="one", tags=[]) for kwh in (1.0, 2.0, 3.0)]
    runs += [run(kwh=kwh, model="two", tags=[]) for kwh in (1.1, 2.1, 3.1)]
    assert pairs_tested(alice.read("/compare/", **asked(runs)))[0][3] == "no significant difference"
