"""Tags of the pages of hardware alone."""

from django import template

from runs.figures import units

register = template.Library()


@register.inclusion_tag("hardware_pages/_power_scale.html")
def power_scale(page):
    """A device's mean power as a bar, with a line from idle to full load, in percent of the largest of them."""
    scale = 100 / max(page.mean_w, page.full_load_w, page.idle_w)
    words = (("Idle", page.idle_w), ("mean in your runs", page.mean_w), ("full load", page.full_load_w))
    return {
        "mean": page.mean_w * scale,
        "idle": page.idle_w * scale,
        "range": (page.full_load_w - page.idle_w) * scale,
        "sentence": ", ".join(f"{word} {units.text('power', power_w)}" for word, power_w in words) + ".",
    }
