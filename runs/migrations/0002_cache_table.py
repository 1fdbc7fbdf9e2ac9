from django.core.management import call_command
from django.db import migrations


def make_cache_table(apps, schema_editor):
    """Login throttles counted in it until 0023; backups of those releases have it."""
    call_command("createcachetable", "cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]

    operations = [migrations.RunPython(make_cache_table, migrations.RunPython.noop)]
