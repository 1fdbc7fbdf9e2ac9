"""What a run is told about itself over its life: how the pieces add up, and in which of them it is sent."""

from traceml_agent import limits
from traceml_agent.delivery.delivery import _new_batches
from traceml_agent.spool.recording import enriched, joined, within_limits

LARGE = {"params": {"model": "x" * 10_000}}
LARGE_TOO = {"params": {"data": "x" * 10_000}}


def test_parameters_and_tags_add_up_and_a_name_stays():
    first = {"name": "one", "tags": ["a"], "params": {"lr": 1, "seed": 0}, "kind": "training"}
    second = {"name": "two", "tags": ["b", "a"], "params": {"lr": 2}, "kind": "evaluation"}
    both = {"name": "one", "tags": ["a", "b"], "params": {"lr": 2, "seed": 0}, "kind": "evaluation"}
    assert enriched(first, second) == both


def test_what_fits_together_is_one_piece_and_the_rest_another():
    small = {"params": {"lr": 1}}
    assert joined([small, LARGE, {"tags": ["a"]}, LARGE_TOO]) == [
        {"params": {"lr": 1, "model": "x" * 10_000}, "tags": ["a"]},
        LARGE_TOO,
    ]


def test_a_piece_has_no_more_than_the_portal_takes_at_once():
    found = within_limits(enriched(LARGE, LARGE_TOO) | {"tags": [f"t{n}" for n in range(60)]})
    assert limits.metadata_bytes(found["params"]) <= limits.MAX_METADATA_BYTES
    assert len(found["tags"]) == limits.MAX_TAGS


def test_updates_whose_parameters_do_not_fit_together_are_sent_apart():
    def record(number, **body):
        return 100, {"n": number, "type": "update", "body": body}

    pending = [record(1, about=LARGE), record(2), record(3, about=LARGE_TOO), record(4)]
    assert list(_new_batches(pending)) == [(1, 2), (3, 4)]
