"""Every number that stands twice is the same: a walk of the demo's pages, exports, shared pages, badges and API.

Each place tells what it says of which quantity (`Said`): a run, a model or a project, and energy, emissions and so on.
Whatever is said of one quantity has to be equal, and to read the same.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest
from django.core.management import call_command

from hardware.models import HardwareAlias, HardwareProfile
from runs.demo.load import OWNER
from runs.figures import units
from runs.jobs import reestimate
from runs.models import Badge, DailyUsage, EmissionFactor, MonthlyUsage, Run, ShareLink, TrackedModel, User
from tests import people as cast
from tests.screens.conftest import Reader
from tests.screens.html import Element, Page

RUNS_WALKED = 12
SYMBOLS = {unit.symbol: (quantity, unit) for quantity, scale in units.SCALES.items() for unit in scale if unit.symbol}
NUMBER = re.compile(r"-?[\d,]*\.?\d+(?:e-?\d+)?")
#: Nothing is told more exactly than this where a place rounds what it says.
ALIKE = 1e-9


class Said(NamedTuple):
    """What a place says of a quantity: the exact value, or a text that rounds it."""

    of: str
    place: str
    value: float | None = None
    text: str = ""


@pytest.fixture
def reader(db, catalogue) -> Reader:
    """The demo's owner, after figures of the past have moved: a device was resolved, and another factor is in force."""
    call_command("load_demo", size=0.08, verbosity=0)
    owner = Reader()
    owner.force_login(User.objects.get(email=OWNER))
    known = HardwareProfile.objects.filter(kind="npu", fallback=False).first()
    HardwareAlias(profile=known, name="Helix NX-1 engineering sample").save()
    reestimate.request("The prototype is known now")
    reestimate.work_off()
    EmissionFactor.objects.create(kg_per_kwh=0.51, year=2025, source="Another average").put_in_force()
    half = Run.objects.order_by("pk")[: Run.objects.count() // 2]
    for run in half:
        reestimate.redo_one(run, None)
    return owner


def test_every_number_that_stands_twice_is_the_same(reader):
    said = [*_of_runs(reader), *_of_models(reader), *_of_all(reader)]
    by_quantity: dict[str, list[Said]] = defaultdict(list)
    for each in said:
        by_quantity[each.of].append(each)
    assert len(said) > 1000
    assert sum(len(places) > 1 for places in by_quantity.values()) > 150
    assert [found for places in by_quantity.values() if (found := _contradiction(places))] == []


def _contradiction(places: list[Said]) -> str:
    """Two places that don't agree, in words."""
    exact = [each for each in places if each.value is not None]
    for one, other in pairwise(exact):
        if abs(one.value - other.value) > ALIKE * max(abs(one.value), abs(other.value)):
            return f"{one.of}: {one.value!r} in {one.place}, {other.value!r} in {other.place}"
    texts = {each.text for each in places if each.text}
    if exact and len(texts) > 1:
        return f"{places[0].of} reads {texts} in {[each.place for each in places]}"
    return ""


# What pages say


def _figure(of: str, place: str, element: Element, text: bool = True) -> Said:
    """The first figure of an element."""
    data = element.all("data")[0]
    return Said(of, place, float(data.attributes["value"]), data.text if text else "")


def _of_runs(reader: Reader) -> Iterator[Said]:
    runs = list(Run.objects.filter(energy_kwh__gt=0).order_by("pk"))
    walked = runs[:: max(1, len(runs) // RUNS_WALKED)]
    for run in walked:
        yield from _of_a_run_page(f"run {run.run_id}", "its page", reader.read(f"/runs/{run.run_id}/"))
        _, secret = ShareLink.make(run, 7, True, User.objects.get(email=OWNER))
        yield from _of_a_run_page(f"run {run.run_id}", "its shared page", reader.read(f"/s/{secret}/"))
    yield from _of_lists(reader)
    yield from _of_exports(reader)
    yield from _of_comparisons(reader, walked)
    yield from _of_the_api(reader, walked)


def _of_a_run_page(run: str, place: str, page: Page) -> Iterator[Said]:
    for name in ("emissions", "energy"):
        yield _figure(f"{run} {name}", place, page.by_id(name))
    figures = {dd.attributes["data-figure"]: dd for dd in page.root.all("dd") if "data-figure" in dd.attributes}
    yield _figure(f"{run} duration", place, figures["duration"])
    yield _figure(f"{run} measured", place, figures["measured"])
    energy, power = page.data("energy-data"), page.data("power-data")
    yield Said(f"{run} energy", f"{place}, last of its energy chart", energy["says"]["last"])
    yield Said(f"{run} emissions", f"{place}, last of its energy chart", energy["says"]["twin"])
    yield Said(f"{run} energy", f"{place}, end of its energy chart", sum(one["values"][-1] for one in energy["series"]))
    (chart,) = (each for each in page.root.all("figure") if each.attributes.get("data-source") == "power-data")
    yield Said(f"{run} energy", f"{place}, sum under its power chart", sum(chart.all("tfoot")[0].figures))
    yield Said(f"{run} mean power", f"{place}, caption", power["says"]["mean"])
    assert power["says"]["most"] >= power["says"]["mean"] * (1 - ALIKE)
    yield from _of_devices(run, place, page, power)
    _stages_keep_below_the_most(page, power)
    calculated = page.by_id("calculation").text
    shown = re.findall(r"= ([\d.e,-]+) kg CO₂e", calculated)[-1].replace(",", "")
    exact = _figure("", "", page.by_id("emissions")).value
    assert float(shown) == pytest.approx(exact, rel=1e-6), (run, place)


def _of_devices(run: str, place: str, page: Page, power: dict) -> Iterator[Said]:
    rows = page.by_id("devices").all("tbody")[0].all("tr")
    energies = []
    for row in rows:
        energy, _, mean, most, _ = (data for data in row.all("data"))
        energies.append(float(energy.attributes["value"]))
        assert float(most.attributes["value"]) >= float(mean.attributes["value"]) * (1 - ALIKE)
        assert float(most.attributes["value"]) <= power["says"]["most"] * (1 + 1e-6)
    yield Said(f"{run} energy", f"{place}, sum of its devices", sum(energies))


def _stages_keep_below_the_most(page: Page, power: dict) -> None:
    ids = [element for element in page.root.all("section") if element.attributes.get("id") == "stages"]
    for row in ids[0].all("tbody")[0].all("tr") if ids else []:
        _, mean_w, *_ = row.figures
        assert mean_w <= power["says"]["most"] * (1 + 1e-3)


def _of_lists(reader: Reader) -> Iterator[Said]:
    number = 1
    columns = ["energy", "emissions", "duration", "measured", "started"]
    while True:
        page = reader.read("/runs/", page=number, archived="too", column=columns)
        for row in page.root.all("tr"):
            if not (name := row.attributes.get("id", "")).startswith("run-"):
                continue
            run = f"run {name.removeprefix('run-')}"
            cells = {cell.attributes.get("data-label", "").split(" (")[0]: cell for cell in row.all("td")}
            yield Said(f"{run} duration", "the list of runs", None, cells["Duration"].text)
            for word, column in (("Energy", "energy"), ("CO₂e", "emissions"), ("Measured", "measured")):
                yield _figure(f"{run} {column}", "the list of runs", cells[word], text=False)
        if not any("rel" in link.attributes and link.attributes["rel"] == "next" for link in page.root.all("a")):
            break
        number += 1
    total = page.by_id("total")
    *_, energy, emissions = total.figures
    yield Said("all energy", "the total of the list of runs", energy)
    yield Said("all emissions", "the total of the list of runs", emissions)


def _of_exports(reader: Reader) -> Iterator[Said]:
    text = b"".join(reader.get("/runs/export.csv", {"archived": "too"}).streaming_content).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    rows = json.loads(b"".join(reader.get("/runs/export.json", {"archived": "too"}).streaming_content))
    for place, found in (("CSV of runs", lines), ("JSON of runs", rows)):
        yield Said("all energy", f"sum of {place}", sum(float(row["energy_kwh"]) for row in found))
        yield Said("all emissions", f"sum of {place}", sum(float(row["emissions_kg"]) for row in found))
        for row in found:
            run = f"run {row['run_id']}"
            yield Said(f"{run} energy", place, float(row["energy_kwh"]))
            yield Said(f"{run} emissions", place, float(row["emissions_kg"]))
            yield Said(f"{run} duration", place, float(row["duration_s"]))
            yield Said(f"{run} measured", place, float(row["measured_share"]))
            yield Said(f"{run} factor", place, float(row["factor_kg_per_kwh"]))


def _of_comparisons(reader: Reader, runs: list[Run]) -> Iterator[Said]:
    words = {"Energy": "energy", "CO₂e": "emissions", "Duration": "duration", "Mean power": "mean power"}
    words |= {"Measured share": "measured", "Emission factor": "factor"}
    for first in range(0, len(runs), 8):
        asked = [str(run.run_id) for run in runs[first : first + 8]]
        lines = reader.get("/compare/export.csv", {"run": asked}).content.decode()
        for line in csv.reader(io.StringIO(lines)):
            for run, value in zip(asked, line[2:], strict=True):
                if line[0] in words:
                    yield Said(f"run {run} {words[line[0]]}", "CSV of a comparison", float(value))
        for row in reader.read("/compare/", run=asked).by_id("figures").all("tbody")[0].all("tr"):
            word = row.all("th")[0].text.split(" (")[0]
            for run, cell in zip(asked, row.all("td"), strict=True):
                if word in words:
                    yield _figure(f"run {run} {words[word]}", "a comparison", cell, text=word == "Duration")


def _of_the_api(reader: Reader, runs: list[Run]) -> Iterator[Said]:
    for project in {run.project for run in runs}:
        token = {"headers": {"Authorization": f"Bearer {cast.token(project, 'read')}"}}
        total = reader.get("/api/v1/summary", **token).json()["total"]
        yield Said(f"project {project.slug} energy", "API summary", total["total_energy_kwh"])
        yield Said(f"project {project.slug} emissions", "API summary", total["total_emissions_kg"])
        yield Said(f"project {project.slug} device-hours", "API summary", total["total_device_s"])
        for model in reader.get("/api/v1/models?page_size=200", **token).json()["results"]:
            name = f"model {project.slug}/{model['slug']}"
            yield Said(f"{name} energy", "API models", model["energy_kwh"])
            yield Said(f"{name} emissions", "API models", model["emissions_kg"])
            yield Said(f"{name} runs", "API models", model["runs"])
        for run in [run for run in runs if run.project == project]:
            found = reader.get(f"/api/v1/runs/{run.run_id}", **token).json()
            yield Said(f"run {run.run_id} energy", "API run", found["energy_kwh"])
            yield Said(f"run {run.run_id} emissions", "API run", found["emissions_kg"])
            yield Said(f"run {run.run_id} duration", "API run", found["duration_s"])
            yield Said(f"run {run.run_id} factor", "API run", found["factor"]["kg_per_kwh"])


def _of_models(reader: Reader) -> Iterator[Said]:
    owner = User.objects.get(email=OWNER)
    for model in TrackedModel.objects.select_related("project"):
        name, address = f"model {model.project.slug}/{model.slug}", f"/models/{model.project.slug}/{model.slug}/"
        page = reader.read(address)
        yield from _of_a_model_page(name, "its page", page)
        _, secret = ShareLink.make(model, 7, True, owner)
        yield from _of_a_model_page(name, "its shared page", reader.read(f"/s/{secret}/"))
        badge = reader.get(f"/badge/{Badge.make(model, 'x', owner).key}.svg").content.decode()
        yield Said(f"{name} emissions", "its badge", None, re.search(r"x: ([\d.,e-]+ \w+) CO", badge)[1])
        yield from _of_citations(reader, name, address)
        for table in (DailyUsage, MonthlyUsage):
            used = table.objects.filter(tracked_model=model)
            yield Said(f"{name} energy", f"{table.__name__}", sum(used.values_list("energy_kwh", flat=True)))
    for row in reader.read("/models/").root.all("tbody")[0].all("tr"):
        name = "model " + row.all("a")[0].attributes["href"].removeprefix("/models/").rstrip("/")
        cells = {cell.attributes.get("data-label", "").split(" (")[0]: cell for cell in row.all("td")}
        yield _figure(f"{name} emissions", "the list of models", cells["CO₂e"], text=False)
        yield _figure(f"{name} energy", "the list of models", cells["Energy"], text=False)
        yield _figure(f"{name} runs", "the list of models", cells["Runs"])


def _of_a_model_page(name: str, place: str, page: Page) -> Iterator[Said]:
    emissions, energy, runs, *_ = page.root.all("dl")[0].all("div")
    yield _figure(f"{name} emissions", place, emissions)
    yield _figure(f"{name} energy", place, energy)
    yield _figure(f"{name} runs", place, runs)
    (life,) = (table for table in page.root.all("table") if "Phase" in table.text)
    whole = life.all("tbody")[0].all("tr")[-1].figures
    yield Said(f"{name} runs", f"{place}, whole life", whole[0])
    yield Said(f"{name} energy", f"{place}, whole life", whole[1])
    yield Said(f"{name} emissions", f"{place}, whole life", whole[2])
    growth = page.data("growth-data")
    drawn = sum(one["values"][-1] for one in growth["series"])
    assert drawn == pytest.approx(whole[2], rel=1e-5)
    assert units.text("emissions", whole[2]) in page.text


def _of_citations(reader: Reader, name: str, address: str) -> Iterator[Said]:
    for scope, of in (("life", name), ("both", f"{name} training"), ("training", f"{name} training")):
        answer = reader.get(f"{address.rstrip('/')}/cite.json", {"of": scope})
        if answer.status_code == 404:
            continue
        facts = json.loads(answer.content)
        place = f"cited as {scope}"
        yield Said(f"{of} energy", place, facts["energy_kwh"])
        yield Said(f"{of} emissions", place, facts["emissions_kg"])
        page = reader.read(f"{address}cite/", of=scope)
        (head,) = (each for each in page.root.all("p") if "of the energy measured" in each.text and each.all("data"))
        energy, emissions, *_ = head.all("data")
        for word, data in (("energy", energy), ("emissions", emissions)):
            yield Said(f"{of} {word}", f"{place}, head of the page", float(data.attributes["value"]), data.text)
        sentence = page.by_id("text-md").text.replace("\u00a0", " ")
        assert f"used {energy.text} of electricity" in sentence
        assert f"corresponds to {emissions.text} CO₂e" in sentence
        grams = float(re.search(r" emissions: (\d[\d.e+-]*)", page.by_id("text-yaml").text)[1])
        assert grams == pytest.approx(1000 * facts["emissions_kg"], rel=1e-5)


def _of_all(reader: Reader) -> Iterator[Said]:
    page = reader.read("/", range="all")
    emissions, energy, hours, runs, _ = (
        page.by_id("key-figures").all("dd")[0],
        *([dd for dd in page.by_id("key-figures").all("dd") if dd.attributes.get("class") == "value"][1:]),
    )
    yield _figure("all emissions", "the overview", emissions)
    yield _figure("all energy", "the overview", energy)
    yield _figure("all runs", "the overview", runs)
    yield _figure("all device-hours", "the overview", hours)
    models = [table for table in page.root.all("table") if "Footprint" in table.all("thead")[0].text and table.all("a")]
    for row in models[0].all("tbody")[0].all("tr"):
        name = "model " + row.all("a")[0].attributes["href"].removeprefix("/models/").rstrip("/")
        cells = {cell.attributes.get("data-label", "").split(" (")[0]: cell for cell in row.all("td")}
        yield _figure(f"{name} emissions", "the overview", cells["CO₂e"], text=False)
        yield _figure(f"{name} energy", "the overview", cells["Energy"], text=False)
    (head,) = (each for each in reader.read("/models/").root.all("p") if "over their whole life" in each.text)
    _, energy, emissions = head.all("data")
    yield Said("all energy", "the head of the models", float(energy.attributes["value"]), energy.text)
    yield Said("all emissions", "the head of the models", float(emissions.attributes["value"]), emissions.text)


# How numbers read


def test_every_figure_reads_as_its_exact_value_rounded(reader):
    """On every kind of page: no figure is rounded twice, or by another rule."""
    run = Run.objects.filter(energy_kwh__gt=0, kind="training").first()
    model = run.tracked_model
    paths = [
        "/",
        "/?range=all&show=kwh",
        "/runs/",
        "/runs/?group=model",
        "/models/",
        "/hardware/?seen=1",
        "/methodology/",
    ]
    paths += [f"/runs/{run.run_id}/", f"/models/{model.project.slug}/{model.slug}/", f"/compare/?run={run.run_id}"]
    paths += [f"/models/{model.project.slug}/{model.slug}/cite/", f"/plan/?run={run.run_id}", "/hardware/nvidia-l4/"]
    odd = [f"{path}: {found}" for path in paths for found in _misread(reader.read(path))]
    assert odd == []


def _misread(page: Page) -> Iterator[str]:
    for data in page.root.all("data"):
        number = NUMBER.match(data.text)
        if data.text.startswith("<") or not number:
            continue
        value, shown = float(data.attributes["value"]), float(number[0].replace(",", ""))
        symbol = data.all("span")[0].text if data.all("span") else ""
        if not symbol or symbol not in SYMBOLS:
            continue
        _, unit = SYMBOLS[symbol]
        if units.significant(value / unit.size) != number[0] and shown != value / unit.size:
            yield f"{data.text} for {value!r}"


#: What no page says: digits that floating-point numbers leave, ranges of nothing, plurals of one, two forms of a month.
NOISE = [
    r"\d\.\d*0{7,}[1-9]",
    r"\d\.\d*9{7,}\d",
    r"\(([\d.,]+)–\1\b",
    r"\b1 (files|days|runs|devices|profiles|models|times|values|stages)\b",
    r"\bSept\b",
    r"\d[eE]\+\d",
]


def test_nothing_reads_like_a_machine(reader):
    run = Run.objects.filter(energy_kwh__gt=0).first()
    model = run.tracked_model
    paths = ["/", "/?range=7", "/runs/", "/models/", "/methodology/", "/hardware/?seen=unknown", f"/runs/{run.run_id}/"]
    paths += [f"/models/{model.project.slug}/{model.slug}/", f"/models/{model.project.slug}/{model.slug}/cite/"]
    paths += [f"/compare/?run={run.run_id}", f"/plan/?run={run.run_id}"]
    texts = {path: " ".join(_words(reader.read(path).one("main"))) for path in paths}
    found = [(path, match[0]) for path, text in texts.items() for noise in NOISE if (match := re.search(noise, text))]
    assert found == []


def _words(element: Element) -> Iterator[str]:
    """What people read: not what is for scripts, nor exact numbers as JSON."""
    for child in element.children:
        if isinstance(child, str):
            yield child
        elif child.tag != "script" and child.attributes.get("id") != "text-json":
            yield from _words(child)
