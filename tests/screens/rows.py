"""Rows of daily usage for tests, without the runs that would make them."""

from datetime import date

from runs.models import DailyUsage, Project, TrackedModel

DAY = date(2026, 11, 25)


def usage(project: Project, model: str = "resnet-50", *, kg: float, kind: str = "training", day: date = DAY, **more):
    """A day's emissions of a model with the energy that belongs to them, by default half of it measured."""
    kwh = 2 * kg
    amounts = {
        "emissions_kg": kg,
        "energy_kwh": kwh,
        "energy_low_kwh": 0.8 * kwh,
        "energy_high_kwh": 1.2 * kwh,
        "measured_kwh": kwh / 2,
        "device_s": 3600.0,
        "hardware": "nvidia-tesla-t4",
    }
    tracked = TrackedModel.named(project, model)
    return DailyUsage.objects.create(project=project, tracked_model=tracked, kind=kind, day=day, **(amounts | more))
