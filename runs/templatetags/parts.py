"""Small parts of many pages: icons, badges, logged values."""

from functools import lru_cache

from allauth.account.adapter import get_adapter
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from django import template
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.loader import render_to_string
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.text import Truncator, capfirst

from runs.figures import units
from runs.templatetags.units import cell_html

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
SELECTED = mark_safe(" selected")
#: A badge stays on one line, on a phone too.
LONGEST_EXCEPTION = 36


@lru_cache(maxsize=256)
def badge(look: str, icon: str, word: str, title: str):
    """A badge as HTML; cached, because lists repeat the same few."""
    return render_to_string("partials/_badge.html", {"look": look, "icon": icon, "word": word, "title": title})


@register.inclusion_tag("partials/_icon.html")
def icon(name: str):
    return {"sprite": staticfiles_storage.url("img/icons.svg"), "name": name}


@register.simple_tag
def options(choices: list[tuple[str, str]], chosen: str):
    """A select's options from values and words, in one go; of thousands the first ones and the chosen one."""
    shown = choices[:MOST_OFFERED] + [each for each in choices[MOST_OFFERED:] if each[0] == chosen]
    rows = ((value, SELECTED if value == chosen else "", word) for value, word in shown)
    made = format_html_join("", '<option value="{}"{}>{}</option>', rows)
    if len(shown) == len(choices):
        return made
    return format_html("{}<option disabled>… and {} more</option>", made, f"{len(choices) - len(shown):,}")


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


TOKEN_STATES = {
    "replaced": ("warning", "lost", "Replaced", "Still works beside its successor until it expires"),
    "expired": ("cancelled", "cancelled", "Expired", ""),
    "resting": ("failed", "failed", "Creator deactivated", "Refused until the account of its creator is active again"),
    "revoked": ("failed", "failed", "Revoked", ""),
}


@register.inclusion_tag("partials/_badge.html")
def token_state(token):
    """Why a token no longer works, or will soon stop working."""
    look, icon_name, word, title = TOKEN_STATES[token.state]
    return {"look": look, "icon": icon_name, "word": word, "title": title}


@register.inclusion_tag("partials/_range_bar.html")
def range_bar(row, most_kwh: float):
    """Energy as a bar, with its range as a whisker, in percent of the largest high end."""
    scale = 100 / most_kwh if most_kwh > 0 else 0.0
    low, high = row.energy_low_kwh * scale, row.energy_high_kwh * scale
    ends = units.range_text("energy", row.energy_low_kwh, row.energy_high_kwh, row.energy_kwh)
    return {"row": row, "ends": ends, "width": row.energy_kwh * scale, "low": low, "range": high - low}


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


@register.simple_tag
def parts_bar(segments: list[dict]):
    """A footprint as a bar of training, inference and other. In one go: a list has fifty of them."""
    words = capfirst(", ".join([f"{each['name']} {units.text('emissions', each['kg'])}" for each in segments]))
    rects = [
        f'<rect class="{each["name"]}" x="{each["start"]:.3f}" width="{each["width"]:.3f}" height="10"/>'
        for each in segments
    ]
    head = f'<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{words}">'
    return mark_safe(f'{head}<rect class="track" width="100" height="10"/>{"".join(rects)}</svg>')  # noqa: S308


@register.simple_tag
def squares(heat_map, runs_url: str):
    """A year's days as squares of an SVG. In one go: as a loop of the template they took half of the page's time."""
    url = escape(runs_url)
    return mark_safe("".join([_square(day, url) for day in heat_map.days]))  # noqa: S308


def _square(day, url: str) -> str:
    """Fixed text, and the address, which is escaped."""
    place = f'x="{day.x}" y="{day.y}" width="11" height="11"'
    if not day.level:
        return f"<rect {place}/>"
    rect = f'<rect class="heat-{day.level}" {place}><title>{day.words}</title></rect>'
    return f'<a href="{url}day={day.iso}" tabindex="-1">{rect}</a>'


@register.simple_tag
def days_of_week(week, unit: units.Unit, runs_url: str):
    """A week's cells, each leading to its day's runs. In one go as well: there are as many as squares."""
    url = escape(runs_url)
    return mark_safe("".join([_day(day, unit, url) for day in week]))  # noqa: S308


def _day(day, unit: units.Unit, url: str) -> str:
    figure = cell_html(day.amount, unit)
    return f'<td class="number"><a href="{url}day={day.iso}">{figure}</a></td>'


@register.simple_tag(takes_context=True)
def signup_is_open(context) -> bool:
    return get_adapter().is_open_for_signup(context["request"])


@register.simple_tag
def mail_is_set_up() -> bool:
    return settings.MAIL_IS_SET_UP


@register.simple_tag(takes_context=True)
def sign_on_elsewhere(context) -> list:
    """The OpenID Connect providers that OIDC_… names."""
    return get_social_adapter().list_providers(context["request"]) if settings.SIGN_ON_ELSEWHERE else []


#: The order matters: most browsers also carry the names of others.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "Linux": "Linux",
}


@register.filter
def browser(user_agent: str) -> str:
    """`Firefox on Linux`, as far as the browser's own text tells."""
    name, system = (
        next((word for mark, word in words.items() if mark in user_agent), "") for words in (BROWSERS, SYSTEMS)
    )
    return f"{name or 'Browser'} on {system}" if system else name or user_agent or "Unknown browser"
