"""A run that has ended: it keeps nothing more, says so, and never stands in the way of the code that goes on."""

import pytest

import traceml_agent
from traceml_agent import messages


class Model:
    def predict(self, names):
        return [name.upper() for name in names]


@pytest.fixture
def ended(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "_said", {})  # what another test said is said again
    run = traceml_agent.start("x", url="", spool_dir=str(tmp_path), quiet=True)
    run.stop()
    return run


@pytest.mark.parametrize(
    "report",
    [
        lambda run: run.log(test_accuracy=0.9),
        lambda run: run.log(tokens=100),
        lambda run: run.log_params(lr=0.1),
        lambda run: run.stage("test").__enter__().__exit__(),
        lambda run: list(run.epochs(range(3))),
    ],
)
def test_what_is_reported_after_the_end_is_not_dropped_without_a_word(ended, caplog, report):
    """The test after the training's block, as people write it."""
    report(ended)
    assert "the run has ended" in caplog.text


def test_a_model_that_is_watched_for_an_ended_run_works_and_a_word_says_that_nothing_counts(ended, caplog):
    model = traceml_agent.watch(Model(), run=ended)
    assert model.predict(["ada"]) == ["ADA"]
    assert "the run has ended" in caplog.text


def test_a_model_whose_run_ends_while_it_begins_to_be_watched_works(tmp_path):
    """A signal's handler may end the run between the question and the first call."""
    run = traceml_agent.start("x", url="", spool_dir=str(tmp_path), quiet=True)
    board = run.board
    run.stop()
    run.__class__ = type("Open", (type(run),), {"is_open": True, "board": board})
    model = traceml_agent.watch(Model(), run=run)
    assert model.predict(["ada"]) == ["ADA"]


def test_where_nothing_is_tracked_nothing_is_said(caplog):
    traceml_agent.current_run().log(loss=0.5)
    assert not caplog.text
