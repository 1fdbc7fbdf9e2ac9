"""Idle runs of a project in the order of their idle energy, of which the overview reads the first few."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0035_run_sums"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="run",
            name="run_idled",
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("idle_kwh__gt", 0)),
                fields=["project", "idle_kwh", "id", "started_at", "kind", "tracked_model", "member_id"],
                name="run_idled",
            ),
        ),
    ]
