from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    verbose_name = "Runs and emissions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from traceml_site import checks  # noqa: F401 (registers the system checks)
