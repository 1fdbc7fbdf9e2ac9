"""Tags of the pages of a team alone."""

from django import template

register = template.Library()

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
