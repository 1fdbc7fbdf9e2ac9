"""A run of as many processes, devices and methods as it may have: its page stays a page."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from runs.figures.use import call_rows
from runs.models import Call, Device, Run, ShareLink, Writer
from tests.screens.html import Page

WRITERS, DEVICES_EACH, METHODS = 60, 30, 200


@pytest.fixture
def large(run) -> Run:
    """Sixty processes with thirty cards each, every one with a note, and two hundred methods."""
    large = Run.objects.get(run_id=run(name="large"))
    about = {"run": large, "project": large.project}
    since = timezone.now() - timedelta(hours=1)
    writers = Writer.objects.bulk_create(
        Writer(**about, key=f"more-{n}", rank=n, host=f"node-{n}", started_at=since, last_t_s=3600, status="failed")
        for n in range(1, WRITERS + 1)
    )
    Device.objects.bulk_create(
        Device(
            **about,
            writer=writer,
            key=f"gpu-{n}",
            kind="gpu",
            name="NVIDIA A100-SXM4-40GB",
            note=f"shared with job {writer.pk}-{n}",
            elapsed_s=3600,
            energy_kwh=0.1,
            basis="counter",
            energy_j=360_000,
        )
        for writer in writers
        for n in range(DEVICES_EACH)
    )
    Call.objects.bulk_create(
        Call(**about, writer=writer, method=f"predict_{n:03}", calls=2, items=2**53, busy_s=1)
        for writer in writers[:5]
        for n in range(METHODS)
    )
    return large


def test_its_page_stays_small_and_says_how_much_there_is(alice, large):
    answer = alice.get(f"/runs/{large.run_id}/")
    page = Page(answer)
    assert len(answer.content) < 500_000
    assert "1 to 50 of 1801 devices" in page.text
    assert "1 to 50 of 200 methods" in page.text
    assert "1801 devices" in page.by_id("figures").text
    assert "1,790 more devices have a note" in page.text
    assert "more events of its processes" in page.by_id("events").text


def test_every_device_and_every_method_can_be_reached(alice, large):
    seen = set()
    for number in range(1, 5):
        page = alice.read(f"/runs/{large.run_id}/?calls={number}")
        seen |= set(re.findall(r"predict_\d{3}", page.by_id("calls").text))
    assert len(seen) == METHODS
    last = alice.read(f"/runs/{large.run_id}/?devices=37")
    assert "1801 to 1801 of 1801 devices" in last.text
    assert "?devices=3&start=1#devices" in alice.read(f"/runs/{large.run_id}/?devices=2&start=1").links()


def test_calls_are_added_up_over_processes_whatever_their_size(large):
    """On PostgreSQL and SQLite alike, whose own sums of whole numbers end at 64 bits."""
    assert call_rows(large)[0].items == 5 * 2**53


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 60, "1e9", "99999"])
def test_a_page_that_there_is_not_is_the_first_or_the_last(alice, large, number):
    assert alice.get(f"/runs/{large.run_id}/?devices={number}&calls={number}").status_code == 200


def test_a_stranger_with_a_link_sees_the_first_of_them(alice, people, large, client):
    secret = ShareLink.make(large, 30, True, people.alice)[1]
    answer = client.get(f"/s/{secret}/")
    assert len(answer.content) < 500_000
    assert "The first 50 of 1801 devices." in Page(answer).text


def test_it_takes_no_more_queries_than_a_small_one(alice, run, large, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        alice.get(f"/runs/{large.run_id}/")


def test_a_full_run_says_that_it_takes_no_further_processes(alice, large, monkeypatch):
    monkeypatch.setattr("runs.run_page.page.MAX_WRITERS", WRITERS)
    assert "This run has reached the limit of 61 processes." in alice.read(f"/runs/{large.run_id}/").text
