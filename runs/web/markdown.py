"""Markdown that people write, as HTML that may stand in a page: raw HTML is text, and a sanitiser has the last word."""

from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

#: More than this is no note any more.
LONGEST = 10_000
#: The page and its section have headings of their own above those of a note.
OUTERMOST_HEADING = 3
TAGS = {"p", "br", "hr", "em", "strong", "s", "a", "code", "pre", "blockquote", "ul", "ol", "li"}
TAGS |= {"h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}

# Images are left out: one of another site would tell it who reads the note.
_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_cleaner = nh3.Cleaner(
    tags=TAGS,
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    url_schemes={"http", "https", "mailto"},
    link_rel="nofollow noopener noreferrer",
)


@lru_cache(maxsize=64)
def html(text: str) -> SafeString:
    """CommonMark with tables as HTML without scripts, styles, pictures, ids or classes.

    Kept, as text made to be slow (a table of empty cells) takes a second.
    """
    tokens = _markdown.parse(text[:LONGEST])
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + OUTERMOST_HEADING - 1, 6)}"
    return mark_safe(_cleaner.clean(_markdown.renderer.render(tokens, _markdown.options, {})))  # noqa: S308
