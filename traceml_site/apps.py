"""Django's admin with the portal's own site, whose doors every registered model gets."""

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    default_site = "traceml_site.admin.Site"
