"""What a model's page tells of its use: energy per output token and per 1,000 requests."""

import pytest

from tests.screens.conftest import METERED
from tests.screens.model_page.test_model import PATH, section
from tests.wire import batch, sample

KWH = 0.5


@pytest.fixture
def served(wire, profile):
    """Makes an inference run of half a kWh with these calls and this work."""

    def make(calls=(), **work) -> str:
        run_id = wire.start(kind="inference")
        rows = [{"method": method, "calls": n, "items": items, "busy_s": busy_s} for method, n, items, busy_s in calls]
        metrics = [{"t_s": 1.0, "name": name, "value": value} for name, value in work.items()]
        facts = batch([sample("gpu-0", 3600, 1800, KWH * 3.6e6)], [METERED], calls=rows, metrics=metrics)
        wire.send(run_id, "b-1", facts)
        wire.finish(run_id)
        return run_id

    return make


def pairs(part) -> dict[str, str]:
    """The terms of a section's lists, each with what is said of it."""
    return {
        term.text: said.text
        for each in part.all("dl")
        for term, said in zip(each.all("dt"), each.all("dd"), strict=True)
    }


def test_energy_per_output_token_and_per_1000_requests_of_a_language_model(alice, served):
    served([("requests", 2000, 2000, 0.0)], tokens=900_000, prompt_tokens=4_000_000)
    told = pairs(section(alice.read(PATH), "use-title"))
    assert told["Energy per output token"] == "2 J ( 1.9–2.1 J )"
    assert told["Output tokens"] == "900,000 from 4,000,000 prompt tokens"
    assert told["Energy per 1,000 requests"].startswith("250 Wh (")
    assert told["Requests"] == "2,000"
    assert told["Predictions"] == "2,000"


def test_each_figure_is_of_the_runs_that_counted_it(alice, served):
    served([("requests", 1000, 1000, 0.0)])
    served(tokens=1_800_000)
    told = pairs(section(alice.read(PATH), "use-title"))
    assert told["Energy per output token"].startswith("1 J ")
    assert told["Energy per 1,000 requests"].startswith("500 Wh (")


def test_tokens_alone_are_told_without_predictions(alice, served):
    served(tokens=1_800_000)
    told = pairs(section(alice.read(PATH), "use-title"))
    assert set(told) == {"Energy per output token", "Output tokens"}


def test_a_model_that_is_watched_in_a_service_is_not_counted_twice(alice, served):
    served([("POST /predict", 100, 100, 9.0), ("predict", 100, 3200, 8.0)])
    told = pairs(section(alice.read(PATH), "use-title"))
    assert (told["Predictions"], told["Requests"]) == ("3,200", "100")


def test_requests_without_predictions_are_requests_only(alice, served):
    served([("POST /predict", 10, 40, 9.0), ("POST /predict (failed)", 5, 0, 1.0), ("GET /…", 3, 0, 0.0)])
    told = pairs(section(alice.read(PATH), "use-title"))
    assert (told["Predictions"], told["Requests"]) == ("40", "18")


def test_a_shared_page_without_details_tells_requests_and_no_logged_tokens(alice, client, served):
    served([("requests", 2000, 2000, 0.0)], tokens=900_000)
    from django.utils import timezone

    from runs.model_page.shared import page_for_strangers
    from runs.models import TrackedModel

    page = page_for_strangers(TrackedModel.objects.get(), False, timezone.now(), "kg")
    assert (page.served.requests, page.served.tokens) == (2000, 0)


def test_endpoints_that_are_busy_at_the_same_time_share_the_runs_energy(alice, served):
    run_id = served([("POST /a", 10, 10, 5400.0), ("POST /b", 10, 10, 1800.0), ("predict", 10, 10, 1800.0)])
    rows = alice.read(f"/runs/{run_id}/").root.all("table")
    (table,) = (each for each in rows if "POST /a" in each.text)
    per_1000 = {row.all("th")[0].text: row.figures[-1] for row in table.all("tbody")[0].all("tr")}
    energies = {method: value * 10 / 1000 for method, value in per_1000.items()}
    assert energies == pytest.approx({"POST /a": KWH * 0.75, "POST /b": KWH * 0.25, "predict": KWH * 0.5}, rel=0.01)
