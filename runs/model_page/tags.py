"""Template tags that only a model's page uses."""

from django import template
from django.utils.html import json_script

register = template.Library()


@register.simple_tag
def points_data(chart, runs):
    """Return the data of a chart of points, which refer to `runs`."""
    return json_script(chart.data(runs), chart.data_id)
