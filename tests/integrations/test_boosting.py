"""XGBoost and LightGBM, with the real packages: each training is a run, and its trees are the same."""

import os
import signal

import pytest

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, kept, params, stages

PACKAGES = ("xgboost", "lightgbm")
#: Data, and a function `train(callbacks, rounds=…, **more)` of each package.
SETS_UP = {
    "xgboost": """
import numpy, xgboost
x, y = numpy.random.default_rng(0).random((300, 4)), numpy.arange(300) % 2
data = test = xgboost.DMatrix(x, y)
params = {"objective": "binary:logistic", "max_depth": 2, "booster": None}
def train(callbacks, rounds=5, **more):
    return xgboost.train(params, data, rounds, evals=[(test, "test")], verbose_eval=False, callbacks=callbacks, **more)
def text(trained):
    return trained.get_dump()
""",
    "lightgbm": """
import lightgbm, numpy
x, y = numpy.random.default_rng(0).random((300, 4)), numpy.arange(300) % 2
data = lightgbm.Dataset(x, y, free_raw_data=False)
test = lightgbm.Dataset(x, y, reference=data)
params = {"objective": "binary", "max_depth": 2, "verbosity": -1, "num_threads": 1, "boosting": None}
def train(callbacks, rounds=5, **more):
    return lightgbm.train(params | more, data, rounds, valid_sets=[test], callbacks=callbacks)
def text(trained):
    return trained.model_to_string()
""",
}
LOSS = {"xgboost": "test-logloss", "lightgbm": "valid_0-binary_logloss"}
CALLBACK = "from traceml_agent.integrations.{} import TraceMLCallback\n"


DOCUMENTED = {
    "xgboost": blocks("docs/integrations/xgboost.md", "python"),
    "lightgbm": blocks("docs/integrations/lightgbm.md", "python"),
}


@pytest.fixture
def environment(environment):
    """One thread: more of them wait for each other where other tests run beside."""
    return environment | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(params=PACKAGES)
def package(request):
    return request.param


def test_a_training_and_an_estimator_are_runs_as_documented(package, run, arrived):
    run(SETS_UP[package] + "\n".join(DOCUMENTED[package]))
    training, estimator = arrived(2)
    assert [training["headers"][-1]["model"].lower(), estimator["headers"][-1]["model"]] == [package, "churn"]
    names = list(stages(training))
    assert (len(names), names[0], names[-1]) == (100, "block 1 (rounds 1–3)", "block 100 (rounds 298–300)")
    assert list(stages(estimator)) == [f"round {number}" for number in range(1, 51)]
    assert all(row["total"] == 50 and row["end_s"] is not None for row in stages(estimator).values())
    assert len(metrics(training)[LOSS[package]]) == 300
    assert params(training).items() >= {"max_depth": 2, "num_boost_round": 300}.items()
    assert None not in params(training).values()
    assert all(status(stored) == "completed" and busy_s(stored) > 0 for stored in (training, estimator))


STOPPED = {
    "xgboost": "train([xgboost.callback.EarlyStopping(2), TraceMLCallback()], 400, custom_metric=worse)",
    "lightgbm": "lightgbm.train(params | {'metric': 'none'}, data, 400, valid_sets=[test], feval=worse,"
    " callbacks=[lightgbm.early_stopping(2, verbose=False), TraceMLCallback()])",
}
WORSE = {
    "xgboost": "count = iter(range(999))\ndef worse(predicted, data):\n    return 'mine', float(next(count))\n",
    "lightgbm": "count = iter(range(999))\ndef worse(predicted, data):\n    return 'mine', float(next(count)), False\n",
}


def test_an_early_stop_a_cross_validation_and_an_outer_run_are_told_rightly(package, run, arrived):
    run(
        SETS_UP[package]
        + CALLBACK.format(package)
        + WORSE[package]
        + STOPPED[package]
        + f"\n{package}.cv(params, data, 4, nfold=3, callbacks=[TraceMLCallback('cv')])"
        + "\nfrom traceml_agent import track\nwith track('mine'):\n    train([TraceMLCallback()], 2)"
    )
    stopped, cross, mine = arrived(3)
    assert list(stages(stopped)) == ["block 1 (rounds 1–4)"]
    assert stages(stopped)["block 1 (rounds 1–4)"]["end_s"] is not None
    (values,) = (values for name, values in metrics(stopped).items() if name.endswith("mine"))
    assert values == [0.0, 1.0, 2.0]
    assert metrics(stopped)["best_iteration"] == [0.0 if package == "xgboost" else 1.0]
    spread = {name for name in metrics(cross) if name.endswith(("-mean", "-std"))}
    assert (len(spread) >= 2, len(stages(cross)), params(cross)["nfold"]) == (True, 4, 3)
    assert (mine["headers"][-1]["model"], list(stages(mine))) == ("mine", ["round 1", "round 2"])


UNCHANGED = """
import copy, pickle
CALLBACKS = [TraceMLCallback(quiet=True)] if WATCHED else []
print(text(train(CALLBACKS)), text(train(pickle.loads(pickle.dumps(copy.deepcopy(CALLBACKS))))))
def bad(*given):
    raise RuntimeError("no objective")
try:
    train(CALLBACKS, **({"obj": bad} if "xgboost" in globals() else {"objective": bad}))
except RuntimeError as error:
    print(error)
"""


def test_the_trees_and_the_errors_are_the_same(package, run, arrived):
    code = SETS_UP[package] + CALLBACK.format(package) + UNCHANGED
    assert run("WATCHED = False\n" + code)[0] == run("WATCHED = True\n" + code)[0]
    assert sorted(status(stored) for stored in arrived(3)) == ["completed", "completed", "failed"]


def test_an_interrupted_training_is_cancelled_and_a_used_budget_stops_one(package, start, portal, arrived):
    process = start(
        SETS_UP[package]
        + CALLBACK.format(package)
        + "print(text(train([TraceMLCallback(budget_kwh=1e-9, on_budget='stop')], 10**6)) != '', flush=True)\n"
        + "train([TraceMLCallback()], 10**6)"
    )
    assert process.stdout.readline() == "True\n"
    portal.wait_for(lambda p: len(p.runs()) == 2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert [status(stored) for stored in arrived(2)] == ["completed", "cancelled"]


def test_a_portal_that_is_down_changes_nothing(package, run, portal_down, place):
    out, _ = run(SETS_UP[package] + CALLBACK.format(package) + "print(len(text(train([TraceMLCallback()]))) > 0)")
    assert out == "True\n"
    (stored,) = kept(place)
    assert (status(stored), len(metrics(stored)[LOSS[package]])) == ("completed", 5)
