"""What a prediction costs and when inference overtakes training, worked out by hand."""

from datetime import date, timedelta

import pytest

from runs.figures.break_even import BreakEven, break_even
from runs.figures.lifetime import Footprint, Lifetime
from runs.figures.run_links import newest
from runs.figures.use import Predictions, use
from runs.models import Call, Metric, Run, TrackedModel, Writer
from tests.screens.figures.test_lifetime import make_run

TODAY = date(2026, 11, 26)
UNCOUNTED = Predictions(0, Footprint(), 3, [])
#: 1,000 predictions used 4 kWh, which made 2 kg: 2 g each.
COUNTED = Predictions(
    1000, Footprint(energy_kwh=4.0, energy_low_kwh=3.0, energy_high_kwh=5.0, emissions_kg=2.0), 1, ["items"]
)


def life(training_kg: float, inference_kg: float) -> Lifetime:
    return Lifetime(
        {"training": Footprint(emissions_kg=training_kg), "inference": Footprint(emissions_kg=inference_kg)}, []
    )


def told(training_kg: float, days: list[tuple[int, float]], made: Predictions = COUNTED) -> BreakEven:
    """Training 40 days ago, and kilograms of inference so many days ago."""
    used = [(TODAY - timedelta(days=ago), 0.0, kg) for ago, kg in days]
    rows = sorted([(TODAY - timedelta(days=400), training_kg, 0.0), *used])
    return break_even(life(training_kg, sum(kg for _, kg in days)), rows, made, TODAY)


def test_a_thousand_predictions_cost_their_share_of_the_runs_that_counted_them():
    assert COUNTED.kg_per_1000 == 2.0
    assert COUNTED.kwh_per_1000 == 4.0
    assert (COUNTED.low_kg_per_1000, COUNTED.high_kg_per_1000) == (1.5, 2.5)
    assert UNCOUNTED.kg_per_1000 is None


def test_the_date_follows_from_what_is_missing_and_the_rate_of_the_last_30_days():
    # 30 kg of 100 are used, 30 in the last 30 days: a kilogram a day, so 70 days are missing.
    found = told(100.0, [(29, 10.0), (10, 20.0)])
    assert (found.state, found.day) == ("ahead", TODAY + timedelta(days=70))
    assert (found.needed, found.made, found.a_day) == (50_000, 15_000, 500)
    assert found.sentence == (
        "At 500 predictions a day (the last 30 days), inference will overtake training around 4 Feb 2027. "
        "Break-even is at about 50,000 predictions; about 15,000 have been made so far."
    )


def test_a_rate_older_than_30_days_counts_for_nothing():
    found = told(100.0, [(31, 10.0)])
    assert found.state == "idle"
    assert found.sentence.startswith("Inference is at 10 % of training, with none in the last 30 days")


def test_a_use_that_began_five_days_ago_has_the_rate_of_five_days():
    found = told(100.0, [(4, 5.0), (0, 5.0)])
    assert (found.rate_days, found.a_day) == (5, 1000)
    assert found.day == TODAY + timedelta(days=45)


def test_passed_since_the_day_after_which_inference_stayed_ahead():
    rows = [
        (date(2026, 1, 1), 10.0, 0.0),
        (date(2026, 2, 1), 0.0, 11.0),  # ahead
        (date(2026, 3, 1), 5.0, 0.0),  # trained again: behind
        (date(2026, 4, 1), 0.0, 4.0),  # equal: ahead
    ]
    found = break_even(life(15.0, 15.0), rows, COUNTED, TODAY)
    assert (found.state, found.day, found.bar_width) == ("passed", date(2026, 4, 1), 100.0)
    assert found.sentence.startswith("Using this model has cost more than training it since 1 Apr 2026.")


def test_without_training_there_is_nothing_to_overtake():
    assert told(0.0, [(1, 5.0)]).state == "untrained"


def test_without_inference_the_footprint_is_that_of_making_it():
    found = told(10.0, [])
    assert found.state == "unused"
    assert found.sentence.endswith("its whole footprint is from training.")


def test_a_century_is_never():
    found = told(1000.0, [(29, 0.1)])
    assert found.state == "far"
    assert "within a hundred years" in found.sentence


def test_a_date_is_told_though_no_prediction_was_counted():
    found = told(100.0, [(29, 10.0), (10, 20.0)], UNCOUNTED)
    assert (found.day, found.needed) == (TODAY + timedelta(days=70), None)
    assert found.sentence == (
        "At the rate of the last 30 days, inference will overtake training around 4 Feb 2027. "
        "No predictions were counted, so the number is unknown."
    )


@pytest.fixture
def model(people) -> TrackedModel:
    return TrackedModel.named(people.project, "resnet-50")


def call(run: Run, **counts) -> None:
    writer, _ = Writer.objects.get_or_create(project=run.project, run=run, key="w", started_at=run.started_at)
    Call.objects.create(project=run.project, run=run, writer=writer, **counts)


def logged(run: Run, name: str, total: float) -> None:
    values = {"last": total, "lowest": total, "highest": total, "total": total}
    Metric.objects.create(project=run.project, run=run, name=name, last_at=run.started_at, **values)


def test_items_count_before_calls_and_calls_before_logged_samples(model):
    by_items, by_calls, by_log, silent = (make_run(model, kwh, kind="inference") for kwh in (1.0, 2.0, 4.0, 8.0))
    call(by_items, method="predict", calls=10, items=300)
    call(by_items, method="encode", calls=5, items=100)
    logged(by_items, "samples", 9999)
    call(by_calls, method="predict", calls=50, items=0)
    logged(by_log, "samples", 550)
    logged(silent, "tokens", 550)
    found = use(newest(model, 10))[0]
    assert found.counted == 400 + 50 + 550
    assert (found.used.runs, found.of_runs, found.used.energy_kwh) == (3, 4, 7.0)
    assert found.sources == ["items", "calls", "samples"]
    assert found.kwh_per_1000 == pytest.approx(7.0)


def test_only_inference_makes_predictions(model):
    call(make_run(model, 1.0, kind="evaluation"), method="predict", calls=10, items=300)
    assert use(newest(model, 10))[0].counted == 0
