"""Edit `co2_eq_emissions` in the front matter of a model card, and keep every other byte of the file.

The lines are edited as text, because reading and writing YAML would lose comments, quotes and the order of keys. Where
a block begins and ends is decided as by the Hub and its `huggingface_hub`.
"""

from __future__ import annotations

import json
import re

KEY = "co2_eq_emissions"
BOM = "\ufeff"
#: Lines with their ends. Unlike `str.splitlines`, this knows no vertical tabs and the like, as YAML doesn't.
LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
OF_KEY = re.compile(rf"""(?:{KEY}|'{KEY}'|"{KEY}")[ \t]*:(?:[ \t]+(?P<value>.*?))?[ \t]*\Z""")
INNER = re.compile(r"""(?P<indent>[ \t]+)['"]?(?P<name>\w+)['"]?[ \t]*:(?:[ \t].*)?\Z""")
#: How front matter begins that is indented, in braces, or no mapping in lines for another reason.
OTHER_FORMS = (" ", "\t", "{", "[", "- ", "?", "&", "!", "%")
#: What YAML reads as a line break or a mark of byte order, though JSON does not escape it.
UNESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class CardRefused(Exception):
    """Why a card can't be edited without losing something of it."""


def with_emissions(text: str, about: dict) -> str:
    """Return the card with these entries of `co2_eq_emissions`; its other entries, such as a location, are kept.

    Raises CardRefused for an entry in a form that can't be edited line by line.
    """
    mark, text = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    lines = LINES.findall(text)
    ending = lines[0][len(lines[0].rstrip("\r\n")) :][:2] if lines else ""
    ending = ending if ending in ("\r\n", "\r") else "\n"
    block = _block(lines)
    if block is None:
        head = [f"---{ending}", *_entry(about, ending), f"---{ending}", *([ending] if text.strip() else [])]
        return mark + "".join(head) + text
    first, last = block
    return mark + "".join(lines[:first] + _edited(lines[first:last], about, ending) + lines[last:])


def _block(lines: list[str]) -> tuple[int, int] | None:
    """The lines between the two `---`, as first and last index; None without front matter."""
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is None or lines[start].lstrip().rstrip("\r\n") != "---":
        return None
    ends = (number for number in range(start + 1, len(lines)) if lines[number].rstrip() == "---")
    end = next(ends, None)
    return None if end is None else (start + 1, end)


def _edited(lines: list[str], about: dict, ending: str) -> list[str]:
    written = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if any(line.startswith(OTHER_FORMS) for line in written[:1]) or any(line.rstrip() == "..." for line in written):
        raise CardRefused("its front matter can't be edited line by line; begin a line with each key")
    found = [(number, match) for number, line in enumerate(lines) if (match := OF_KEY.match(line.rstrip("\r\n")))]
    if not found:
        return [*lines, *_entry(about, ending)]
    if len(found) > 1:
        raise CardRefused(f"it has {KEY} more than once; remove all but one")
    at, match = found[0]
    value, is_commented, comment = f" {match['value'] or ''}".partition(" #")
    value = value.strip()
    if value.startswith(("{", "[", "&", "*", "|", ">", "!")):
        raise CardRefused(f"its {KEY} is written as {value[:20]}…; write it as indented lines, or remove it")
    end = _end_of_entry(lines, at)
    head = f"{KEY}:{f'  #{comment}' if is_commented else ''}{ending}" if value else lines[at]
    return [*lines[:at], head, *_inner(lines[at + 1 : end], about, ending), *lines[end:]]


def _end_of_entry(lines: list[str], at: int) -> int:
    """The line after an entry: it has all lines that are indented; blank lines and comments after these are not its."""
    end = at + 1
    for number in range(at + 1, len(lines)):
        line = lines[number]
        if line[:1] in (" ", "\t") and line.strip():
            end = number + 1
        elif line.strip() and not line.startswith("#"):
            break
    return end


def _inner(lines: list[str], about: dict, ending: str) -> list[str]:
    """The entry's own lines, with new values in their places and those that were missing at the end."""
    names = [(number, match) for number, line in enumerate(lines) if (match := INNER.match(line.rstrip("\r\n")))]
    indent = names[0][1]["indent"] if names else "  "
    starts = [(number, match["name"]) for number, match in names if match["indent"] == indent]
    ends = [number for number, _ in starts[1:]] + [len(lines)]
    kept, left = lines[: starts[0][0]] if starts else lines, dict(about)
    for (start, name), end in zip(starts, ends, strict=False):
        if name in about:
            comments = [line for line in lines[start + 1 : end] if line.lstrip().startswith("#") or not line.strip()]
            kept += [_line(indent, name, left.pop(name), ending), *comments] if name in left else []
        else:
            kept += lines[start:end]
    return kept + [_line(indent, name, value, ending) for name, value in left.items()]


def _entry(about: dict, ending: str) -> list[str]:
    return [f"{KEY}:{ending}", *(_line("  ", name, value, ending) for name, value in about.items())]


def _line(indent: str, name: str, value, ending: str) -> str:
    return f"{indent}{name}: {_yaml(value)}{ending}"


def _yaml(value) -> str:
    """A number, or text between double quotes, in which YAML has the escapes of JSON."""
    if not isinstance(value, str):
        return f"{value:.15g}"
    quoted = json.dumps(value, ensure_ascii=False)
    return UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
