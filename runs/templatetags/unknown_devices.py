"""What the admin's start page says of the catalogue."""

from django import template

from runs.models import Device

register = template.Library()


@register.simple_tag
def unknown_device_count(user) -> int:
    """How many names agents reported that no profile has; 0 for whoever may not look at them."""
    return Device.objects.unknown_name_count() if user.has_perm("runs.view_unknowndevice") else 0
