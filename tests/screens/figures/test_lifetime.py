"""A model's whole life in numbers, worked out by hand."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from runs.figures.lifetime import lifetime, waste
from runs.models import EmissionFactor, Run, TrackedModel
from tests.screens.rows import usage
from tests.wire import lately

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(people) -> TrackedModel:
    return TrackedModel.named(people.project, "resnet-50")


def make_run(model: TrackedModel, kwh: float, **about) -> Run:
    """A run as ingest leaves it, at half a kilogram a kWh."""
    number = Run.objects.count()
    now = timezone.now()
    times = {"started_at": datetime.fromisoformat(lately()), "last_seen_at": now}
    amounts = {"energy_kwh": kwh, "energy_low_kwh": 0.9 * kwh, "energy_high_kwh": 1.1 * kwh, "emissions_kg": kwh / 2}
    factor = EmissionFactor.objects.active()
    about = {"status": "completed"} | times | amounts | about
    run_id = f"00000000-0000-0000-0000-{number:012}"
    return Run.objects.create(project=model.project, tracked_model=model, run_id=run_id, factor=factor, **about)


def test_parts_add_up_to_the_whole(people, model):
    usage(people.project, kg=3.0, kind="training")
    usage(people.project, kg=1.0, kind="finetuning", hardware="nvidia-l4")
    usage(people.project, kg=0.5, kind="evaluation", hardware="nvidia-l4")
    usage(people.project, kg=2.5, kind="inference")
    usage(people.project, "another", kg=100.0)
    life = lifetime(model)
    assert [(name, part.emissions_kg) for name, part in life.parts] == [
        ("Training, all attempts", 4.0),
        ("Evaluation", 0.5),
        ("Inference", 2.5),
        ("Other", 0.0),
    ]
    assert life.total.emissions_kg == 7.0
    assert life.total.energy_kwh == 14.0
    assert life.total.measured_share == 0.5
    assert (life.total.emissions_low_kg, life.total.emissions_high_kg) == pytest.approx((5.6, 8.4))


def test_hardware_has_its_share_of_energy_the_most_used_first(people, model):
    usage(people.project, kg=3.0, device_kind="gpu", device_s=7200.0)
    usage(people.project, kg=1.0, device_kind="cpu", hardware="cpu-x", kind="inference")
    shares = lifetime(model).hardware
    assert [(share.slug, share.share, share.device_s) for share in shares] == [
        ("nvidia-tesla-t4", 0.75, 7200.0),
        ("cpu-x", 0.25, 3600.0),
    ]


def test_nothing_used_is_zero_and_no_share(model):
    life = lifetime(model)
    assert life.total.energy_kwh == life.total.measured_share == life.total.emissions_high_kg == 0
    assert life.hardware == []


def test_waste_is_what_failed_cancelled_and_lost_runs_used(model):
    long_ago = timezone.now() - timedelta(days=1)
    make_run(model, 100.0)
    make_run(model, 1.0, status="failed")
    make_run(model, 2.0, status="failed")
    make_run(model, 4.0, status="cancelled")
    make_run(model, 8.0, status="running", last_seen_at=long_ago)
    make_run(model, 50.0, status="running")
    lost = waste(model, timezone.now())
    assert (lost.runs, lost.energy_kwh, lost.emissions_kg) == (4, 15.0, 7.5)
    assert lost.states == [("failed", 2, 3.0), ("cancelled", 1, 4.0), ("lost", 1, 8.0)]


def test_what_was_switched_off_is_no_waste_nor_is_a_service_however_it_ended(model):
    long_ago = timezone.now() - timedelta(days=1)
    make_run(model, 1.0, status="stopped")
    for kind in ("inference", "other"):
        make_run(model, 2.0, kind=kind, status="failed")
        make_run(model, 4.0, kind=kind, status="cancelled")
        make_run(model, 8.0, kind=kind, status="running", last_seen_at=long_ago)
    assert waste(model, timezone.now()).energy_kwh == 0.0


def test_a_run_is_lost_after_its_own_upload_intervals(model):
    silent = timezone.now() - timedelta(minutes=10)
    make_run(model, 1.0, status="running", last_seen_at=silent, upload_interval_s=3600)
    make_run(model, 2.0, status="running", last_seen_at=silent, upload_interval_s=30)
    assert waste(model, timezone.now()).energy_kwh == 2.0


def test_a_silence_of_days_is_lost_whatever_the_interval(model):
    make_run(model, 1.0, status="running", last_seen_at=timezone.now() - timedelta(days=4), upload_interval_s=86400)
    assert waste(model, timezone.now()).energy_kwh == 1.0
