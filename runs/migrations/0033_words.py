"""The index of words by which runs are found (runs/sql/words.py)."""

from django.db import migrations

from runs.sql import words


class Migration(migrations.Migration):
    dependencies = [("runs", "0032_run_curves")]

    operations = [
        migrations.RunPython(lambda apps, editor: words.create(editor), lambda apps, editor: words.drop(editor))
    ]
