from collections import defaultdict
from itertools import groupby

from django.db import migrations, models

import runs.sql.indexes

AT_ONCE = 500


def name_hardware(apps, schema_editor):
    """What runs that are there ran on, from their devices: as ingest/totals.py does it from now on."""
    counted = apps.get_model("runs", "Device").objects.filter(counted=True).exclude(kind="ram").order_by("run")
    rows = counted.values_list("run", "kind", "profile__slug", "name").iterator()
    runs_on = defaultdict(list)
    for run, devices in groupby(rows, key=lambda row: row[0]):
        by_cpu = defaultdict(set)
        for _, kind, slug, name in devices:
            by_cpu[kind == "cpu"].add(slug or name)
        runs_on[tuple(sorted(by_cpu[False] or by_cpu[True]))].append(run)
    table = apps.get_model("runs", "Run")
    for hardware, pks in runs_on.items():
        for first in range(0, len(pks), AT_ONCE):
            table.objects.filter(pk__in=pks[first : first + AT_ONCE]).update(hardware=list(hardware))


class Migration(migrations.Migration):
    dependencies = [("runs", "0013_usage_indexes")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="hardware",
            field=models.JSONField(
                default=list, help_text="Slugs of its accelerators, else processors; names where none."
            ),
        ),
        migrations.RemoveIndex(model_name="run", name="run_added_up"),
        migrations.RunPython(name_hardware, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="run",
            index=runs.sql.indexes.SearchIndex(
                fields=[
                    "project",
                    "archived_at",
                    "tracked_model",
                    "hardware",
                    "energy_kwh",
                    "emissions_kg",
                    "duration_s",
                ],
                name="run_added_up",
            ),
        ),
    ]
