"""scikit-learn, with the real package: each outermost fit is a run, and nothing of scikit-learn changes."""

import os
import signal
from itertools import pairwise

import pytest

from tests.cases.conftest import calls, metrics, status
from tests.documents import blocks
from tests.integrations.arrivals import busy_s, inside, kept, params, stages

SETS_UP = """
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
x_train, y_train = x_test, y_test = load_iris(return_X_y=True)
model = DecisionTreeClassifier(random_state=0)
"""
AUTOLOG = """
from traceml_agent.integrations.sklearn import autolog
autolog(quiet=True)
"""
SEARCH = """
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
GRID = {f"{type(model).__name__.lower()}__max_depth": [1, 3]}
search = GridSearchCV(make_pipeline(StandardScaler(), model), GRID, n_jobs=JOBS)
search.fit(x_train, y_train)
"""


@pytest.fixture
def environment(environment):
    """One thread: more of them wait for each other where other tests run beside."""
    return environment | {"OMP_NUM_THREADS": "1"}


def test_a_fit_a_search_and_a_loop_are_runs_as_documented(run, arrived):
    """The blocks of the documentation, one after another: a fit; a search; a fit and a loop inside `track`."""
    run(SETS_UP + "\n".join(blocks("docs/integrations/scikit-learn.md", "python")))
    fit, search, tracked, loop = arrived(4)
    assert [fit["headers"][-1]["model"], search["headers"][-1]["model"]] == ["DecisionTreeClassifier"] * 2
    assert params(fit)["max_depth"] is None
    assert metrics(fit)["training_accuracy_score"] == [1.0]
    assert inside(search, "fit GridSearchCV")[:2] == ["candidate 1 (max_depth=2)", "candidate 2 (max_depth=4)"]
    assert [tracked["headers"][-1]["model"], params(tracked)["data"]] == ["churn", "2026-10"]
    assert list(stages(tracked)) == ["fit DecisionTreeClassifier", "training metrics"]
    assert list(stages(loop)) == ["epoch 1", "epoch 2", "epoch 3"]
    assert all(status(stored) == "completed" and busy_s(stored) > 0 for stored in (fit, search, tracked, loop))


def test_as_much_comes_by_itself_as_with_mlflow(run, arrived):
    """MLflow's autologging records 19 parameters and 7 metrics of this forest, by these names."""
    forest = "from sklearn.ensemble import RandomForestClassifier as F\nF(10, random_state=0).fit(x_train, y_train)"
    run(SETS_UP + AUTOLOG + forest)
    (stored,) = arrived()
    assert len(params(stored)) == 19
    words = ("score", "accuracy_score", "f1_score", "precision_score", "recall_score", "log_loss", "roc_auc")
    assert metrics(stored).keys() == {f"training_{word}" for word in words}


def test_the_steps_of_a_pipeline_are_stages(run, arrived):
    run(
        SETS_UP
        + AUTOLOG
        + """
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
Pipeline([("scale", StandardScaler()), ("line", LinearRegression())]).fit(x_train, y_train)
Pipeline([("scale", StandardScaler()), ("groups", KMeans(2))]).fit_predict(x_train)
StandardScaler().fit_transform(x_train)
"""
    )
    line, groups = arrived(2)
    assert inside(line, "fit Pipeline") == ["scale", "line", "training metrics"]
    assert params(line)["scale__with_mean"] is True
    assert metrics(line).keys() > {"training_r2_score", "training_mean_squared_error"}
    assert (groups["headers"][-1]["model"], inside(groups, "fit Pipeline")[:2]) == ("KMeans", ["scale", "groups"])


def test_a_search_is_one_run_in_which_each_candidate_has_its_energy(run, arrived):
    """In this process, and in one or more others."""
    searches = "".join(SEARCH.replace("JOBS", jobs) for jobs in ("1", "2", "-1"))
    out, _ = run(SETS_UP + AUTOLOG + searches + "print(search.best_score_)")
    for stored in arrived(3):
        parts = [stages(stored)[name] for name in inside(stored, "fit GridSearchCV")]
        names = [f"candidate {n} (decisiontreeclassifier__max_depth={depth})" for n, depth in ((1, 1), (2, 3))]
        assert inside(stored, "fit GridSearchCV") == [*names, "refit", "training metrics"]
        assert all(before["end_s"] <= after["start_s"] + 1e-3 for before, after in pairwise(parts))
        found = metrics(stored)
        assert len(found["mean_test_score"]) == 2
        assert all(energy_kwh > 0 for energy_kwh in found["candidate_energy_kwh"])
        assert found["best_score"] == [float(out)]
        assert params(stored)["best_decisiontreeclassifier__max_depth"] == 3


def test_other_searches_validations_and_ensembles_are_one_run_each(run, arrived):
    """Whatever fits inside, in threads or processes, and whoever imported the function before."""
    run(
        "from sklearn.model_selection import cross_val_score, cross_validate\n"
        + SETS_UP
        + AUTOLOG
        + """
from joblib import parallel_backend
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv
from sklearn.model_selection import HalvingGridSearchCV, RandomizedSearchCV, cross_val_predict
cross_val_score(model, x_train, y_train, cv=3)
cross_validate(model, x_train, y_train, cv=3, scoring=["accuracy", "f1_macro"])
cross_val_predict(model, x_train, y_train, cv=3)
HalvingGridSearchCV(model, {"max_depth": [1, 2, 3]}, random_state=0).fit(x_train, y_train)
RandomizedSearchCV(model, {"max_depth": [1, 2, 3]}, n_iter=2, random_state=0, refit=False).fit(x_train, y_train)
StackingClassifier([("tree", model)]).fit(x_train, y_train)
with parallel_backend("threading"):
    BaggingClassifier(model, 4, n_jobs=2).fit(x_train, y_train)
"""
    )
    score, validate, predict, halving, randomized, stacking, bagging = arrived(7)
    assert inside(score, "cross_validate DecisionTreeClassifier") == ["fold 1", "fold 2", "fold 3"]
    assert len(metrics(score)["test_score"]) == len(metrics(score)["fold_energy_kwh"]) == 3
    assert metrics(validate).keys() > {"mean_test_accuracy", "mean_test_f1_macro"}
    assert list(stages(predict)) == ["cross_val_predict DecisionTreeClassifier"]
    assert metrics(halving)["n_resources"][0] < metrics(halving)["n_resources"][-1]
    assert len(metrics(randomized)["mean_test_score"]) == 2
    assert list(stages(stacking)) == ["fit StackingClassifier", "training metrics"]
    assert list(stages(bagging)) == ["fit BaggingClassifier", "training metrics"]


UNCHANGED = """
import pickle
import numpy
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

class Mine(RandomForestClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y, sample_weight)

numpy.random.seed(0)
before = Mine(5)
print(before.get_params(), clone(before), sorted(vars(before)))
try:
    check_is_fitted(before)
except NotFittedError as error:
    print(error)
fitted = before.fit(x_train, y_train)
print(fitted is before, sorted(vars(fitted)), numpy.random.rand())
print(pickle.loads(pickle.dumps(fitted)).predict_proba(x_test).tolist())
print(GridSearchCV(Mine(5, random_state=0), {"max_depth": [1, 2]}, n_jobs=JOBS).fit(x_train, y_train).best_score_)
try:
    fitted.fit(x_train, y_train[:3])
except ValueError as error:
    print(error)
"""


def test_nothing_that_scikit_learn_gives_changes(run, arrived):
    """By its seed: NumPy's random numbers after a fit too. Estimators of the script itself are pickled by value."""
    bare, _ = run(SETS_UP + UNCHANGED.replace("JOBS", "1"))
    watched, _ = run(SETS_UP + AUTOLOG + UNCHANGED.replace("JOBS", "2"))
    assert bare == watched
    assert sorted(status(stored) for stored in arrived(3)) == ["completed", "completed", "failed"]


def test_data_that_an_estimator_changes_are_changed_once(run, arrived):
    code = """
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
make_pipeline(StandardScaler(copy=False), Ridge()).fit(x_train, y_train)
print(x_train.tolist())
"""
    assert run(SETS_UP + code)[0] == run(SETS_UP + AUTOLOG + code)[0]
    assert metrics(arrived()[0]) == {}


def test_what_a_score_prepares_labels_with_is_no_part_of_a_run(run, arrived):
    """Neither a stage nor the run's last parameters."""
    code = """
from sklearn.metrics import log_loss
from traceml_agent import track
with track("flowers", quiet=True):
    model.fit(x_train, y_train)
    log_loss(y_train, model.predict_proba(x_train))
"""
    run(SETS_UP + AUTOLOG + code)
    (stored,) = arrived()
    assert list(stages(stored)) == ["fit DecisionTreeClassifier", "training metrics"]
    assert "neg_label" not in params(stored)


def test_a_watched_estimator_is_not_asked_for_training_metrics(run, arrived):
    """Its calls are counted: only those of the user's code. Its training is a run of its own."""
    run(SETS_UP + AUTOLOG + "from traceml_agent import watch\nwatch(model).fit(x_train, y_train).predict(x_test)")
    by_kind = {each["headers"][-1]["kind"]: each for each in arrived(2)}
    assert {kind: (calls(each), metrics(each)) for kind, each in by_kind.items()} == {
        "inference": (1, {}),
        "training": (0, {}),
    }


def test_an_interrupted_search_is_cancelled(start, arrived):
    slow = "import time\nfrom sklearn.tree import DecisionTreeClassifier\n"
    slow += "class Slow(DecisionTreeClassifier):\n    def fit(self, X, y):\n"
    slow += "        print('fits', flush=True)\n        [time.sleep(0.1) for _ in range(300)]\nmodel = Slow()\n"
    process = start(SETS_UP + AUTOLOG + slow + SEARCH.replace("JOBS", "1"))
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    (stored,) = arrived()
    assert status(stored) == "cancelled"


def test_it_can_be_switched_off(run, arrived):
    run(SETS_UP + AUTOLOG + "model.fit(x_train, y_train)\nautolog(disable=True)\nmodel.fit(x_train, y_train)")
    arrived(1)


def test_a_portal_that_is_down_changes_nothing(run, portal_down, place):
    out, _ = run(SETS_UP + AUTOLOG + SEARCH.replace("JOBS", "1") + "print(search.best_params_)")
    assert out == "{'decisiontreeclassifier__max_depth': 3}\n"
    (stored,) = kept(place)
    assert (status(stored), len(metrics(stored)["mean_test_score"])) == ("completed", 2)


def test_importing_the_agent_imports_none_of_these_packages(run):
    packages = ("sklearn", "numpy", "xgboost", "lightgbm", "optuna", "IPython")
    out, _ = run(f"import sys, traceml_agent\nprint([name for name in {packages} if name in sys.modules])")
    assert out == "[]\n"


def test_a_fit_may_have_parameters_of_any_name(run, arrived):
    """An estimator that takes another one for its fit, and a validation that is called with its arguments by name."""
    code = """
from sklearn.model_selection import cross_validate
from sklearn.tree import DecisionTreeClassifier
class Distilled(DecisionTreeClassifier):
    def fit(self, X, y, estimator=None, former=None):
        self.teacher_ = estimator
        return super().fit(X, y)
student = Distilled().fit(x_train, y_train, estimator=model, former=1)
print(student.teacher_ is model, len(cross_validate(estimator=student, X=x_train, y=y_train)["test_score"]))
"""
    assert run(SETS_UP + AUTOLOG + code)[0] == "True 5\n"
    fit, validation = arrived(2)
    assert "fit Distilled" in stages(fit) and "cross_validate Distilled" in stages(validation)


def test_a_service_that_trains_again_has_a_run_for_its_use_and_one_for_the_training(run, arrived):
    run("""
        from sklearn.linear_model import LogisticRegression
        from traceml_agent import watch
        from traceml_agent.integrations.sklearn import autolog

        x, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        model = watch(LogisticRegression().fit(x, y), name="service")
        model.predict(x)
        autolog()
        LogisticRegression(C=2.0).fit(x, y)
    """)
    kinds = {each["headers"][-1]["model"]: each["headers"][-1]["kind"] for each in arrived(2)}
    assert kinds == {"service": "inference", "LogisticRegression": "training"}
