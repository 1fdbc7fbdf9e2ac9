from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0024_admin_words")]

    operations = [
        migrations.CreateModel(
            name="Remembered",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("value", models.JSONField(null=True)),
                ("until", models.FloatField(db_index=True, help_text="Seconds since 1970.")),
            ],
            options={"verbose_name_plural": "remembered"},
        ),
        # Its throttles were minutes old at most.
        migrations.RunSQL("DROP TABLE IF EXISTS cache", migrations.RunSQL.noop),
        migrations.AddField(
            "writer",
            "last_sha256",
            models.CharField(
                blank=True, default="", max_length=64, help_text="Of its last header or end: the same again changes nothing."
            ),
        ),
    ]
