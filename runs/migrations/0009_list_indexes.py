from django.db import migrations, models

import runs.sql.indexes


class Migration(migrations.Migration):
    dependencies = [("runs", "0008_matched_by")]

    operations = [
        migrations.RemoveIndex(model_name="run", name="run_listed"),
        migrations.RemoveIndex(model_name="run", name="run_unfinished"),
        migrations.AddIndex(
            model_name="run",
            index=runs.sql.indexes.SearchIndex(
                fields=[
                    "project",
                    "archived_at",
                    "started_at",
                    "id",
                    "name",
                    "tracked_model",
                    "run_id",
                    "energy_kwh",
                    "emissions_kg",
                    "duration_s",
                    "tags",
                    "params",
                ],
                name="run_searched",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=[
                    "project",
                    "archived_at",
                    "started_at",
                    "id",
                    "kind",
                    "status",
                    "tracked_model",
                    "energy_kwh",
                    "emissions_kg",
                    "duration_s",
                ],
                name="run_listed",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=["project", "archived_at", "tracked_model", "energy_kwh", "emissions_kg", "duration_s"],
                name="run_added_up",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["project", "archived_at", "energy_kwh"], name="run_by_energy"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running")),
                fields=["project", "archived_at", "last_seen_at", "upload_interval_s"],
                name="run_unfinished",
            ),
        ),
        migrations.AddIndex(
            model_name="dailyusage",
            index=models.Index(
                fields=["project", "tracked_model", "kind", "runs", "emissions_kg", "energy_kwh", "measured_kwh"],
                name="usage_footprint",
            ),
        ),
    ]
