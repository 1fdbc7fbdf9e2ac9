"""Text of the OpenAPI document in templates: paragraphs, and code between backticks."""

from django import template

register = template.Library()


@register.filter
def paragraphs(text: str) -> list[str]:
    return [part for part in text.split("\n\n") if part]


@register.filter
def code_words(text: str) -> list[tuple[str, bool]]:
    """Return pieces of a text, each with whether it stood between backticks."""
    return [(part, number % 2 == 1) for number, part in enumerate(text.split("`")) if part]
