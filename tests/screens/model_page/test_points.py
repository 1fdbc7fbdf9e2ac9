"""Runs as points: the Pareto front and which metric is shown, worked out by hand."""

import pytest

from runs.figures.run_links import newest
from runs.model_page.points import MOST_ROWS, PointsQuery, energy_points, front, tradeoff
from runs.models import TrackedModel
from tests.screens.figures.test_break_even import logged
from tests.screens.figures.test_lifetime import make_run


@pytest.fixture
def model(people) -> TrackedModel:
    return TrackedModel.named(people.project, "resnet-50")


def on_front(shown) -> list:
    """The points that the chart marks, the least emissions first."""
    return sorted((point for point in shown.chart.points if point.is_front), key=lambda point: point.x)


def places(*pairs: tuple[float, float]) -> dict:
    return dict(enumerate(pairs))


def test_a_run_is_on_the_front_where_no_run_with_less_emissions_is_better():
    found = places((1, 0.7), (2, 0.6), (3, 0.8), (4, 0.8), (5, 0.9))
    assert front(found, "higher") == {0, 2, 4}


def test_lower_turns_the_front_round():
    found = places((1, 0.7), (2, 0.6), (3, 0.8), (4, 0.6), (5, 0.5))
    assert front(found, "lower") == {0, 1, 4}


def test_of_equal_emissions_the_better_value_and_of_equals_one():
    assert front(places((1, 0.7), (1, 0.9), (1, 0.9)), "higher") == {1}


def test_no_place_no_front():
    assert front({}, "higher") == set()


def test_the_metric_that_most_runs_logged_is_shown_and_another_on_demand(model):
    for kwh, accuracy in ((1.0, 0.7), (2.0, 0.9), (4.0, 0.8)):
        run = make_run(model, kwh)
        logged(run, "accuracy", accuracy)
        logged(run, "samples", 100)
    logged(run, "loss", 0.1)
    runs = newest(model, 10)
    shown = tradeoff(model, runs, PointsQuery())
    assert (shown.names, shown.chosen) == (["accuracy", "loss"], PointsQuery("accuracy", "higher", "last"))
    assert [(point.x, point.y) for point in on_front(shown)] == [(0.5, 0.7), (1.0, 0.9)]
    other = tradeoff(model, runs, PointsQuery("loss", "higher"))
    assert other.chosen == PointsQuery("loss", "higher", "last")
    assert [(point.x, point.y) for point in on_front(other)] == [(2.0, 0.1)]


def test_what_was_asked_amiss_is_chosen_instead(model):
    logged(make_run(model, 1.0), "loss", 0.5)
    shown = tradeoff(model, newest(model, 10), PointsQuery("nosuch", "sideways", "worst"))
    assert shown.chosen == PointsQuery("loss", "lower", "last")


@pytest.mark.parametrize(("better", "expected"), [("higher", 0.9), ("lower", 0.2)])
def test_the_best_value_follows_the_direction(model, better, expected):
    run = make_run(model, 1.0)
    logged(run, "accuracy", 0.5)
    run.metrics.update(lowest=0.2, highest=0.9)
    (point,) = on_front(tradeoff(model, newest(model, 10), PointsQuery("accuracy", better, "best")))
    assert point.y == expected


def test_a_failed_run_is_a_point_and_never_on_the_front(model):
    logged(make_run(model, 1.0, status="failed"), "accuracy", 0.99)
    logged(make_run(model, 2.0), "accuracy", 0.5)
    shown = tradeoff(model, newest(model, 10), PointsQuery())
    assert len(shown.chart.points) == 2
    assert [point.y for point in on_front(shown)] == [0.5]


def test_inference_and_runs_without_energy_are_no_points_of_the_tradeoff(model):
    logged(make_run(model, 1.0, kind="inference"), "accuracy", 0.99)
    logged(make_run(model, 0.0), "accuracy", 0.99)
    shown = tradeoff(model, newest(model, 10), PointsQuery())
    assert (shown.chosen.metric, shown.chart) == ("accuracy", None)


def test_no_metric_no_tradeoff(model):
    make_run(model, 1.0)
    assert tradeoff(model, newest(model, 10), PointsQuery()) is None


def test_the_sentence_of_energies_tells_the_median_and_the_most(model):
    for kwh in (1.0, 2.0, 6.0, 0.0):
        make_run(model, kwh)
    chart = energy_points(newest(model, 10), 5)
    assert chart.sentence.startswith("Energy of 3 runs by start: median 2 kWh, maximum 6 kWh.")
    assert chart.left_out == 2


@pytest.mark.parametrize(("most_kwh", "expected"), [(9.0, False), (11.0, True)])
def test_an_axis_is_logarithmic_where_one_run_would_flatten_the_others(model, most_kwh, expected):
    for kwh in (1.0, 1.0, 1.0, most_kwh):
        make_run(model, kwh)
    runs = newest(model, 10)
    assert energy_points(runs, 4).data(runs)["logarithmic"] == {"x": False, "y": expected}


def test_a_table_has_the_front_first_and_no_more_rows_than_can_be_read(model):
    for number in range(MOST_ROWS + 5):
        logged(make_run(model, 10.0 + number), "accuracy", 0.5)
    best = make_run(model, 1.0)
    logged(best, "accuracy", 0.9)
    chart = tradeoff(model, list(reversed(newest(model, 100))), PointsQuery()).chart
    assert chart.rows[0].run.pk == best.pk
    assert (len(chart.rows), len(chart.points)) == (MOST_ROWS, MOST_ROWS + 6)
