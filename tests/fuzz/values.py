"""What clients may send: values at the edges of every type, and ways in which good ones go wrong."""

from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

INTEGERS = [0, 1, -1, 2**15, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400]
NUMBERS = ["1e308", "-1e308", "1e309", "1e-400", "nan", "inf", "-Infinity", "0x10", "1_000", "１２", "٣", "²", "½"]
FLOATS = [0.0, -0.0, 5e-324, 1e-9, 0.1, 1e9, 1e15, 1e154, 1.7976931348623157e308, -1.7976931348623157e308]
DAYS = ["0001-01-01", "9999-12-31", "2026-02-30", "0000-00-00", "10000-01-01", "20261128", "2026-W48", "1999-12-31"]
TIMES = [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00",
    "2026-03-29T02:30:00",  # in Berlin the clock leaps over it
    "2026-10-25T02:30:00",  # and shows this one twice
    "2026-11-28T10:00:00+23:59",
    "2026-11-28T24:00:00Z",
    "2026-11-28T10:00:60Z",
    "2026-11-28 10:00:00+99:99",
]
IDS = [
    "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-0000-0000-000000000001}",
    "urn:uuid:00000000000000000000000000000002",
    "00000000000000000000000000000003",
]
JSON = [
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"": null}',
    "[" * 2000,
    '{"a":' * 900,
    r'"\ud800"',
    r'{"\u0000": 1}',
    "{}",
    "[]",
]
TEXTS = [
    *("", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufeff", "\u202egpj.exe", "\u2028", "\U0010ffff"),
    *("e\u0301" * 150, "x" * 101, "x" * 201, "x" * 3000, "\U0001f600" * 200, "ﷺ" * 200),
    *("%", "%00", "_", "\\", "'\"`;--", "../..", "a/b", "/", "//evil.example", "http://evil.example", "\r\nX: a"),
    *("javascript:alert(1)", "{{ 1 }}", "a:b:c:d:e:f", "param:", "param:a:b", "-", "-,-,,", "on", "none", "null"),
    *("new", "all", "a@" + "b" * 260, f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example.org"),
]
#: An address of 255 characters, each of its parts as long as it may be: a column of 254 holds it not.
TEXTS.append(f"{'a' * 64}@{'.'.join(['b' * 61] * 3)}.info")
ODD = [*map(str, INTEGERS), *NUMBERS, *DAYS, *TIMES, *IDS, *JSON, *TEXTS]
#: What JSON can hold besides.
LEAVES = [*ODD, *FLOATS, *INTEGERS[:-1], None, True, False, [], {}, [[[[[[[[[[]]]]]]]]]], {"a": {"b": {"c": [{}]}}}]


def texts(good=()) -> st.SearchStrategy[str]:
    """Mostly what a client may well send, or something from an edge; now and then any text."""
    kinds = [st.sampled_from(ODD), st.sampled_from([*DAYS, *TIMES, *NUMBERS]), st.text(max_size=30)]
    return st.one_of(*([st.sampled_from(sorted(good))] * 2 if good else []), *kinds)


def quoted(text: str) -> str:
    """As a client puts it into an address, lone surrogates and all."""
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def query(pairs) -> str:
    return "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs)
