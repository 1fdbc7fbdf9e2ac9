"""Rows of daily usage for tests, without the runs that would make them."""

from datetime import date

from runs.models import DailyUsage, MonthlyUsage, Project, TrackedModel
from runs.models.usage import AMOUNTS, KEY

DAY = date(2026, 11, 25)


def usage(project: Project, model: str = "resnet-50", *, kg: float, kind: str = "training", day: date = DAY, **more):
    """A day's emissions of a model with their energy, by default half of it measured; they are in its month too."""
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
    about = {"project": project, "tracked_model": TrackedModel.named(project, model), "kind": kind}
    row = DailyUsage.objects.create(day=day, **(about | amounts | more))
    key = (*(getattr(row, name) for name in KEY[:-1]), f"{day:%Y-%m}-01")
    MonthlyUsage.objects.add({key: {name: getattr(row, name) for name in AMOUNTS}})
    return row
