"""Descriptors that the user's code may have closed and opened as its own."""

import os

from traceml_agent.host.descriptors import Descriptor, above_standard


def test_one_that_became_somebody_elses_is_neither_used_nor_closed(tmp_path):
    ours = Descriptor(os.open(tmp_path / "ours", os.O_RDWR | os.O_CREAT))
    number = ours.number
    os.close(number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, number)
    assert not ours.is_ours
    ours.close()
    os.write(number, b"theirs")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    for each in {theirs, number}:
        os.close(each)


def test_a_forked_child_has_no_copy(tmp_path):
    ours = Descriptor(os.open(tmp_path / "ours", os.O_RDWR | os.O_CREAT))
    number = ours.number
    if (child := os.fork()) == 0:
        try:
            os.fstat(number)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert ours.is_ours
    ours.close()


def test_none_takes_the_place_of_a_closed_standard_stream(tmp_path):
    if (child := os.fork()) == 0:
        os.close(0)
        os.close(2)
        with above_standard():
            number = os.open(tmp_path / "ours", os.O_RDWR | os.O_CREAT)
        still_closed = []
        for stream in (0, 2):
            try:
                os.fstat(stream)
            except OSError:
                still_closed.append(stream)
        os._exit(0 if number > 2 and still_closed == [0, 2] else 1)
    assert os.waitpid(child, 0)[1] == 0
