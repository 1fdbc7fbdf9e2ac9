from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0014_run_hardware")]

    operations = [
        migrations.AddField(model_name="device", name="host_cores", field=models.FloatField(null=True)),
        migrations.AddField(model_name="device", name="host_threads", field=models.FloatField(null=True)),
    ]
