"""A watched scikit-learn estimator, wherever the bare one goes."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, export_text
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted

X, Y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def tree(watch):
    return watch(DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y))


@pytest.mark.parametrize(
    "use",
    [
        check_is_fitted,
        export_text,
        get_tags,
        repr,
        lambda model: list(vars(model)),
        joblib.hash,
        pickle.dumps,
        lambda model: model.get_params(),
        lambda model: clone(model).__class__,
        lambda model: partial_dependence(model, X, [0])["average"].tolist(),
        lambda model: SelectFromModel(model, prefit=True).transform(X).tolist(),
        lambda model: StackingClassifier([("tree", model)], cv="prefit").fit(X, Y).predict(X).tolist(),
        lambda model: CalibratedClassifierCV(FrozenEstimator(model)).fit(X, Y).predict(X).tolist(),
        lambda model: make_pipeline(FrozenEstimator(StandardScaler().fit(X)), model).predict(X).tolist(),
        lambda model: GridSearchCV(model, {"max_depth": [1, 2]}).fit(X, Y).best_params_,
    ],
)
def test_what_takes_the_bare_estimator_takes_the_watched_one(tree, use):
    bare = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
    assert use(tree) == use(bare)


ESTIMATORS = [
    LogisticRegression(max_iter=20),
    DecisionTreeClassifier(),
    StandardScaler(),
    KMeans(2, n_init=1),
    make_pipeline(StandardScaler(), GaussianNB()),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_scikit_learns_own_checks_end_as_those_of_the_bare_estimator(watch, all_watched, monkeypatch, estimator):
    """The checks work on clones: every clone is watched."""
    bare = _checked(estimator)
    monkeypatch.setattr(estimator_checks, "clone", lambda each, safe=True: watch(clone(each, safe=safe)))
    assert _checked(watch(clone(estimator))) == bare
    assert sum(bool(watched.calls()) for watched in all_watched) > 10


def _checked(estimator) -> dict[str, str]:
    results = estimator_checks.check_estimator(estimator, on_fail=None)
    return {result["check_name"]: result["status"] for result in results}


def test_fit_returns_the_watched_estimator_and_its_use_is_counted(watch, counts):
    model = watch(LogisticRegression()).fit(X, Y)
    model.predict(X[:5])
    model.predict_log_proba(X=X)
    model.score(X, Y)
    assert counts() == {"predict": (1, 5), "predict_log_proba": (1, 150), "score": (1, 150)}


def test_what_early_stopping_asks_is_part_of_the_training(watch, counts):
    watch(MLPClassifier(early_stopping=True, max_iter=3)).fit(X, Y)
    assert counts() == {}


def test_methods_that_are_there_at_times_count_then(watch, counts):
    """scikit-learn's `available_if`."""
    model = watch(VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())])).fit(X, Y)
    assert not hasattr(model, "predict_proba")
    model.set_params(voting="soft").predict_proba(X)
    assert counts() == {"predict_proba": (1, 150)}


def test_a_watched_step_counts_in_a_pipeline(watch, counts):
    scaler, model = watch(StandardScaler()), watch(GaussianNB())
    make_pipeline(scaler, model).fit(X, Y).predict(X)
    assert counts() == {"transform": (1, 150), "predict": (1, 150)}


def test_it_predicts_in_joblibs_workers(watch, tree):
    parts = joblib.Parallel(n_jobs=2)(joblib.delayed(tree.predict)(part) for part in np.array_split(X, 2))
    assert np.concatenate(parts).tolist() == tree.predict(X).tolist()
