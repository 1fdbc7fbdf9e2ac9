"""Files for their owner alone, written completely or not at all."""

import pytest

from tests.agent.spooling import left_in
from traceml_agent.host.private import replaced


def test_a_file_appears_under_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "a"
    with replaced(str(path)) as file:
        file.write(b"complete")
        assert not path.exists()
    assert path.read_bytes() == b"complete"
    assert (path.stat().st_mode & 0o777, left_in(tmp_path)) == (0o600, ["a"])


def test_of_two_who_write_at_once_neither_empties_what_the_other_puts_in_place(tmp_path):
    path = tmp_path / "a"
    with replaced(str(path)) as one:
        one.write(b"by one")
        with replaced(str(path)) as other:
            other.write(b"by other")
        assert path.read_bytes() == b"by other"
    assert (path.read_bytes(), left_in(tmp_path)) == (b"by one", ["a"])


def test_what_fails_on_the_way_leaves_the_former_file_and_no_draft(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"former")
    with pytest.raises(ValueError, match="half"), replaced(str(path)) as file:
        file.write(b"ha")
        raise ValueError("half")
    assert (path.read_bytes(), left_in(tmp_path)) == (b"former", ["a"])
