"""Logged metrics are summed up once per run and name, in whatever order and how often batches come."""

from importlib import import_module
from itertools import permutations

import pytest
from django.apps import apps

from runs.models import Metric, Project
from tests.wire import batch
from traceml_agent.limits import MAX_METRIC_NAMES


def logged(*values: tuple[float, str, float], **more) -> dict:
    return batch(devices=[], metrics=[{"t_s": t, "name": name, "value": value} for t, name, value in values], **more)


def row(name: str) -> tuple:
    return Metric.objects.values_list("last", "lowest", "highest", "total").get(name=name)


def test_last_lowest_and_highest_are_kept(wire):
    run_id = wire.start()
    wire.send(run_id, "b-1", logged((1, "loss", 3.0), (2, "loss", 1.0), (3, "loss", 2.0)))
    assert row("loss") == (2.0, 1.0, 3.0, 0.0)


def test_values_are_counted_once_however_often_their_batch_comes(wire):
    run_id = wire.start()
    for batch_id in ("b-1", "b-1", "b-2"):
        wire.send(run_id, batch_id, logged((1, "loss", 3.0), (2, "loss", 2.0)))
    assert Metric.objects.get().count == 4


def test_the_migration_counts_what_was_logged_before_and_leaves_open_what_retention_took(wire):
    from runs.ingest.removal import remove_series
    from runs.models import Run

    kept, thinned = wire.start(), wire.start()
    for run_id in (kept, thinned):
        wire.send(run_id, "b-1", logged((1, "loss", 3.0), (2, "loss", 2.0), (2, "accuracy", 0.2)))
        wire.send(run_id, "b-2", logged((3, "loss", 1.0)))
    remove_series(Run.objects.get(run_id=thinned))
    wire.send(thinned, "b-3", logged((4, "loss", 1.0)))
    Metric.objects.update(count=None)
    import_module("runs.migrations.0021_metrics_counted_and_directed").count(apps, None)
    counts = {(str(row.run.run_id), row.name): row.count for row in Metric.objects.select_related("run")}
    assert counts == {
        (kept, "loss"): 3,
        (kept, "accuracy"): 1,
        (thinned, "loss"): None,
        (thinned, "accuracy"): None,
    }


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_batches_changes_nothing(wire, order):
    run_id = wire.start()
    bodies = [logged((10 * n, "loss", float(5 - n)), (10 * n, "samples", 100.0)) for n in range(3)]
    for n in (*order, *order):
        assert wire.send(run_id, f"b-{n}", bodies[n]).status_code in (200, 201)
    assert row("loss") == (3.0, 3.0, 5.0, 0.0)
    assert row("samples")[3] == 300.0


def test_later_is_told_by_the_clocks_of_both_writers(wire):
    run_id = wire.start(started_at="2026-11-20T10:00:00Z", writer_started_at="2026-11-20T10:00:00Z")
    second = {"writer": "w-2", "writer_started_at": "2026-11-20T12:00:00Z"}
    wire.send(run_id, "b-2", logged((5, "loss", 1.0), **second))
    wire.send(run_id, "b-1", logged((3600, "loss", 2.0)))
    assert row("loss")[0] == 1.0


def test_a_run_has_no_more_names_than_a_page_can_show(wire):
    run_id = wire.start()
    for part in range(3):
        wire.send(run_id, f"b-{part}", logged(*((n, f"m-{part}-{n}", 1.0) for n in range(60))))
    assert Metric.objects.count() == MAX_METRIC_NAMES


def test_they_stay_when_the_series_go_and_go_with_their_run(wire, people):
    from runs.ingest.removal import remove_run, remove_series
    from runs.models import Run

    run_id = wire.start()
    wire.send(run_id, "b-1", logged((1, "loss", 3.0)))
    remove_series(Run.objects.get())
    assert row("loss")[0] == 3.0
    remove_run(Run.objects.get(run_id=run_id))
    assert not Metric.objects.exists()
    assert Project.objects.filter(slug="digits").exists()


def test_the_migration_sums_up_what_was_logged_before_as_ingest_does(wire):
    for run in range(2):
        run_id = wire.start(started_at="2026-11-20T10:00:00Z")
        wire.send(run_id, "b-2", logged((30, "loss", 1.0), (31, "samples", 5.0)))
        wire.send(run_id, "b-1", logged((10, "loss", 3.0 + run), (11, "samples", 5.0)))
    columns = ("run_id", "project_id", "name", "last", "last_at", "lowest", "highest", "total")
    ingested = set(Metric.objects.values_list(*columns))
    Metric.objects.all().delete()
    import_module("runs.migrations.0011_model_page").sum_up(apps, None)
    assert set(Metric.objects.values_list(*columns)) == ingested
