"""A deleted run leaves nothing behind: no rows of its own, and nothing in the daily totals."""

from django.db.models import Sum
from django.urls import reverse

from runs.models import Batch, DailyUsage, Device, Run
from tests.wire import A100, sample

METERED = A100 | {"basis": "counter"}


def total() -> dict:
    return DailyUsage.objects.aggregate(runs=Sum("runs"), energy_kwh=Sum("energy_kwh"))


def metered(wire, kwh: float) -> Run:
    return Run.objects.get(run_id=wire.whole_run([sample("gpu-0", 3600, 0, kwh * 3.6e6)], [METERED]))


def test_a_run_that_staff_delete_takes_its_share_of_the_totals_with_it(wire, admin_client):
    kept, deleted = metered(wire, 1.0), metered(wire, 2.0)
    assert total() == {"runs": 2, "energy_kwh": 3.0}
    admin_client.post(reverse("admin:runs_run_delete", args=[deleted.pk]), {"post": "yes"})
    assert total() == {"runs": 1, "energy_kwh": 1.0}
    assert {Run.objects.get(), Device.objects.get().run, Batch.objects.get().run} == {kept}


def test_runs_that_staff_delete_together_do_so_too(wire, admin_client):
    runs = [metered(wire, 1.0), metered(wire, 2.0)]
    chosen = {"action": "delete_selected", "_selected_action": [run.pk for run in runs], "post": "yes"}
    admin_client.post(reverse("admin:runs_run_changelist"), chosen)
    assert total() == {"runs": 0, "energy_kwh": 0.0}
    assert not Run.objects.exists()
