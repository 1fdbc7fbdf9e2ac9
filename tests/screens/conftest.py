"""Three people with a browser each, and runs for them to see."""

from collections.abc import Callable

import pytest
from django.test import Client

from hardware.models import HardwareProfile
from tests.screens.html import Page
from tests.wire import A100, sample

METERED = A100 | {"basis": "counter"}
RUN = {"params": {"lr": 0.1}, "environment": {"python": "3.11"}}


class Reader(Client):
    """A signed-in person's browser."""

    def read(self, path: str, **query) -> Page:
        return Page(self.get(path, query))


def _reader(person) -> Reader:
    reader = Reader()
    reader.force_login(person)
    return reader


@pytest.fixture
def alice(people) -> Reader:
    return _reader(people.alice)


@pytest.fixture
def bob(people) -> Reader:
    return _reader(people.bob)


@pytest.fixture
def charlie(people) -> Reader:
    return _reader(people.charlie)


@pytest.fixture
def profile(db) -> HardwareProfile:
    """The catalogue's profile of the card that most of these runs use."""
    return HardwareProfile.objects.create(
        slug="nvidia-a100-sxm4-40gb", name="NVIDIA A100 SXM4 40GB", vendor="NVIDIA", kind="gpu", tdp_w=400, idle_w=50
    )


@pytest.fixture
def run(wire, profile) -> Callable[..., str]:
    """Makes a completed run of Alice's project that a counter measured; returns its id."""

    def make(kwh: float = 1.0, **header) -> str:
        return wire.whole_run([sample("gpu-0", 3600, 1800, kwh * 3.6e6)], [METERED], **(RUN | header))

    return make
