"""Notes: Markdown as people wrote it, shown as HTML."""

from django import template

from runs.web import markdown

register = template.Library()


@register.filter
def rendered(text: str):
    """`{{ model.notes|rendered }}`: safe HTML; headings begin at the third level."""
    return markdown.html(text)
