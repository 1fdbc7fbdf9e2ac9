"""A request's calls don't ask the system for memory again and again, at whatever depth they happen to be."""

import resource

from traceml_site.serving.stack import with_room

TURNS = 2000


def test_calls_at_any_depth_take_no_memory_from_the_system():
    with_room(worst)  # what is loaded once
    assert with_room(worst) < TURNS / 10


def test_it_passes_on_arguments_and_result():
    assert with_room(max, 2, 3) == 3


def worst() -> int:
    """The most page faults of a loop of calls, over the depths of a piece of the stack and more."""
    return max(faults(depth) for depth in range(200))


def faults(depth: int) -> int:
    if depth:
        return faults(depth - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(TURNS):
        called(10)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def called(more: int) -> int:
    return called(more - 1) if more else 0
