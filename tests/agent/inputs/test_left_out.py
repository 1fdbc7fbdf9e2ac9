"""What a run did not keep is counted, and said once."""

import threading

from traceml_agent import limits, messages
from traceml_agent.inputs.left_out import LeftOut


def test_it_is_counted_by_what_it_was_and_why_and_said_once(monkeypatch, caplog):
    monkeypatch.setattr(messages, "_said", {})
    left_out = LeftOut()
    for _ in range(3):
        left_out.note("metric 'loss'", "not a finite number")
    left_out.note("the other tags", "a run has at most 50", 10)
    assert left_out.rows() == [
        {"what": "metric 'loss'", "reason": "not a finite number", "count": 3},
        {"what": "the other tags", "reason": "a run has at most 50", "count": 10},
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "TraceML: metric 'loss' left out: not a finite number",
        "TraceML: the other tags left out: a run has at most 50",
    ]


def test_beyond_fifty_kinds_they_are_added_up():
    left_out = LeftOut()
    for number in range(100):
        left_out.note(f"metric 'm{number}'", "not a finite number", 2)
    rows = left_out.rows()
    assert (len(rows), rows[-1]["what"], rows[-1]["count"]) == (50, "other values", 102)
    assert sum(row["count"] for row in rows) == 200


def test_its_rows_are_text_that_the_portal_takes():
    left_out = LeftOut()
    left_out.note("metric \x00" + "x" * 300, "")
    (row,) = left_out.rows()
    assert limits.is_clean(row["what"]) and len(row["what"]) == 200
    assert row["reason"]


def test_threads_lose_no_count():
    left_out = LeftOut()

    def note():
        for number in range(2000):
            left_out.note(f"metric 'm{number % 20}'", "not a finite number")

    threads = [threading.Thread(target=note) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(row["count"] for row in left_out.rows()) == 16_000
