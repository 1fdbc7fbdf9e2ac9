"""A long run keeps a thinned curve while its batches arrive: its page shows what all samples would show."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.figures.curves import Curve, curves, energy_until_j
from runs.ingest.removal import remove_series
from runs.models import Batch, Run, RunCurve
from runs.run_page import series
from runs.run_page.page import RunPageQuery, run_page
from runs.thinning import keeping
from runs.thinning.values import thinned_values
from tests.wire import A100, CPU, ago, batch

pytestmark = pytest.mark.django_db
METERED = A100 | {"measured_by": "counter"}
BATCHES, AT_ONCE, STEP_S = 40, 10, 10.0


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A run counts as long from a few hundred samples on."""
    monkeypatch.setattr(keeping, "MOST_WAITING", 300)
    monkeypatch.setattr(keeping, "MOST_OF_A_DEVICE", 60)
    monkeypatch.setattr(keeping, "STAGES_KEPT", 3)
    monkeypatch.setattr("runs.run_page.stage_pages.STAGES_SHOWN", 3)


def bodies() -> list[dict]:
    """A GPU with one short peak, a CPU without a meter, a stage every 35 s, and a loss that is best once."""
    dice, energy_j, busy_s, found = random.Random(17), 0.0, 0.0, []
    for number in range(BATCHES):
        samples, at_s = [], number * AT_ONCE * STEP_S
        for step in range(1, AT_ONCE + 1):
            t_s = at_s + step * STEP_S
            busy = 1.0 if t_s == 1230 else dice.uniform(0.2, 0.6)
            energy_j, busy_s = energy_j + STEP_S * 400 * busy, busy_s + STEP_S * busy
            counters = {"t_s": t_s, "elapsed_s": t_s, "busy_s": busy_s}
            samples += [
                {"device": "gpu-0", "energy_j": energy_j} | counters,
                {"device": "cpu-0", "energy_j": None} | counters,
            ]
        loss = {"name": "loss", "value": 0.01 if number == 12 else 2.0 + dice.random()}
        stages = [
            {"id": f"e{n}", "name": f"epoch {n}", "start_s": 35.0 * n, "end_s": 35.0 * (n + 1)}
            for n in range(200)
            if at_s < 35.0 * (n + 1) <= at_s + AT_ONCE * STEP_S
        ]
        metrics = [loss | {"t_s": at_s + 4.0 * n} for n in range(25)] if number == 12 else [loss | {"t_s": at_s}]
        found.append(batch(samples, [METERED, CPU], stages=stages, metrics=metrics))
    return found


def upload(wire, numbered) -> Run:
    run_id = wire.start(started_at=ago(hours=3))
    for number, body in numbered:
        assert wire.send(run_id, f"b-{number}", body).status_code == 201
    return Run.objects.select_related("factor", "tracked_model", "project", "curve").get(run_id=run_id)


@pytest.fixture
def long(wire, catalogue) -> Run:
    return upload(wire, enumerate(bodies()))


def devices_of(run: Run) -> list:
    return list(run.devices.select_related("profile", "writer").order_by("key"))


def of_all(run: Run) -> list[Curve]:
    return curves(run, devices_of(run))


def of_kept(run: Run) -> list[Curve]:
    return curves(run, devices_of(run), run.batches.filter(pk__gt=run.curve.through_id), run.curve)


def test_it_reads_few_samples(long):
    whole, kept = of_all(long), of_kept(long)
    assert [len(curve.at_s) for curve in whole] == [BATCHES * AT_ONCE + 1] * 2
    assert all(len(curve.at_s) < 150 for curve in kept)
    assert long.batches.filter(pk__gt=long.curve.through_id).count() < 10


def test_the_counters_of_each_kept_sample_are_those_of_all_samples(long):
    for whole, kept in zip(of_all(long), of_kept(long), strict=True):
        assert [kept.at(at_s) for at_s in kept.at_s] == [pytest.approx(whole.at(at_s)) for at_s in kept.at_s]


def test_a_peak_between_two_samples_is_not_lost(long):
    for whole, kept in zip(of_all(long), of_kept(long), strict=True):
        assert kept.most_power_w == pytest.approx(whole.most_power_w, rel=1e-5)
    whole, kept = (series.says(each, long, 0.0, 4000.0) for each in (of_all(long), of_kept(long)))
    for name, numbers in whole.items():
        assert kept[name] == pytest.approx(numbers, rel=1e-5)


@pytest.mark.parametrize("page", ["1", "2", "20", "38"])
def test_the_energy_of_each_stage_is_that_of_all_samples(long, page):
    whole = of_all(long)
    rows = run_page(long, RunPageQuery(stages=page)).stages
    assert len(rows) == 3
    for row in rows:
        used_j = energy_until_j(whole, row.end_s) - energy_until_j(whole, row.start_s)
        assert row.energy_kwh == pytest.approx(used_j / 3.6e6, rel=1e-9)


def test_a_part_of_it_is_shown_with_all_of_its_samples(long):
    asked = RunPageQuery(start_s=1000.0, end_s=1400.0)
    (power, *_) = run_page(long, asked).charts
    assert len(power.labels) == 40


def test_the_best_value_of_a_metric_is_still_there(long):
    page = run_page(long)
    assert page.metrics_offered == ["loss"]
    assert page.learned.best == 0.01


def test_any_order_of_arrival_gives_the_same_curve(wire, catalogue, long):
    numbered = list(enumerate(bodies()))
    random.Random(5).shuffle(numbered)
    other = upload(wire, numbered)
    keeping.fold(long), keeping.fold(other)
    for one, two in zip(of_all(long), of_kept(other), strict=True):
        assert [two.at(at_s) for at_s in two.at_s] == [pytest.approx(one.at(at_s)) for at_s in two.at_s]
        assert two.most_power_w == pytest.approx(one.most_power_w, rel=0.2)
        assert two.most_power_w <= one.most_power_w * (1 + 1e-6)


def test_what_is_sent_again_changes_nothing(wire, long):
    before = RunCurve.objects.values().get()
    for number, body in enumerate(bodies()):
        assert wire.send(str(long.run_id), f"b-{number}", body).status_code == 200
    assert RunCurve.objects.values().get() == before
    assert Run.objects.get().curve_behind == long.curve_behind


def test_samples_that_arrive_in_two_batches_count_once(wire, long):
    body = bodies()[-1] | {"stages": [], "metrics": []}
    wire.send(str(long.run_id), "the same under another name", body)
    before = of_kept(long)
    keeping.fold(long)
    after = of_kept(Run.objects.select_related("curve").get())
    assert [curve.energy_j[-1] for curve in after] == [curve.energy_j[-1] for curve in before]


def test_retention_takes_the_curve_with_the_samples(alice, long):
    remove_series(long)
    kept = RunCurve.objects.get()
    assert (bytes(kept.series), kept.logged, kept.peaks) == (b"", {}, {})
    assert "were removed" in alice.read(f"/runs/{long.run_id}/").by_id("removed").text


def test_its_page_takes_no_more_queries_than_a_short_one(alice, long, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        alice.get(f"/runs/{long.run_id}/")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_its_file_is_on_its_way_before_all_is_read(alice, long, monkeypatch, form):
    """A gateway cuts what stays silent; and a month of samples must not be in memory at once."""
    monkeypatch.setattr("runs.run_page.export.READ_AT_ONCE", 2)
    monkeypatch.setattr("runs.exports.files.LINES_AT_ONCE", 20)
    with CaptureQueriesContext(connection) as queries:
        blocks = iter(alice.get(f"/runs/{long.run_id}/series.{form}").streaming_content)
        first, reads = next(blocks), len(queries)
        rest = b"".join(blocks)
    assert len(queries) >= reads + BATCHES // 2 - 2
    assert first.count(b"gpu-0") == 10
    assert (first + rest).count(b"gpu-0") == BATCHES * AT_ONCE


def test_a_short_run_keeps_no_curve(wire, catalogue):
    wire.send(wire.start(), "b-0", bodies()[0])
    assert (Batch.objects.count(), RunCurve.objects.count()) == (1, 0)


def test_of_many_values_the_extremes_the_ends_and_the_last_before_a_moment_are_kept():
    rows = [[float(n), "loss", float((n * 37) % 101)] for n in range(2000)]
    kept = thinned_values(rows, 100, [777.5])
    assert len(kept) <= 102
    assert {rows[0][0], rows[-1][0], 777.0} <= {row[0] for row in kept}
    assert {0.0, 100.0} <= {row[2] for row in kept}
