"""Sums of runs by what they have in common (runs/sql/run_sums.py)."""

from django.db import migrations, models

from runs.sql import run_sums


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0034_list_indexes_by_order'),
    ]

    operations = [
        migrations.CreateModel(
            name='RunSums',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('project_id', models.BigIntegerField()),
                ('tracked_model_id', models.BigIntegerField()),
                ('kind', models.CharField(max_length=12)),
                ('is_archived', models.BooleanField()),
                ('facet', models.TextField()),
                ('value', models.TextField()),
                ('runs', models.BigIntegerField()),
                ('duration_s', models.FloatField()),
                ('energy_kwh', models.FloatField()),
                ('emissions_kg', models.FloatField()),
                ('shared_kwh', models.FloatField()),
                ('shared_kg', models.FloatField()),
                ('squared_kwh', models.FloatField(help_text='Sum of the squares of energy_kwh, for standard deviations.')),
                ('squared_kg', models.FloatField(help_text='The same of emissions_kg.')),
                ('is_new', models.BooleanField(default=False, help_text='Not merged yet.')),
            ],
            options={
                'verbose_name_plural': 'run sums',
                'indexes': [models.Index(fields=['project_id', 'facet'], name='run_sums_by_facet'), models.Index(condition=models.Q(('is_new', True)), fields=['id'], name='run_sums_new')],
            },
        ),
        migrations.RunPython(lambda apps, editor: run_sums.create(editor), lambda apps, editor: run_sums.drop(editor)),
    ]
