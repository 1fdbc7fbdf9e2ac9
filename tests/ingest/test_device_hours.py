"""Device-hours are of what carries a run: its accelerators, in runs without any its processors, never memory."""

import pytest

from runs.models import DailyUsage, MonthlyUsage, ProjectUsage, TaggedUsage
from tests.wire import A100, CPU, MEMORY, sample

HOUR_S = 3600.0


def carried_s() -> set[float]:
    tables = (DailyUsage, MonthlyUsage, TaggedUsage, ProjectUsage)
    return {sum(table.objects.values_list("carrying_s", flat=True)) for table in tables}


def counters(*devices: dict) -> list[dict]:
    return [sample(device["key"], HOUR_S, HOUR_S / 2) for device in devices]


@pytest.mark.parametrize(
    ("devices", "hours"),
    [
        ([A100, CPU, MEMORY], 1),
        ([A100, A100 | {"key": "gpu-1", "uuid": "GPU-2"}, CPU], 2),
        ([CPU, MEMORY], 1),
        ([MEMORY], 0),
    ],
)
def test_they_are_of_accelerators_else_of_processors(wire, devices, hours):
    wire.whole_run(counters(*devices), devices, tags=["a"])
    assert carried_s() == {hours * HOUR_S}


def test_runs_of_both_kinds_add_up(wire):
    wire.whole_run(counters(A100, CPU), [A100, CPU], tags=["a"])
    wire.whole_run(counters(CPU), [CPU], tags=["a"])
    assert carried_s() == {2 * HOUR_S}
