"""Runs of a project that failed or were cancelled in the order of their energy, of which the overview reads the first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0038_monthly_usage"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="run",
            name="run_ended_otherwise",
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(models.Q(("status", "running"), _negated=True), models.Q(("status", "completed"), _negated=True)),
                fields=["project", "energy_kwh", "id", "started_at", "status", "kind", "tracked_model", "member_id"],
                name="run_ended_otherwise",
            ),
        ),
    ]
