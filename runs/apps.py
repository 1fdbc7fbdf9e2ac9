from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class RunsConfig(AppConfig):
    name = "runs"
    verbose_name = "Runs and emissions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from traceml_site import checks  # noqa: F401 (registers the system checks)

        post_migrate.connect(keep_triggers, sender=self)


def keep_triggers(using: str, **others) -> None:
    """Create the triggers that are missing: on SQLite, a migration that rebuilds the table of runs takes them away."""
    from runs.sql import run_sums, words

    with connections[using].cursor() as cursor:
        is_distributed = getattr(connections[using], "is_distributed", False)  # Citus allows no triggers there
        if not is_distributed and "runs_runsums" in connections[using].introspection.table_names(cursor):
            words.keep(cursor.execute, connections[using].vendor)
            run_sums.keep(cursor.execute, connections[using].vendor)
