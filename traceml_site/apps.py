"""Django's admin with the portal's own site, which adds access checks to every registered model."""

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    default_site = "traceml_site.admin.Site"
