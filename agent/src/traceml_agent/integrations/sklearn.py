"""scikit-learn: each training is a run, with its parameters, training metrics, pipeline steps and search candidates.

>>> from traceml_agent.integrations.sklearn import autolog
>>> autolog()

From then on, `fit` of every estimator is measured, also of other packages' estimators. What a fit calls belongs to it:
an ensemble, a pipeline or a search with any `n_jobs` is one run. Inside `track`, a fit is a stage of that run.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from sklearn.base import BaseEstimator
from sklearn.model_selection import _validation
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, LabelEncoder, MultiLabelBinarizer

from traceml_agent.integrations.joining import Joined
from traceml_agent.integrations.notes import noted
from traceml_agent.integrations.replacing import replace
from traceml_agent.integrations.training_metrics import log_training_metrics
from traceml_agent.messages import guarded
from traceml_agent.track import current_run

METHODS = ("fit", "fit_transform", "fit_predict")
#: What scores and classifiers prepare labels with. In a user's run, they would be stages and parameters out of nowhere.
OF_LABELS = (LabelBinarizer, LabelEncoder, MultiLabelBinarizer)
#: Functions that fit clones of an estimator. `cross_val_score` calls the first one.
VALIDATIONS = ("cross_validate", "cross_val_predict", "learning_curve", "validation_curve", "permutation_test_score")
#: What is kept of a candidate of a search, or of a fold of a validation, by the beginning of its name.
RESULTS = ("mean_test_", "mean_train_", "test_", "train_", "n_resources")

_fits: _Fits | None = None
_is_patched = False


@guarded()
def autolog(model=None, *, with_metrics: bool = True, disable: bool = False, **options) -> None:
    """Measure every `fit` from now on, until `autolog(disable=True)`. A second call replaces the options of the first.

    `model` is the runs' model name; without one, it is the estimator's class, in a pipeline or search that of the final
    estimator. `with_metrics=False` leaves out the training metrics, which cost a prediction of the training data. The
    other options are those of `traceml_agent.start`.
    """
    global _fits, _is_patched
    _fits = None if disable else _Fits(({} if model is None else {"model": model}) | options, with_metrics)
    if _fits and not _is_patched:
        _is_patched = True  # for good: other tools may wrap the same methods, and then nobody can put them back
        _patch_estimators()
        for name in VALIDATIONS:
            function = getattr(_validation, name)
            replace(function, _measured(function, _validated))


def _patch_estimators() -> None:
    """Wrap the methods of all estimators that are loaded, and of those that are defined later."""

    def subclassed(cls, **options):
        super(BaseEstimator, cls).__init_subclass__(**options)
        _patch(cls)

    BaseEstimator.__init_subclass__ = classmethod(subclassed)
    found = [BaseEstimator]
    while found:
        _patch(each := found.pop())
        found += each.__subclasses__()


@guarded()
def _patch(cls: type) -> None:
    if cls in OF_LABELS:
        return
    for name in METHODS:
        method = vars(cls).get(name)
        if inspect.isfunction(method):
            setattr(cls, name, _measured(method, _fitted))
        elif method and inspect.isfunction(getattr(method, "fn", None)):  # `available_if`, as of a pipeline
            method.fn = _measured(method.fn, _fitted)


def _measured(former: Callable, measure: Callable) -> Callable:
    """The function, called by `measure`.

    A class of `__main__` is pickled by value, with this function: it must hold nothing but importable functions.
    """

    @functools.wraps(former)
    def call(*args, **kwargs):  # by position alone: a `fit` may have parameters of any name
        return measure(former, args, kwargs)

    return call


def _fitted(former: Callable, args: tuple, kwargs: dict):
    """Call a method that fits, and report it."""
    fits = _fits
    if fits is None or not args:
        return former(*args, **kwargs)
    estimator, *given = args
    with fits.stage_of(estimator) as fit:
        result = former(*args, **kwargs)
        if fit:
            _report_candidates(fit, estimator)
            if fits.with_metrics:
                log_training_metrics(fit.joined, estimator, former, given, kwargs, fit.so_far()[0])
        return result


def _validated(former: Callable, args: tuple, kwargs: dict):
    """Call a function that validates an estimator, and report it."""
    fits = _fits
    estimator = args[0] if args else kwargs.get("estimator")
    if fits is None or estimator is None:
        return former(*args, **kwargs)
    with fits.stage_of(estimator, by=former.__name__) as fit:
        result = former(*args, **kwargs)
        if fit and isinstance(result, dict):
            _report_folds(fit, result)
        return result


class _Fit:
    """The outermost call in progress: its run, and when and at which energy it began."""

    def __init__(self, joined: Joined):
        self.joined, self.began_at, self._began_j = joined, time.monotonic(), joined.energy_j()
        self._until_last_j = 0.0

    def note_inner_fit(self) -> None:
        """Keep the energy until a fit inside this one. The last of a search is that of the best estimator."""
        self._until_last_j = self.joined.energy_j(exactly=False) - self._began_j

    def of_search(self, refit_s: float) -> tuple[float, float]:
        """Seconds and joules of a search without the last fit. Workers use more power than that, so time won't do."""
        spent_s, spent_j = self.so_far()
        return spent_s - refit_s, self._until_last_j if refit_s and self._until_last_j > 0 else spent_j

    def so_far(self) -> tuple[float, float]:
        """Seconds and joules of the call so far."""
        return time.monotonic() - self.began_at, self.joined.energy_j() - self._began_j

    def divide(self, word: str, params: list[dict], took_s, results: dict, whole_s: float, whole_j: float) -> None:
        """Report parts of the call as stages, one after another, each with its share of time and energy."""
        kept = [name for name in results if name.startswith(RESULTS)]
        began_at, total_s = self.began_at, float(sum(took_s)) or 1.0
        for number, (given, part_s) in enumerate(zip(params, took_s, strict=True)):
            share = float(part_s) / total_s
            found = {name: results[name][number] for name in kept} | {f"{word}_energy_kwh": whole_j * share / 3.6e6}
            name = noted(f"{word} {number + 1}", given)
            self.joined.place(name, began_at, began_at + whole_s * share, found)
            began_at += whole_s * share


class _Fits:
    """What `autolog` was asked for, and the calls in progress.

    Fits of several threads at a time are one run, since their energy can't be told apart: it lasts until the last of
    them ends. So the threads of an ensemble need not be told from the user's.
    """

    def __init__(self, options: dict, with_metrics: bool):
        self._options, self.with_metrics = options, with_metrics
        self._lock, self._of_thread = threading.Lock(), threading.local()
        self._in_progress, self._joined = 0, Joined(options)
        self._fit: _Fit | None = None
        self._error: BaseException | None = None

    @contextmanager
    def stage_of(self, estimator, by: str = "") -> Iterator[_Fit | None]:
        """A stage around a call; gives the call if it is the outermost one, which reports parameters and metrics.

        `by` is the name of the function that validates the estimator, if it is not its own method.
        """
        outer = self._of_thread.__dict__.setdefault("estimators", [])
        outer.append(estimator)
        try:
            if len(outer) > 1:
                name = _step_name(*outer) if len(outer) == 2 and isinstance(outer[0], Pipeline) else ""
                if self._fit and len(outer) == 2 and isinstance(outer[0], BaseSearchCV):
                    self._fit.note_inner_fit()
                with self._joined.stage(name) if name else nullcontext():
                    yield None
            elif not by and not _predicts(estimator) and not current_run():
                yield None
            else:
                with self._outermost(estimator, by) as fit:
                    yield fit
        finally:
            outer.pop()

    @contextmanager
    def _outermost(self, estimator, by: str) -> Iterator[_Fit | None]:
        """The run of a thread's outermost call: begun by the first of these, ended by the last."""
        with self._lock:
            self._in_progress += 1
            is_first = self._in_progress == 1
            if is_first:
                self._joined = Joined(self._options)
        joined = self._joined
        try:
            if is_first:
                joined.begin(_model_name(estimator), params=params_of(estimator))
                with joined.stage(f"{by or 'fit'} {type(estimator).__name__}"):
                    self._fit = _Fit(joined)
                    yield self._fit
            else:
                yield None
        except BaseException as error:
            self._error = self._error or error
            raise
        finally:
            with self._lock:
                self._in_progress -= 1
                is_last = not self._in_progress
            if is_last:
                joined.end(self._error)
                self._error = None


@guarded(False)
def _predicts(estimator) -> bool:
    """What only transforms (a scaler, an encoder) begins no run of its own. Some know their methods only once fitted,
    so the class is asked."""
    cls = type(_final(estimator) if isinstance(estimator, Pipeline) else estimator)
    return hasattr(cls, "predict") or hasattr(cls, "fit_predict")


@guarded("")
def _step_name(pipeline: Pipeline, estimator) -> str:
    """The name of a step. The pipeline fits clones of its transformers if it has a memory."""
    for name, step in pipeline.steps:
        if step is estimator:
            return name
    return next((name for name, step in pipeline.steps if type(step) is type(estimator)), "")


def _final(estimator):
    """The estimator at the end of pipelines and searches."""
    while isinstance(estimator, (Pipeline, BaseSearchCV)):
        estimator = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator.estimator
    return estimator


@guarded("scikit-learn")
def _model_name(estimator) -> str:
    return type(_final(estimator)).__name__


@guarded(dict)
def params_of(estimator) -> dict:
    """All parameters of an estimator and those inside it. An estimator among them is told by its class."""
    return {name: _plain(value) for name, value in estimator.get_params(deep=True).items()}


def _plain(value):
    if hasattr(value, "get_params"):
        return type(value).__name__
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


@guarded()
def _report_candidates(fit: _Fit, search) -> None:
    """Report each candidate of a search as a stage, with its scores and energy, and what was found best.

    Workers try candidates at the same time, and only the time that each took is known. So the search's time and energy
    are divided among the candidates in proportion, in their order. With one worker, these are the true times.
    """
    results = getattr(search, "cv_results_", None)
    if not isinstance(results, dict) or "mean_fit_time" not in results:
        return
    refit_s = getattr(search, "refit_time_", 0.0)
    searched_s, searched_j = fit.of_search(refit_s)
    params = [{name: _plain(value) for name, value in given.items()} for given in results["params"]]
    took_s = results["mean_fit_time"] + results["mean_score_time"]
    fit.divide("candidate", params, took_s, results, searched_s, searched_j)
    if refit_s:
        fit.joined.place("refit", fit.began_at + searched_s, fit.began_at + searched_s + refit_s, {})
    best = getattr(search, "best_params_", {})
    fit.joined.log_params({f"best_{name}": _plain(value) for name, value in best.items()})
    if hasattr(search, "best_score_"):
        fit.joined.log({"best_score": search.best_score_})


@guarded()
def _report_folds(fit: _Fit, results: dict) -> None:
    """Report each fold of a cross-validation as a stage, as `_report_candidates` does, and the mean scores."""
    took_s = results["fit_time"] + results["score_time"]
    fit.divide("fold", [{}] * len(took_s), took_s, results, *fit.so_far())
    fit.joined.log({f"mean_{name}": scores.mean() for name, scores in results.items() if name.startswith(RESULTS)})
