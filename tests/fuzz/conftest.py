import pytest

from tests.fuzz.world import World


@pytest.fixture
def world(people, catalogue) -> World:
    return World(people)
