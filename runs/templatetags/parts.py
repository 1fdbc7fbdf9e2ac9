"""Small parts of many pages: icons, badges, logged values."""

from functools import lru_cache

from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from django import template
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.text import Truncator

from runs.figures import units

register = template.Library()
register.filter(units.as_json)

#: The most names in a list of choices.
MOST_OFFERED = 300

BASES = {
    "counter": ("measured", "Measured: counter", "Read from the hardware's own energy counter"),
    "sensor": ("measured", "Measured: sensor", "Power read from the hardware's sensor and added up over time"),
    "split": (
        "measured",
        "Measured: part",
        "The run's share of what a counter of the whole processor or memory measured",
    ),
    "reported": ("estimated", "Reported", "Calculated by the tool that recorded the run, in its own way"),
    "modelled": ("estimated", "Modelled", "Calculated by a method for a model that runs elsewhere; nobody measured it"),
    "tdp": ("estimated", "Estimated: TDP", "Between idle and full-load power of the matched hardware profile"),
    "fallback": ("fallback", "Estimated: fallback", "The device is not in the catalogue: a typical power of its kind"),
}
STATES = {
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "stopped": "Stopped",
    "lost": "Lost",
}
#: A badge stays on one line, on a phone too.
LONGEST_EXCEPTION = 36


@lru_cache(maxsize=256)
def badge(look: str, icon: str, word: str, title: str):
    """A badge as HTML; cached, because lists repeat the same few."""
    return render_to_string("partials/_badge.html", {"look": look, "icon": icon, "word": word, "title": title})


@register.inclusion_tag("partials/_icon.html")
def icon(name: str):
    return {"sprite": staticfiles_storage.url("img/icons.svg"), "name": name}


@register.simple_block_tag
def each(content, rows):
    """What is in the block, once for each row, with the row's values, escaped, where it says `{}`.

    For hundreds of rows: `for` and a tag for each value take five times as long.
    """
    return format_html_join("", content, rows)


@register.inclusion_tag("partials/_options.html")
def options(choices: list[tuple[str, str]], chosen: str):
    """A select's options from values and words; of thousands the first ones and the chosen one."""
    at = next((n for n, (value, _) in enumerate(choices) if value == chosen), len(choices))
    before, after = choices[: min(at, MOST_OFFERED)], choices[at + 1 : MOST_OFFERED]
    left_out = len(choices) - len(before) - len(choices[at : at + 1]) - len(after)
    return {
        "before": before,
        "chosen": choices[at : at + 1],
        "after": after,
        "left_out": f"{left_out:,}" if left_out else "",
    }


@register.simple_tag
def state(run):
    """The run's state as a word with icon and colour; a failure with its exception's type."""
    word, title = STATES[run.state], ""
    if run.state == "failed" and run.exception:
        word, title = f"{word}: {Truncator(run.exception).chars(LONGEST_EXCEPTION)}", run.exception
    elif run.state == "stopped":
        title = "Stopped by a signal, for example by a scheduler or when a service is shut down"
    elif run.state == "lost":
        title = "Silent for longer than three upload intervals; late data revives it"
    return badge(run.state, run.state, word, title)


@register.simple_tag
def basis(name: str):
    """The basis of an energy value, as a badge."""
    icon_name, word, title = BASES.get(name, ("fallback", "Nothing measured yet", ""))
    return badge(name, icon_name, word, title)


@register.inclusion_tag("partials/_range_bar.html")
def range_bar(row, most_kwh: float):
    """Energy as a bar, with its range as a whisker, in percent of the largest high end."""
    scale = 100 / most_kwh if most_kwh > 0 else 0.0
    low, high = row.energy_low_kwh * scale, row.energy_high_kwh * scale
    ends = units.range_text("energy", row.energy_low_kwh, row.energy_high_kwh, row.energy_kwh)
    return {"row": row, "ends": ends, "width": row.energy_kwh * scale, "low": low, "range": high - low}


@register.inclusion_tag("partials/_parts_bar.html")
def parts_bar(segments: list[dict]):
    """A footprint as a bar of training, inference and other."""
    words = ", ".join(f"{each['name']} {units.text('emissions', each['kg'])}" for each in segments)
    parts = [(each["name"], f"{each['start']:.3f}", f"{each['width']:.3f}") for each in segments]
    return {"words": words, "parts": parts}


@register.simple_tag
def mail_is_set_up() -> bool:
    return settings.MAIL_IS_SET_UP


@register.simple_tag(takes_context=True)
def sign_on_elsewhere(context) -> list:
    """The OpenID Connect providers that OIDC_… names."""
    return get_social_adapter().list_providers(context["request"]) if settings.SIGN_ON_ELSEWHERE else []
