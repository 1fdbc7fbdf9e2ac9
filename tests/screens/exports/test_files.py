"""Promise PS17: a CSV does nothing in a spreadsheet, and reads back equal."""

import csv
from io import StringIO

import pytest

from runs.exports.files import LINES_AT_ONCE, csv_answer

TEXTS = ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "\nx", "'quoted", "plain", 'a "b", c', "ä\u2028", "", "x=1", " =1"]


def read_back(rows) -> list[list[str]]:
    body = b"".join(csv_answer("x.csv", ["a", "b"], rows).streaming_content).decode()
    return list(csv.reader(StringIO(body, newline="")))[1:]


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_begins_like_a_formula_and_none_is_lost(text):
    ((cell, _),) = read_back([[text, ""]])
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == text


def test_numbers_stay_numbers():
    ((whole, part),) = read_back([[-3, -0.1]])
    assert (int(whole), float(part)) == (-3, -0.1)


def test_it_is_made_while_it_is_sent():
    asked = []

    def rows():
        for number in range(3 * LINES_AT_ONCE):
            asked.append(number)
            yield [number, ""]

    stream = iter(csv_answer("x.csv", ["a", "b"], rows()).streaming_content)
    for block in (1, 2):
        next(stream)
        assert len(asked) == block * LINES_AT_ONCE - 1  # the first line is the header
