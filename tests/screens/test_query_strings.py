"""Promises PS3 and PS7 on pages: no query string gives a 500, and text that no name can have is refused."""

from urllib.parse import quote

import pytest

ASKED = {
    "/": ["range", "show", "page"],
    "/runs/": [
        *("q", "project", "model", "kind", "state", "tag", "hardware", "since", "until", "over", "archived"),
        *(
            "sort",
            "column",
            "params",
            "group",
            "against",
            "base",
            "page",
            "member",
            "main_hardware",
            "exception",
            "param",
        ),
    ],
    "/report/": ["year", "team"],
    "/runs/export.csv": ["q", "over", "sort"],
    "/compare/": ["run", "base", "by", "show", "params"],
    "/models/": ["q", "sort", "page"],
    "/models/digits/resnet-50/": ["show", "metric", "better", "value"],
    "/models/digits/resnet-50/cite/": ["of"],
    "/models/digits/resnet-50/cite.yaml": ["of"],
    "/hardware/": ["q", "kind", "seen", "page"],
}
REFUSED = {"NUL": "a%00b", "control": "%07", "override": quote("\u202egpj.exe"), "long": "x" * 201}
STRANGE = {
    "no UTF-8": "%ff%fe",
    "surrogate": "%ed%a0%80",
    "percent": "%25",
    "quote": "%27%22%3B--",
    "backslash": "%5C",
    "huge": "9" * 100,
    "negative": "-1",
    "fraction": "1.5",
    "list": "a&{name}=b",
    "empty": "",
}
#: Ids, and what holds a parameter's value, which may be longer than a name and is read as JSON.
LONGER = ("base", "group", "against", "param")
TEXTS = [
    (path, name)
    for path, names in ASKED.items()
    for name in names
    if path in ("/runs/", "/models/", "/hardware/") and name not in LONGER
]


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize(("path", "name"), TEXTS)
def test_text_that_no_name_can_have_is_a_400_page(alice, path, name, value):
    answer = alice.get(f"{path}?{name}={value}")
    assert answer.status_code == 400
    assert f"The parameter {name} must" in answer.content.decode()


@pytest.mark.parametrize("value", [*REFUSED.values(), *STRANGE.values()], ids=[*REFUSED, *STRANGE])
def test_no_value_of_any_query_string_breaks_a_page(alice, run, value):
    run()
    for path, names in ASKED.items():
        for name in names:
            assert alice.get(f"{path}?{name}={value.format(name=name)}").status_code in (200, 400, 404), (path, name)


@pytest.mark.parametrize("query", ["x=%00", "%00=x", "&&&=", "q=a&q=b&page=2&page=x"])
def test_what_a_page_does_not_ask_for_does_not_break_it(alice, run, query):
    run()
    for path in ASKED:
        assert alice.get(f"{path}?{query}").status_code == 200, path


@pytest.mark.parametrize("path", ["/runs/%00/", "/models/a/%00/", "/hardware/%00/", "/%00", "/runs/0/"])
def test_an_address_that_can_not_be_is_404(alice, path):
    assert alice.get(path).status_code == 404
