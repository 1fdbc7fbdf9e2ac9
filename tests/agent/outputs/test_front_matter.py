"""A model card's front matter: emissions are written in place, and every other byte stays as it was."""

import pytest

from traceml_agent.outputs.front_matter import CardRefused, with_emissions

ABOUT = {"emissions": 12.5, "source": 'TraceML: "measured"', "hardware_used": "2 × A100"}
ENTRY = 'co2_eq_emissions:\n  emissions: 12.5\n  source: "TraceML: \\"measured\\""\n  hardware_used: "2 × A100"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"---\n{ENTRY}---\n"),
        ("# Title\n", f"---\n{ENTRY}---\n\n# Title\n"),
        ("---\nlicense: mit\n---\n# Title\n", f"---\nlicense: mit\n{ENTRY}---\n# Title\n"),
        ("---\n---\nText", f"---\n{ENTRY}---\nText"),
        ("\n\n---\na: 1\n---", f"\n\n---\na: 1\n{ENTRY}---"),
        ("---\na: 1\n---   \nText", f"---\na: 1\n{ENTRY}---   \nText"),
        ("---\n# why\nb: 2  # two\n\na: [1,\n  2]\n---\n", f"---\n# why\nb: 2  # two\n\na: [1,\n  2]\n{ENTRY}---\n"),
        ("Text\n---\na: 1\n---\n", f"---\n{ENTRY}---\n\nText\n---\na: 1\n---\n"),
        ("---\nnever closed\n", f"---\n{ENTRY}---\n\n---\nnever closed\n"),
    ],
    ids=["empty", "no block", "block", "empty block", "blank lines", "spaces", "comments", "ruler", "unclosed"],
)
def test_an_entry_is_added_at_the_end_of_the_block(before, after):
    assert with_emissions(before, ABOUT) == after


def test_an_entry_that_is_there_is_replaced_where_it_stands():
    before = "---\na: 1\nco2_eq_emissions:\n  emissions: 1\n  source: old\n    and longer\n\n# of b\nb: 2\n---\n"
    found = with_emissions(before, ABOUT)
    assert found == f"---\na: 1\n{ENTRY}\n# of b\nb: 2\n---\n"


def test_what_somebody_else_wrote_into_the_entry_stays():
    before = (
        "---\nco2_eq_emissions:  # ours\n    # by hand\n    geographical_location: Quebec\n    emissions: 1\n"
        "    # of the source\n    source: old\n---\n"
    )
    assert with_emissions(before, ABOUT).splitlines() == [
        "---",
        "co2_eq_emissions:  # ours",
        "    # by hand",
        "    geographical_location: Quebec",
        "    emissions: 12.5",
        "    # of the source",
        '    source: "TraceML: \\"measured\\""',
        '    hardware_used: "2 × A100"',
        "---",
    ]


def test_a_bare_number_becomes_an_entry_and_keeps_its_comment():
    found = with_emissions("---\nco2_eq_emissions: 12  # grams\nb: 2\n---\n", ABOUT)
    assert found == "---\n" + ENTRY.replace(":\n", ":  # grams\n", 1) + "b: 2\n---\n"


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_the_files_own_line_endings_are_used(ending):
    before = f"---{ending}a: 1{ending}---{ending}Text{ending}"
    found = with_emissions(before, ABOUT)
    assert found == f"---{ending}a: 1{ending}{ENTRY.replace(chr(10), ending)}---{ending}Text{ending}"


def test_a_mark_of_byte_order_stays_in_front():
    assert with_emissions("\ufeff---\na: 1\n---\n", ABOUT) == f"\ufeff---\na: 1\n{ENTRY}---\n"
    assert with_emissions("\ufeffText", ABOUT) == f"\ufeff---\n{ENTRY}---\n\nText"


def test_a_key_of_that_name_elsewhere_is_not_the_entry():
    before = (
        "---\nnotes: |\n  co2_eq_emissions:\n    emissions: 1\nx:\n  co2_eq_emissions: 3\n---\nco2_eq_emissions: 4\n"
    )
    assert with_emissions(before, ABOUT) == before.replace("3\n---\n", f"3\n{ENTRY}---\n")


@pytest.mark.parametrize("text", ["a", "\u2028", "x\x85y", "\ufeff", "🚀 „ß“", "a\tb\\c", "# no: comment", "- [x]"])
def test_writing_twice_changes_nothing_the_second_time(text):
    once = with_emissions(f"---\nname: {text!r}\n---\n{text}", ABOUT | {"source": text})
    assert with_emissions(once, ABOUT | {"source": text}) == once


@pytest.mark.parametrize(
    "value",
    [
        *("co2_eq_emissions: {emissions: 1}", "co2_eq_emissions: *other", "co2_eq_emissions: 1\nco2_eq_emissions: 2"),
        *("  license: mit", "{license: mit}", "# in braces\n{license: mit}", "license: mit\n..."),
    ],
)
def test_what_can_not_be_edited_without_loss_is_refused(value):
    with pytest.raises(CardRefused):
        with_emissions(f"---\n{value}\n---\n", ABOUT)
