"""A run's dropped records are a sum over writers; and a team called All is not what asks for all teams."""

from django.db import migrations, models
from django.utils.crypto import get_random_string


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
        migrations.RunPython(rename_all, migrations.RunPython.noop),
    ]
