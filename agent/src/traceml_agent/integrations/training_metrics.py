"""The training metrics of a scikit-learn estimator, by the names that MLflow's autologging gives them."""

from __future__ import annotations

import copy
import inspect
import math
import time
import warnings
from collections.abc import Callable

import numpy
from sklearn import metrics
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from traceml_agent.integrations.joining import Joined
from traceml_agent.messages import guarded, warn
from traceml_agent.watching.patching import watched_of

#: Predicting the training data takes at most this long, or this share of the fit.
MOST_S, MOST_SHARE = 1.0, 0.1
TRIED_ROWS = 200
#: Parameters that make an estimator change the data it is given. Predicting the same data again would be wrong.
COPIES = ("copy", "copy_X", "copy_x")


@guarded()
def log_training_metrics(joined: Joined, estimator, method: Callable, args: list, kwargs: dict, fit_s: float) -> None:
    """Log how the fitted estimator predicts its own training data, in a stage of its own, since it uses energy too.

    `args` and `kwargs` are what its `method` that fits was given; `fit_s` is how long that took, in seconds.

    Nothing that the user sees changes: the data are copied, NumPy's random state is restored, warnings are silent.
    """
    given = list(inspect.signature(method).bind(estimator, *args, **kwargs).arguments.items())[1:]
    named = dict(given)
    x, y = (given[0][1] if given else None), named.get("y", named.get("Y"))
    if x is None or not hasattr(estimator, "score") or _changes_its_data(estimator) or watched_of(estimator):
        return  # the calls of a watched one are counted
    state = numpy.random.get_state()  # of the generator that estimators without a seed use
    try:
        with joined.stage("training metrics"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if _is_quick(estimator, x, max(MOST_S, MOST_SHARE * fit_s)):
                joined.log(_metrics(estimator, x, y, named.get("sample_weight")))
            else:
                warn("no training metrics: predicting the training data would take over 10 % of the fit")
    finally:
        numpy.random.set_state(state)


def _changes_its_data(estimator) -> bool:
    return any(
        name.rpartition("__")[2] in COPIES and value is False for name, value in estimator.get_params(deep=True).items()
    )


def _is_quick(estimator, x, most_s: float) -> bool:
    """Whether the predictions take less than `most_s` seconds, judged by the first rows."""
    rows = _num_samples(x)
    predict = getattr(estimator, "predict", None)
    if predict is None or rows <= TRIED_ROWS:
        return True
    began_at = time.perf_counter()
    predict(_safe_indexing(x, numpy.arange(TRIED_ROWS)))
    return 3 * (time.perf_counter() - began_at) * rows / TRIED_ROWS < most_s


def _metrics(estimator, x, y, weights) -> dict:
    """The metrics of a classifier or regressor; of others, the score."""
    more = {} if weights is None else {"sample_weight": weights}
    found = {"training_score": _of(estimator.score, _copied(x), y, **more)}
    if y is not None and is_classifier(estimator):
        found |= _of_classifier(estimator, x, y, more)
    elif y is not None and is_regressor(estimator):
        predicted = estimator.predict(_copied(x))
        found["training_mean_squared_error"] = _of(metrics.mean_squared_error, y, predicted, **more)
        if found["training_mean_squared_error"] is not None:
            found["training_root_mean_squared_error"] = math.sqrt(found["training_mean_squared_error"])
        found["training_mean_absolute_error"] = _of(metrics.mean_absolute_error, y, predicted, **more)
        found["training_r2_score"] = _of(metrics.r2_score, y, predicted, **more)
    return {name: value for name, value in found.items() if value is not None}


def _of_classifier(estimator, x, y, more: dict) -> dict:
    predicted = estimator.predict(_copied(x))
    weighted = more | {"average": "weighted"}
    found = {
        "training_precision_score": _of(metrics.precision_score, y, predicted, **weighted),
        "training_recall_score": _of(metrics.recall_score, y, predicted, **weighted),
        "training_f1_score": _of(metrics.f1_score, y, predicted, **weighted),
        "training_accuracy_score": _of(metrics.accuracy_score, y, predicted, **more),
    }
    if hasattr(estimator, "predict_proba"):
        likely = estimator.predict_proba(_copied(x))
        found["training_log_loss"] = _of(metrics.log_loss, y, likely, **more)
        scores = likely[:, 1] if numpy.shape(likely)[1:] == (2,) else likely
        found["training_roc_auc"] = _of(metrics.roc_auc_score, y, scores, multi_class="ovo", **weighted)
    return found


def _copied(x):
    return x.copy() if hasattr(x, "copy") else copy.deepcopy(x)


def _of(metric, *args, **kwargs) -> float | None:
    """A metric, or None if it is not defined for these data."""
    try:
        return metric(*args, **kwargs)
    except (TypeError, ValueError):
        return None
