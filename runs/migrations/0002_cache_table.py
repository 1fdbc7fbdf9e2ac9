from django.core.management import call_command
from django.db import migrations


def make_cache_table(apps, schema_editor):
    """Login throttles count in the database's cache table unless CACHE_URL names another cache."""
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]

    operations = [migrations.RunPython(make_cache_table, migrations.RunPython.noop)]
