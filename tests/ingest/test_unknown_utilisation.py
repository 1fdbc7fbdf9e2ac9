"""Devices that tell no utilisation: from the wire to the figures, unknown is never taken for idle."""

from datetime import UTC, datetime, timedelta

import pytest

from runs.figures.candidates import work_of
from runs.figures.curves import curves
from runs.models import DailyUsage, Run
from runs.run_page.page import run_page
from tests.wire import A100, batch, sample

pytestmark = pytest.mark.django_db
SLICE = A100 | {"basis": "sensor", "share": 2 / 7}


def test_a_measured_device_without_utilisation_has_no_idle_energy(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, None, 3.6e5)], [SLICE])
    run = Run.objects.get()
    assert (run.energy_kwh, run.idle_kwh) == (0.1, 0.0)
    assert sum(DailyUsage.objects.values_list("idle_kwh", flat=True)) == 0.0
    device = run.devices.get()
    assert (device.busy_s, device.utilisation) == (None, None)


def test_one_that_was_idle_all_the_time_has_it_all(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, 0.0, 3.6e5)], [SLICE])
    assert Run.objects.get().idle_kwh == pytest.approx(0.1)


def test_an_estimate_without_utilisation_takes_all_of_the_time_for_busy_and_may_be_idle(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, None)])
    device = Run.objects.get().devices.get()
    assert device.energy_kwh == pytest.approx(0.4)  # 400 W at full load, 46 W idle
    assert device.energy_low_kwh < 0.046
    assert device.energy_high_kwh > 0.4
    assert Run.objects.get().idle_kwh == 0.0


@pytest.mark.parametrize("busy_s", [None, 1800.0])
def test_the_days_of_such_a_device_add_up_to_it(wire, catalogue, busy_s):
    """Utilisation may be told late, on the second day."""
    run_id = wire.start(started_at=(datetime.now(UTC) - timedelta(hours=30)).isoformat())
    first, second = sample("gpu-0", 3600, None), sample("gpu-0", 100_000, busy_s)
    wire.send(run_id, "b-1", batch([first]))
    wire.send(run_id, "b-2", batch([second]))
    run = Run.objects.get()
    assert run.devices.get().busy_s == busy_s
    assert sum(DailyUsage.objects.values_list("energy_kwh", flat=True)) == pytest.approx(run.energy_kwh, rel=1e-12)


def test_its_curves_have_power_and_no_utilisation(wire, catalogue):
    samples = [sample("gpu-0", 0, 0.0, 0.0)] + [sample("gpu-0", at, None, 100.0 * at) for at in (10, 20, 30)]
    wire.whole_run(samples, [SLICE])
    run = Run.objects.get()
    (curve,) = curves(run, list(run.devices.select_related("profile", "writer")))
    assert curve.powers_w.means[1:] == pytest.approx([100] * 3)
    assert set(curve.utilisations.means) == {None}


def test_a_refused_sample_names_what_is_wrong(wire):
    run_id = wire.start()
    answer = wire.send(run_id, "b-1", batch([sample("gpu-0", 10, None), {"device": "gpu-0", "t_s": 2, "elapsed_s": 2}]))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["samples[1].busy_s"]


def test_the_page_says_that_it_is_not_known(wire, catalogue, client):
    wire.whole_run([sample("gpu-0", 3600, None), sample("gpu-0", 3601, None)])
    page = run_page(Run.objects.get())
    assert [row.device.utilisation for row in page.devices] == [None]
    assert page.devices[0].terms["is_busy_known"] is False


def test_the_api_gives_null(wire, catalogue):
    run_id = wire.whole_run([sample("gpu-0", 10, None), sample("gpu-0", 20, None)])
    assert wire.get(f"runs/{run_id}").json()["devices"][0]["busy_s"] is None
    assert set(wire.get(f"runs/{run_id}/series").json()["devices"][0]["busy_s"]) == {None}


def test_the_same_work_elsewhere_is_planned_as_busy_as_what_is_known(wire, catalogue):
    wire.whole_run([sample("gpu-0", 3600, None, 3.6e5)], [SLICE])
    assert work_of(Run.objects.get()).utilisation == 1.0


def test_a_split_counter_is_a_measured_basis_with_a_range_of_its_own(wire, catalogue):
    from tests.wire import CPU

    wire.whole_run([sample("cpu-0", 3600, 1800, 3.6e5)], [CPU | {"basis": "split"}])
    device = Run.objects.get().devices.get()
    assert (device.basis, Run.objects.get().measured_share) == ("split", 1.0)
    assert device.energy_low_kwh < 0.07
    assert device.energy_high_kwh > 0.15
