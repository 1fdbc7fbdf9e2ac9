"""What a run that goes on will have used at its end."""

import pytest

from runs.models import EmissionFactor, Run
from runs.run_page.outlook import OuterStage, counted_stages, outlook


def run(energy_kwh: float = 3.0, **params) -> Run:
    return Run(energy_kwh=energy_kwh, factor=EmissionFactor(kg_per_kwh=0.5), params=params)


def epochs(*energies_kwh: float, name: str = "epoch {}", open_kwh: float | None = None) -> list[OuterStage]:
    parts = [OuterStage(name.format(n), True, 60.0, kwh) for n, kwh in enumerate(energies_kwh, start=1)]
    return parts + ([] if open_kwh is None else [OuterStage(name.format(len(parts) + 1), False, 30.0, open_kwh)])


def test_equal_epochs_go_on_as_they_were():
    found = outlook(run(3.0), epochs(1.0, 1.0, 1.0, name="epoch {}/10"))
    assert (found.done, found.planned) == (3, 10)
    assert (found.energy_kwh, found.energy_low_kwh, found.energy_high_kwh) == pytest.approx((10, 10, 10))
    assert (found.emissions_kg, found.left_s) == pytest.approx((5, 420))


def test_what_was_used_beside_the_epochs_counts_once():
    assert outlook(run(3.5), epochs(1.0, 1.0, 1.0), 10).energy_kwh == pytest.approx(10.5)


def test_the_epoch_at_work_is_one_of_those_to_come():
    found = outlook(run(3.4), epochs(1.0, 1.0, 1.0, open_kwh=0.4), 10)
    assert found.energy_kwh == pytest.approx(10)
    assert found.left_s == pytest.approx(390)


def test_the_first_epoch_warms_up_and_is_not_what_is_to_come():
    assert outlook(run(4.0), epochs(2.0, 1.0, 1.0), 5).energy_kwh == pytest.approx(6)


@pytest.mark.parametrize("name", ["epoch {}/10", "Epoch {} of 10", "round-{}/10", "{}/10", "block {}/10 (rounds 1–3)"])
def test_names_say_how_many_there_will_be(name):
    assert outlook(run(), epochs(1.0, 1.0, 1.0, name=name)).planned == 10


@pytest.mark.parametrize("params", [{"epochs": 10}, {"num_train_epochs": 10.0}, {"epochs": True, "max_epochs": 10}])
def test_so_do_parameters(params):
    assert outlook(run(**params), epochs(1.0, 1.0, 1.0)).planned == 10


@pytest.mark.parametrize("value", [-1, 0, "ten", None, float("inf"), float("nan"), 1e300])
def test_a_parameter_that_is_no_number_of_epochs_says_nothing(value):
    assert outlook(run(epochs=value), epochs(1.0)).planned is None


def test_what_the_reader_says_goes_first():
    assert outlook(run(epochs=10), epochs(1.0, 1.0, 1.0), 20).planned == 20


def test_without_a_number_nothing_is_forecast_but_the_count():
    found = outlook(run(), epochs(1.0, 1.0))
    assert (found.done, found.planned, found.energy_kwh) == (2, None, 0.0)


def test_more_epochs_done_than_planned_is_no_plan():
    assert outlook(run(epochs=2), epochs(1.0, 1.0, 1.0)).planned is None


def test_stages_of_another_word_are_beside():
    parts = [
        OuterStage("warm-up", True, 10.0, 0.5),
        *epochs(1.0, 1.0, 1.0),
        OuterStage("evaluation 1", True, 5.0, 0.1),
    ]
    found = counted_stages(run(), parts)
    assert (found.word, len(found.done)) == ("epoch", 3)


def test_without_counted_stages_there_is_no_forecast():
    assert outlook(run(epochs=10), [OuterStage("fit", True, 10.0, 1.0)]) is None


def series(count: int, total: int | None, energy_kwh: float = 1.0) -> list[OuterStage]:
    """Epochs 1 to `count` of a series that announced `total`."""
    return [OuterStage(f"epoch {number}", True, 60.0, energy_kwh, total) for number in range(1, count + 1)]


def test_the_run_itself_says_how_many_there_will_be():
    found = outlook(run(3.0), series(3, 10))
    assert (found.done, found.planned, found.energy_kwh) == (3, 10, pytest.approx(10))


def test_what_the_run_says_goes_before_its_parameters_and_what_the_reader_says_before_that():
    assert outlook(run(epochs=99), series(3, 10)).planned == 10
    assert outlook(run(epochs=99), series(3, 10), 20).planned == 20


def test_a_second_training_in_the_run_comes_on_top_of_the_first():
    assert outlook(run(), [*series(4, 4), *series(1, 6)]).planned == 10


def test_an_attempt_that_goes_on_where_another_broke_off_has_what_is_left():
    assert outlook(run(), [*series(5, 20), *series(2, 15)]).planned == 20


@pytest.mark.parametrize("total", [None, 0, 2, 2**31 - 1])
def test_a_total_that_cannot_be_is_no_plan(total):
    assert outlook(run(), series(3, total)).planned is None
