"""A page as its reader has it: elements, text, figures and tables, from the HTML alone."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img", "rect", "use", "path"}


@dataclass
class Element:
    tag: str
    attributes: dict
    children: list = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, without repeated white space."""
        parts = (child.text if isinstance(child, Element) else child for child in self.children)
        return " ".join(" ".join(parts).split())

    def all(self, tag: str) -> list["Element"]:
        """Elements with this tag inside, in the order of the page."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += ([child] if child.tag == tag else []) + child.all(tag)
        return found

    @property
    def rows(self) -> list[list[str]]:
        """The text of the body of the first table inside, row by row."""
        rows = self.all("table")[0].all("tbody")[0].all("tr")
        return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in rows]

    @property
    def figures(self) -> list[float]:
        """The exact values of the figures inside."""
        return [float(data.attributes["value"]) for data in self.all("data")]


class Page(HTMLParser):
    """The parsed answer of a view that answered 200; refuses HTML whose elements don't close in order."""

    def __init__(self, answer):
        super().__init__()
        assert answer.status_code == 200, answer.status_code
        self.root = Element("page", {})
        self.tags: list[str] = []
        self._open = [self.root]
        self.feed(answer.content.decode())
        assert [element.tag for element in self._open] == ["page"]

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop().tag == tag

    def handle_data(self, data):
        self._open[-1].children.append(data)

    @property
    def text(self) -> str:
        return self.one("main").text

    def one(self, tag: str) -> Element:
        (element,) = self.root.all(tag)
        return element

    def by_id(self, name: str) -> Element:
        (element,) = (each for each in _walk(self.root) if each.attributes.get("id") == name)
        return element

    def table(self, number: int = 0) -> list[list[str]]:
        """The text of a table's body, row by row."""
        rows = self.root.all("table")[number].all("tbody")[0].all("tr")
        return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in rows]

    def column(self, number: int = 0, table: int = 0) -> list[str]:
        return [row[number] for row in self.table(table)]

    def data(self, name: str) -> dict:
        """What the script of this id holds as JSON."""
        return json.loads("".join(self.by_id(name).children))

    def links(self) -> list[str]:
        return [link.attributes["href"] for link in self.root.all("a")]


def _walk(element: Element):
    for child in element.children:
        if isinstance(child, Element):
            yield child
            yield from _walk(child)
