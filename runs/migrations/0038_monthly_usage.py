"""Totals by month, filled from those by day; two indexes of these go, as what read them reads months now."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Sum
from django.db.models.functions import TruncMonth

OWNER = ("project_id", "tracked_model_id", "kind", "member_id", "device_kind", "hardware")
AMOUNTS = (
    "runs",
    "duration_s",
    "device_s",
    "energy_kwh",
    "energy_low_kwh",
    "energy_high_kwh",
    "measured_kwh",
    "modelled_kwh",
    "emissions_kg",
    "failed_kwh",
    "cancelled_kwh",
    "idle_kwh",
    "carrying_s",
)


def fill(apps, schema_editor) -> None:
    """Add up the days, project by project."""
    days, months = apps.get_model("runs", "DailyUsage"), apps.get_model("runs", "MonthlyUsage")
    quote = schema_editor.connection.ops.quote_name
    columns = ", ".join(map(quote, (*OWNER, "day", *AMOUNTS)))
    sums = {f"{name}_sum": Sum(name) for name in AMOUNTS}
    for project_id in days.objects.order_by().values_list("project_id", flat=True).distinct():
        mine = days.objects.filter(project_id=project_id).order_by().annotate(month=TruncMonth("day"))
        added, params = mine.values_list(*OWNER, "month").annotate(**sums).query.sql_with_params()
        schema_editor.connection.cursor().execute(
            f"INSERT INTO {quote(months._meta.db_table)} ({columns}) {added}",  # noqa: S608 (names of ours)
            params,
        )


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0037_lean_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='MonthlyUsage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('runs', models.IntegerField(default=0)),
                ('duration_s', models.FloatField(default=0.0)),
                ('device_s', models.FloatField(default=0.0, help_text='Of accelerators and processors, not of memory.')),
                ('energy_kwh', models.FloatField(default=0.0)),
                ('energy_low_kwh', models.FloatField(default=0.0)),
                ('energy_high_kwh', models.FloatField(default=0.0)),
                ('measured_kwh', models.FloatField(default=0.0)),
                ('modelled_kwh', models.FloatField(default=0.0, help_text='Energy of hosted models.')),
                ('emissions_kg', models.FloatField(default=0.0)),
                ('failed_kwh', models.FloatField(default=0.0, help_text='Energy of runs that failed, if of a wastable kind.')),
                ('cancelled_kwh', models.FloatField(default=0.0, help_text='Energy of runs that were cancelled, if of a wastable kind.')),
                ('idle_kwh', models.FloatField(default=0.0, help_text='Energy of accelerators while they were not busy.')),
                ('carrying_s', models.FloatField(default=0.0, help_text="Device-seconds of a run's accelerators, or of its processors where it has none.")),
                ('kind', models.CharField(choices=[('training', 'Training'), ('finetuning', 'Finetuning'), ('evaluation', 'Evaluation'), ('inference', 'Inference'), ('other', 'Other')], max_length=12)),
                ('member_id', models.BigIntegerField(default=0, help_text='As in Run.')),
                ('device_kind', models.CharField(blank=True, max_length=8)),
                ('hardware', models.CharField(blank=True, help_text='Slug of the hardware profile.', max_length=200)),
            ],
            options={
                'verbose_name_plural': 'monthly usage',
            },
        ),
        migrations.RemoveIndex(
            model_name='dailyusage',
            name='usage_footprint',
        ),
        migrations.RemoveIndex(
            model_name='dailyusage',
            name='usage_by_hardware',
        ),
        migrations.AddField(
            model_name='monthlyusage',
            name='project',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='runs.project'),
        ),
        migrations.AddField(
            model_name='monthlyusage',
            name='tracked_model',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='runs.trackedmodel'),
        ),
        migrations.AddIndex(
            model_name='monthlyusage',
            index=models.Index(fields=['project', 'tracked_model', 'kind', 'member_id', 'hardware', 'day', 'runs', 'emissions_kg', 'energy_kwh', 'measured_kwh'], name='monthly_usage_footprint'),
        ),
        migrations.AddConstraint(
            model_name='monthlyusage',
            constraint=models.UniqueConstraint(fields=('project_id', 'tracked_model_id', 'kind', 'member_id', 'device_kind', 'hardware', 'day'), name='monthly_usage_once_per_key'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=False),
    ]
