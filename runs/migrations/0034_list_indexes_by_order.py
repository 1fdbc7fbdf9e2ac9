"""Narrow indexes that hold the ended runs of a project in each order of the list, instead of wide ones."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0033_words"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True)
                & models.Q(("status", "completed"), _negated=True),
                fields=["project", "started_at", "energy_kwh", "status", "kind", "tracked_model", "member_id"],
                name="run_ended_otherwise",
            ),
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_by_arrival",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_by_energy",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_unfinished",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_searched",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_listed",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_added_up",
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["project", "received_at", "id", "archived_at"], name="run_by_arrival"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "energy_kwh", "id", "archived_at", "status"],
                name="run_by_energy",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "emissions_kg", "id", "archived_at", "status"],
                name="run_by_emissions",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "idle_kwh", "id", "archived_at", "status"],
                name="run_by_idle",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "duration_s", "id", "archived_at", "status"],
                name="run_by_duration",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "started_at", "id", "archived_at", "status"],
                name="run_by_started",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "name", "id", "archived_at", "status"],
                name="run_by_name",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running"), _negated=True),
                fields=["project", "kind", "id", "archived_at", "status"],
                name="run_by_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "running")),
                fields=[
                    "status",
                    "project",
                    "archived_at",
                    "last_seen_at",
                    "upload_interval_s",
                    "kind",
                    "tracked_model",
                    "member_id",
                    "received_at",
                    "started_at",
                    "name",
                    "duration_s",
                    "energy_kwh",
                    "emissions_kg",
                    "idle_kwh",
                    "shared_kwh",
                    "shared_kg",
                ],
                name="run_unfinished",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("archived_at__isnull", False)),
                fields=["project", "archived_at", "energy_kwh", "emissions_kg", "shared_kwh", "shared_kg"],
                name="run_archived",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["project", "kind", "status", "member_id"], name="run_by_state"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("exception", ""), _negated=True),
                fields=["project", "exception"],
                name="run_by_exception",
            ),
        ),
    ]
