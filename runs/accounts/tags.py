"""Tags of the pages of accounts alone."""

from allauth.account.adapter import get_adapter
from django import template

register = template.Library()

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


@register.simple_tag(takes_context=True)
def signup_is_open(context) -> bool:
    return get_adapter().is_open_for_signup(context["request"])
