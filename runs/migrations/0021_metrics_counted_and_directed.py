from collections import Counter
from itertools import groupby
from operator import itemgetter

import django.db.models.deletion
from django.db import migrations, models

AT_ONCE = 500


def count(apps, schema_editor):
    """How often each metric was logged, from the batches of runs that have them all, a run at a time."""
    metrics = apps.get_model("runs", "Metric").objects
    batches = apps.get_model("runs", "Batch").objects.exclude(metrics=[]).filter(run__series_removed_at=None)
    rows = batches.order_by("run_id").values_list("run_id", "metrics").iterator(chunk_size=AT_ONCE)
    for run, of_run in groupby(rows, key=itemgetter(0)):
        counts = Counter(name for _, logged in of_run for _, name, _ in logged)
        counted = list(metrics.filter(run_id=run, name__in=counts))
        for metric in counted:
            metric.count = counts[metric.name]
        metrics.bulk_update(counted, ["count"])


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0020_run_usage'),
    ]

    operations = [
        migrations.AddField(
            model_name='metric',
            name='count',
            field=models.PositiveBigIntegerField(help_text='How often; null: logged before this was counted.', null=True),
        ),
        migrations.CreateModel(
            name='MetricDirection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('lower', models.BooleanField(help_text='Whether less is better.')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='runs.project')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('project', 'name'), name='metric_direction_once')],
            },
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
