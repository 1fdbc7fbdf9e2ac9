"""Indexes of a single column where a wider one begins with it: an upload wrote each of them too.

By hand, as SQLite would copy each table, a million runs with it, to change the options of a field.
"""

import django.db.models.deletion
from django.db import migrations, models

#: Each field whose index goes, by its model.
REDUNDANT = [
    ("call", "writer"),
    ("dailyusage", "project"),
    ("device", "profile"),
    ("device", "writer"),
    ("metric", "run"),
    ("projectusage", "project"),
    ("run", "project"),
    ("run", "tracked_model"),
    ("runusage", "project"),
    ("stage", "writer"),
    ("taggedusage", "project"),
    ("writer", "run"),
]


def drop(apps, schema_editor) -> None:
    connection = schema_editor.connection
    for model_name, field_name in REDUNDANT:
        model = apps.get_model("runs", model_name)
        column = model._meta.get_field(field_name).column
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, index in found.items():
            if index["index"] and not index["unique"] and index["columns"] == [column]:
                schema_editor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")


def restore(apps, schema_editor) -> None:
    for model_name, field_name in REDUNDANT:
        model = apps.get_model("runs", model_name)
        schema_editor.execute(schema_editor._create_index_sql(model, fields=[model._meta.get_field(field_name)]))


class Migration(migrations.Migration):
    dependencies = [
        ("hardware", "0006_words"),
        ("runs", "0036_idle_runs_by_order"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="device", name="run_by_profile"),
        migrations.AddIndex(
            model_name="device", index=models.Index(fields=["profile", "run", "project"], name="run_by_profile")
        ),
        migrations.AddIndex(
            model_name="dailyusage", index=models.Index(fields=["project", "hardware"], name="usage_by_hardware")
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop, restore, elidable=False)],
            state_operations=[
                migrations.AlterField(
                    model_name="call",
                    name="writer",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="calls",
                        to="runs.writer",
                    ),
                ),
                migrations.AlterField(
                    model_name="dailyusage",
                    name="project",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="runs.project"
                    ),
                ),
                migrations.AlterField(
                    model_name="device",
                    name="profile",
                    field=models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="hardware.hardwareprofile",
                    ),
                ),
                migrations.AlterField(
                    model_name="device",
                    name="writer",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="devices",
                        to="runs.writer",
                    ),
                ),
                migrations.AlterField(
                    model_name="metric",
                    name="run",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="metrics",
                        to="runs.run",
                    ),
                ),
                migrations.AlterField(
                    model_name="projectusage",
                    name="project",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="runs.project"
                    ),
                ),
                migrations.AlterField(
                    model_name="run",
                    name="project",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="runs.project"
                    ),
                ),
                migrations.AlterField(
                    model_name="run",
                    name="tracked_model",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="runs.trackedmodel"
                    ),
                ),
                migrations.AlterField(
                    model_name="runusage",
                    name="project",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="runs.project"
                    ),
                ),
                migrations.AlterField(
                    model_name="stage",
                    name="writer",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stages",
                        to="runs.writer",
                    ),
                ),
                migrations.AlterField(
                    model_name="taggedusage",
                    name="project",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="runs.project"
                    ),
                ),
                migrations.AlterField(
                    model_name="writer",
                    name="run",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="writers",
                        to="runs.run",
                    ),
                ),
            ],
        ),
    ]
