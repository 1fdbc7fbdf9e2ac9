"""User-written Markdown as safe HTML: raw HTML becomes text, and the result is sanitised."""

from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

#: The longest note, in characters.
LONGEST = 10_000
#: Headings of a note start below those of the page and its section.
OUTERMOST_HEADING = 3
TAGS = {"p", "br", "hr", "em", "strong", "s", "a", "code", "pre", "blockquote", "ul", "ol", "li"}
TAGS |= {"h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}

# No images: another site could track who reads the note.
_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_cleaner = nh3.Cleaner(
    tags=TAGS,
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    url_schemes={"http", "https", "mailto"},
    link_rel="nofollow noopener noreferrer",
)


@lru_cache(maxsize=64)
def html(text: str) -> SafeString:
    """Convert CommonMark with tables to HTML without scripts, styles, images, ids or classes.

    Cached, because text crafted to be slow (a table of empty cells) takes a second.
    """
    tokens = _markdown.parse(text[:LONGEST])
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + OUTERMOST_HEADING - 1, 6)}"
    return mark_safe(_cleaner.clean(_markdown.renderer.render(tokens, _markdown.options, {})))  # noqa: S308
