"""A run's dropped records are a sum over writers; a team called All is not what asks for all teams; lists go by
arrival (PS6), so the indexes that they walk do."""

from django.db import migrations, models
from django.utils.crypto import get_random_string

from runs.sql.indexes import SearchIndex

SUMS = ["energy_kwh", "emissions_kg", "duration_s", "shared_kwh", "shared_kg"]
IN_ORDER = ["project", "archived_at", "received_at", "id"]
SEARCHED = [*IN_ORDER, "name", "tracked_model", "run_id", *SUMS, "started_at", "tags", "params"]
LISTED = [*IN_ORDER, "kind", "status", "tracked_model", *SUMS, "started_at"]
ADDED_UP = ["project", "archived_at", "tracked_model", "hardware", *SUMS]


def rename_all(apps, schema_editor):
    apps.get_model("runs", "Team").objects.filter(slug="all").update(slug=f"all-{get_random_string(6)}".lower())


class Migration(migrations.Migration):
    dependencies = [("runs", "0022_figures_that_hold")]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="dropped_records",
            field=models.PositiveBigIntegerField(default=0, help_text="Of all its writers together."),
        ),
        # All three, for of those that hold what is asked for SQLite takes the one that was made last.
        *(migrations.RemoveIndex("run", name) for name in ("run_searched", "run_listed", "run_added_up")),
        migrations.AddIndex("run", SearchIndex(fields=SEARCHED, name="run_searched")),
        migrations.AddIndex("run", models.Index(fields=LISTED, name="run_listed")),
        migrations.AddIndex("run", SearchIndex(fields=ADDED_UP, name="run_added_up")),
        migrations.RunPython(rename_all, migrations.RunPython.noop),
    ]
