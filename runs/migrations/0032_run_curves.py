import django.db.models.deletion
from django.db import migrations, models


def replace_index(apps, schema_editor):
    """Drop the index of batches by run alone, which `batch_by_arrival` replaces.

    Altering the field would make SQLite copy the whole table, which holds every sample.
    """
    table, connection = apps.get_model("runs", "Batch")._meta.db_table, schema_editor.connection
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    for name, about in found.items():
        if about["index"] and not about["unique"] and about["columns"] == ["run_id"]:
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


def restore_index(apps, schema_editor):
    schema_editor.execute("CREATE INDEX runs_batch_run_id ON runs_batch (run_id)")


class Migration(migrations.Migration):
    dependencies = [("runs", "0031_arrivals")]

    operations = [
        migrations.CreateModel(
            name="RunCurve",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="curve",
                        serialize=False,
                        to="runs.run",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="runs.project"),
                ),
                ("through_id", models.BigIntegerField(default=0, help_text="The latest batch in it.")),
                (
                    "interval_ms",
                    models.BigIntegerField(
                        default=1000, help_text="Of each device, the last sample in each is kept."
                    ),
                ),
                (
                    "longest_s",
                    models.FloatField(default=0.0, help_text="Of its batches, by the times of their samples."),
                ),
                (
                    "peaks",
                    models.JSONField(default=dict, help_text="By writer: highest power of its devices, and when."),
                ),
                ("series", models.BinaryField(default=b"")),
                (
                    "logged",
                    models.JSONField(
                        default=dict, help_text="By writer: time in s, name and value of logged metrics."
                    ),
                ),
                ("heard_at", models.DateTimeField(help_text="When the latest batch in it arrived.", null=True)),
                (
                    "silences",
                    models.JSONField(
                        default=list, help_text="Begin and end of the last silences that made the run lost."
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="run",
            name="curve_behind",
            field=models.PositiveIntegerField(
                help_text="How much of its batches is not in its RunCurve yet, in samples.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["run", "id"], name="batch_by_arrival"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["run", "first_t_s"], name="batch_by_time"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(replace_index, restore_index)],
            state_operations=[
                migrations.AlterField(
                    model_name="batch",
                    name="run",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="batches",
                        to="runs.run",
                    ),
                ),
            ],
        ),
    ]
