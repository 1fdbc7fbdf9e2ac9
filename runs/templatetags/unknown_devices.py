"""What the admin's start page says of the catalogue."""

from django import template

from runs.models import Device

register = template.Library()


@register.simple_tag
def unknown_device_count(user) -> int:
    """The number of reported names without a profile; 0 for people who may not see them."""
    return Device.objects.unknown_name_count() if user.has_perm("runs.view_unknowndevice") else 0
