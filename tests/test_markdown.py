"""Promise: Markdown that people write becomes safe HTML, whatever they write."""

import re

import pytest

from runs.web import markdown

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "picture": "![x](https://evil.example/pixel.png)",
    "link": "[x](javascript:alert(1))",
    "spaced link": "[x]( java\nscript:alert(1))",
    "entity link": "[x](&#106;avascript&colon;alert(1))",
    "data link": "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "autolink": "<javascript:alert(1)>",
    "reference": "[x][y]\n\n[y]: vbscript:alert(1) 'title'",
    "title": "[x](https://a.example '\" onmouseover=\"alert(1)')",
    "style": "<b style='position:fixed'>x</b> | a |\n|--:|\n| 1 |",
    "fence": '```"><script>alert(1)</script>\nx\n```',
    "svg": "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "form": "<form action=/accounts/logout/ method=post><button>x</button></form>",
    "frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "base": "<base href=//evil.example><meta http-equiv=refresh content=0>",
    "end of the page": "</div></section></main></body></html>",
}
TAG = re.compile(r"<(/?)(\w+)([^>]*)>")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_only_harmless_elements_and_attributes_come_out(text):
    for _, tag, attributes in TAG.findall(markdown.html(text)):
        assert tag in markdown.TAGS
        names = re.findall(r'([\w-]+)="[^"]*"', attributes)
        assert re.sub(r'[\w-]+="[^"]*"', "", attributes).strip() == ""
        assert set(names) <= {"href", "title", "rel", "start"}
        for address in re.findall(r'href="([^"]*)"', attributes):
            assert address.startswith(("https://", "http://", "mailto:", "/"))


@pytest.mark.parametrize("text", ["<b>x</b>", "a < b & c", "<script>alert(1)</script>"])
def test_html_is_shown_as_the_text_that_it_is(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert markdown.html(text) == f"<p>{escaped}</p>\n"


def test_what_notes_need_is_there():
    page = markdown.html("# Data\n\n1. *one*\n\n| a | b |\n|---|---|\n| `1` | ~~2~~ |\n\n[run](/runs/)")
    for part in ("<h3>Data</h3>", "<em>one</em>", "<td><code>1</code></td>", "<s>2</s>", '<a href="/runs/" rel='):
        assert part in page


def test_headings_begin_below_those_of_the_page():
    assert markdown.html("# a\n\n###### b") == "<h3>a</h3>\n<h6>b</h6>\n"


def test_a_link_gives_its_target_no_hold_on_the_page():
    assert 'rel="nofollow noopener noreferrer"' in markdown.html("[x](https://a.example)")
