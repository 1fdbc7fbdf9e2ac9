"""Optuna, with the real package: an optimisation is a run, and each trial a stage with its energy."""

import json
import os
import signal

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, kept, params, stages

SETS_UP = """
import json, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
from traceml_agent.integrations.optuna import TraceMLCallback, energy_kwh
def objective(trial):
    rate, kernel = trial.suggest_float("rate", 0.0, 1.0), trial.suggest_categorical("kernel", ["rbf"])
    sum(range(10**6))
    return rate
study = optuna.create_study(study_name="digits", sampler=optuna.samplers.RandomSampler(0))
"""


def test_trials_have_their_energy_as_attribute_and_as_objective_as_documented(run, arrived):
    out, _ = run(
        SETS_UP
        + "\n".join(blocks("docs/integrations/optuna.md", "python"))
        + "\nprint(json.dumps([[trial.values, trial.user_attrs['energy_kwh']] for trial in study.trials]))"
    )
    one, two = arrived(2)
    assert (one["headers"][-1]["model"], params(one)["n_trials"], params(one)["best_kernel"]) == ("digits", 20, "rbf")
    assert len(stages(one)) == len(metrics(one)["value"]) == len(metrics(one)["trial_energy_kwh"]) == 20
    assert next(iter(stages(one))).startswith("trial 0 (rate=0.5488, kernel=rbf, value=0.5488)")
    assert all(row["total"] == 20 and row["parent"] == "" for row in stages(one).values())
    assert metrics(one)["best_value"] == [min(metrics(one)["value"])]
    assert all(0 < values[1] <= energy_kwh for values, energy_kwh in json.loads(out))
    assert metrics(two).keys() == {"value_0", "value_1", "trial_energy_kwh"}
    assert all(status(stored) == "completed" and busy_s(stored) > 0 for stored in (one, two))


def test_pruned_and_failed_trials_and_a_continued_study_are_told(run, arrived, tmp_path):
    out, _ = run(
        SETS_UP
        + """
def hard(trial):
    rate = objective(trial)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError(rate)
    return rate
for _ in range(2):
    study = optuna.create_study(storage="sqlite:///trials.db", study_name="s", load_if_exists=True)
    study.optimize(hard, 3, callbacks=[TraceMLCallback(quiet=True)], catch=ValueError)
try:
    study.optimize(lambda trial: 1 / 0, 2, callbacks=[TraceMLCallback()])
except ZeroDivisionError as error:
    print(error, [(trial.state.name, trial.user_attrs["energy_kwh"] > 0) for trial in study.trials])
""",
        cwd=tmp_path,
    )
    states = [("COMPLETE", True), ("PRUNED", True), ("FAIL", True), *[("COMPLETE", True)] * 3, ("FAIL", True)]
    assert out == f"division by zero {states}\n"
    first, second, failed = arrived(3)
    assert [name.rpartition(" ")[2] for name in stages(first)][1:] == ["pruned)", "failed)"]
    assert [name.partition(" (")[0] for name in stages(second)] == ["trial 3", "trial 4", "trial 5"]
    assert params(second)["trials_before"] == 3
    assert [status(stored) for stored in (first, second, failed)] == ["completed", "completed", "failed"]


def test_the_trials_are_the_same(run, arrived):
    code = "study.optimize(objective, 6, callbacks=CALLBACKS)\nprint([trial.value for trial in study.trials])"
    bare, watched = (run(SETS_UP + f"CALLBACKS = {given}\n" + code)[0] for given in ("[]", "[TraceMLCallback()]"))
    assert bare == watched
    arrived(1)


def test_the_energies_of_trials_in_threads_add_up(run, arrived):
    out, _ = run(
        SETS_UP
        + """
from traceml_agent import track
with track("both", kind="other") as run:
    study.optimize(objective, 6, n_jobs=2, callbacks=[TraceMLCallback()])
print(sum(trial.user_attrs["energy_kwh"] for trial in study.trials) / run.summary.energy_kwh)
"""
    )
    assert 0.3 < float(out) < 1.0
    (stored,) = arrived()
    assert (stored["headers"][0]["model"], len(stages(stored))) == ("both", 6)


def test_what_trains_in_an_objective_is_part_of_its_trial(run, arrived):
    run(
        SETS_UP
        + """
import numpy, xgboost
from traceml_agent.integrations.xgboost import TraceMLCallback as Rounds
data = xgboost.DMatrix(numpy.arange(9.0).reshape(9, 1), numpy.arange(9))
def trains(trial):
    xgboost.train({"eta": trial.suggest_float("eta", 0.1, 0.2)}, data, 2, callbacks=[Rounds()])
    return 1.0
study.optimize(trains, 2, callbacks=[TraceMLCallback()])
"""
    )
    (stored,) = arrived()
    rows = [row for batch in stored["batches"].values() for row in batch.get("stages", [])]
    trials = {row["id"] for row in rows if row["name"].startswith("trial")}
    assert {row["parent"] for row in rows if row["name"].startswith("round")} == trials
    assert len(trials) == 2


def test_an_interrupted_study_is_cancelled_and_a_used_budget_stops_one(start, portal, arrived):
    process = start(
        SETS_UP
        + """
study.optimize(objective, 10**6, callbacks=[TraceMLCallback(budget_kwh=1e-9, on_budget="stop")])
print("stopped", flush=True)
study.optimize(objective, 10**6, callbacks=[TraceMLCallback()])
"""
    )
    assert process.stdout.readline() == "stopped\n"
    portal.wait_for(lambda p: len(p.runs()) == 2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert [status(stored) for stored in arrived(2)] == ["completed", "cancelled"]


def test_a_portal_that_is_down_changes_nothing(run, portal_down, place):
    out, _ = run(SETS_UP + "study.optimize(objective, 3, callbacks=[TraceMLCallback()])\nprint(len(study.trials))")
    assert out == "3\n"
    (stored,) = kept(place)
    assert (status(stored), len(stages(stored))) == ("completed", 3)


def test_long_parameters_leave_the_name_of_a_trial_readable(run, arrived):
    run(
        SETS_UP
        + """
def long(trial):
    words = trial.suggest_categorical("words", ["many\\nwords " * 100])
    return len(words + trial.suggest_categorical("w" * 200, ["a"]))
study.optimize(long, 1, callbacks=[TraceMLCallback()])
"""
    )
    (stored,) = arrived()
    (name,) = stages(stored)
    assert name.startswith("trial 0 (words=many words many words")
    assert (len(name) <= 200, name[-2:]) == (True, "…)")
