"""A run: what it is called, its sampler, its spool, and what the training tells of itself.

Nothing here waits for the network: records go to the spool, and the uploader's process is woken.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator

from traceml_agent import config, host, job, metadata, sensors
from traceml_agent import summary as numbers
from traceml_agent.budget import Budget
from traceml_agent.claims import Claims
from traceml_agent.epochs import Epochs, Gauge
from traceml_agent.messages import guarded, warn
from traceml_agent.sampler import Meter, Sampler
from traceml_agent.spool import Spool
from traceml_agent.stages import NoStage, Stage
from traceml_agent.version import __version__

#: Rows of one kind in a record, and of stages in a run: the portal takes no more, and nobody reads more.
MAX_ROWS = 1000
MAX_STAGES = 20_000
#: Metrics that are amounts of useful work: added up, not followed.
WORK = ("samples", "tokens")
#: The uploaders of this process, each with the flush budget in seconds, by portal, token and folder.
_uploaders: dict[tuple, tuple] = {}
_active: list[Run] = []


class Run:
    """A run in progress. `stop()` ends it and returns its summary; until then `summary` gives the numbers so far."""

    def __init__(self, model, kind, name, tags, params, settings: config.Settings, budget=None, target=None):
        from traceml_agent import identity

        self.settings = settings
        self._target: host.Target = target or host.Target()
        self.model = _model_name(model)
        self.kind = metadata.kind(kind) or "other"
        if self.kind != str(kind).strip().lower():
            warn(f"kind {str(kind)[:50]!r} is none of {', '.join(metadata.KINDS)}: taken as other")
        self.name, self.tags, self.params = metadata.text(name or ""), metadata.tags(tags), metadata.params(params)
        shared = settings.run_id or job.name()
        self.run_id = identity.run_id_of(shared) if shared else identity.new_run_id()
        self.rank = job.rank()
        self.writer = identity.new_writer()
        self.url = f"{settings.url}/runs/{self.run_id}/" if settings.url else None
        self.budget, self._gauge = budget or Budget(), Gauge()
        self.forecast: numbers.Record | None = None
        self.watched: list = []
        self._work: dict[str, float] = dict.fromkeys(WORK, 0.0)
        self._told: dict[str, float] = {}
        self._pid = os.getpid()
        self._started_at, self._started_wall_s = time.monotonic(), time.time()
        self._keys = itertools.count(1)
        self._metrics: deque[tuple[float, str, float]] = deque(maxlen=10 * MAX_ROWS)
        self._stages: deque[Stage] = deque(maxlen=10 * MAX_ROWS)
        self._summary: numbers.Record | None = None
        self._spool = Spool.create(settings, self.run_id, self.writer)
        self._claims = Claims(self.run_id, os.path.dirname(self._spool.path or "") if job.size() > 1 else None)
        self._sampler = Sampler(settings.interval, self._started_at, self._record, self.look)

    def begin(self) -> Run:
        """Start measuring: everything that takes long happens on the sampler's thread."""
        self._sampler.meters = [Meter(sensor) for sensor in sensors.of_host(self.settings.scope, self._target)]
        self._sampler.start(self._prepare)
        atexit.unregister(end_of_process)
        atexit.register(end_of_process)  # once, however many runs a process has
        _active.append(self)
        job.tell_children(self)
        return self

    def _prepare(self) -> None:
        self._spool.append("header", self._header())
        self._upload()
        accelerators = sensors.of_accelerators(self.settings.scope, self._target)
        found = [sensor for sensor in accelerators if self._claims.take(sensor.facts["uuid"])]
        replaced = {key for sensor in found for key in sensor.replaces}
        kept = [meter for meter in self._sampler.meters if meter.facts["key"] not in replaced]
        self._sampler.meters = kept + [Meter(sensor) for sensor in found]  # at once, for others may read it meanwhile

    def _header(self) -> dict:
        from traceml_agent import identity

        started_at = _iso(self._started_wall_s)
        return {
            "model": self.model,
            "kind": self.kind,
            "name": self.name,
            "tags": self.tags,
            "params": self.params,
            "started_at": started_at,
            "host": identity.host_label(self.settings),
            "agent_version": __version__,
            "flush_s": self.settings.upload_s,
            "environment": identity.environment(),
            "writer": self.writer,
            "writer_started_at": started_at,
            "portal": self.settings.url,
        }

    def _upload(self) -> None:
        """Hand the spool file to the uploader of this portal; started with the first run that needs it."""
        s = self.settings
        if not (s.url and self._spool.path):
            return
        if not s.token:
            warn("no token: set TRACEML_AGENT_TOKEN or run `traceml-agent login`. The spool keeps the run for later.")
            return
        place = (s.url, s.token, s.spool_dir)
        if place not in _uploaders:
            from traceml_agent import uploader

            _uploaders[place] = uploader.launch(s), s.flush_s
        if _uploaders[place][0]:
            _uploaders[place][0].own(self._spool.path)

    def _record(self, samples: list[dict]) -> None:
        """Write what has gathered since the last record, in as many records as the portal's limits ask for."""
        metrics = [{"t_s": t_s, "name": name, "value": value} for t_s, name, value in _drained(self._metrics)]
        metrics += self._work_done()
        stages = list({stage.key: stage.as_wire() for stage in _drained(self._stages)}.values())
        body = {"samples": samples, "devices": [meter.facts for meter in self._sampler.meters]}
        calls = [row for watched in self.watched for row in watched.calls()]
        for uploader, _ in _uploaders.values():
            if uploader:
                uploader.hear()  # its warnings, such as of a token that the portal refuses
        while body or metrics or stages:
            more = {"metrics": metrics[:MAX_ROWS], "stages": stages[:MAX_ROWS], "calls": calls[:MAX_ROWS]}
            self._spool.append("chunk", body | {name: rows for name, rows in more.items() if rows})
            body, calls, metrics, stages = {}, [], metrics[MAX_ROWS:], stages[MAX_ROWS:]

    def _work_done(self) -> list[dict]:
        """Work since the last record, as metrics: however often it was logged, one number."""
        t_s = round(time.monotonic() - self._started_at, 6)
        done = {name: total - self._told.get(name, 0.0) for name, total in self._work.items()}
        self._told = dict(self._work)
        return [{"t_s": t_s, "name": name, "value": value} for name, value in done.items() if value]

    def look(self) -> None:
        """After each tick and each epoch: whether the budget is used."""
        if self.budget.is_set and self.is_measuring:
            self.budget.check(self, self._so_far())

    def energy_j(self, now: float) -> float:
        """Joules so far at a monotonic time: the devices' last readings, and their power since."""
        if not self.is_measuring:
            return 0.0
        self._sampler.catch_up()
        self._gauge.read(self._sampler.meters)
        return self._gauge.energy_j(now)

    @property
    def over_budget(self) -> bool:
        """Whether the run has used more than `budget_kwh` or `budget_kg`."""
        return self.budget.is_over

    @property
    def is_measuring(self) -> bool:
        """False in a forked child, whose copy of a run is inert, and after the end."""
        return self._summary is None and os.getpid() == self._pid

    @guarded(NoStage)
    def stage(self, name: str = "stage") -> Stage | NoStage:
        """A context manager around a named part of the run: `with run.stage("evaluation"):`."""
        number = next(self._keys)
        if not self.is_measuring or self.rank or number > MAX_STAGES:
            if number == MAX_STAGES + 1:
                warn(f"only the first {MAX_STAGES} stages of a run are kept")
            return NoStage()
        return Stage(metadata.text(name) or "stage", str(number), self._started_at, self._report_stage)

    def _report_stage(self, stage: Stage) -> None:
        if self.is_measuring:
            self._stages.append(stage)
            self._sampler.mark()

    def epochs(self, iterable: Iterable, name: str = "epoch") -> Epochs:
        """The items of `iterable`, each in a stage of its own: `for epoch in run.epochs(range(90)):`.

        After each of them `forecast` tells what the whole is expected to use; on a terminal a line shows it. With
        `on_budget="stop"` there is no further one once the budget is used.
        """
        return Epochs(self, iterable, _epochs_name(name))

    @guarded()
    def log(self, **metrics) -> None:
        """Keep numbers with the time they were logged at: `run.log(loss=0.3, accuracy=0.91)`.

        `samples` and `tokens` are work done since the last call: added up, the summary tells the energy of a thousand.
        """
        if not self.is_measuring or self.rank:
            return
        t_s = round(time.monotonic() - self._started_at, 6)
        for name, given in metrics.items():
            value = metadata.number(given)
            if value is None:
                warn(f"the metric {name[:50]!r} is no finite number and is left out")
            elif name in self._work:
                self._work[name] += value
            else:
                self._metrics.append((t_s, metadata.text(name), value))

    @property
    def summary(self) -> numbers.Record:
        """Energy, emissions and devices: so far, or of the whole run once it is stopped. See `stop`."""
        if self.is_measuring:
            self._sampler.catch_up()
        return self._summary or self._so_far()

    @guarded(numbers.nothing)
    def _so_far(self) -> numbers.Record:
        meters = self._sampler.meters if os.getpid() == self._pid else []
        summary = numbers.summarise(meters, time.monotonic() - self._started_at, self.url)
        summary["work"] = numbers.per_unit(self._work, summary.energy_kwh)
        return summary

    def stop(self, status: str = "completed", exception: str = "") -> numbers.Record:
        """End the run and return its summary; a second call returns the same.

        `energy_kwh`, `emissions_kg` (kgCO2e), `duration_s`, `measured_share` (0 to 1), `url`, and `devices`, each with
        `kind`, `name`, `uuid`, `basis`, `energy_j`, `busy_s`, `elapsed_s`.
        """
        if self.is_measuring:
            self._end(status, exception)
        return self._summary or numbers.nothing()

    @guarded()
    def _end(self, status, exception) -> None:
        self._sampler.stop()
        summary = self._so_far()
        self._summary = summary
        if self in _active:
            _active.remove(self)
            job.tell_children(current())
        self._spool.append("finish", self._finish(status, exception, summary.duration_s))
        self._spool.flush_to_disk()
        self._spool.close()
        self._claims.release()
        for uploader, _ in _uploaders.values():
            if uploader:
                uploader.wake()
        if self.rank == 0:
            numbers.say(numbers.line(self.model, summary))

    def _finish(self, status, exception, duration_s: float) -> dict:
        return {
            "status": status if status in ("completed", "failed", "cancelled") else "completed",
            "ended_at": _iso(self._started_wall_s + duration_s),
            "exception": metadata.text(exception or ""),
            "dropped_records": self._spool.dropped,
            "devices": [meter.facts for meter in self._sampler.meters],
            "samples": self._sampler.samples(),
        }

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.stop(*outcome(kind, error))

    def __repr__(self) -> str:
        return f"<Run {self.run_id} of {self.model}>"


class InertRun(Run):
    """A run that measures nothing and leaves no trace: the agent is disabled, or a parent is tracked already."""

    def __init__(self, model=None):
        self.model = _model_name(model)
        self.kind, self.run_id, self.url = "other", "", None
        self.rank, self.budget, self.forecast = 0, Budget(), None
        self.watched = []
        self._pid, self._started_at = os.getpid(), time.monotonic()
        self._keys = itertools.count(1)
        self._summary = numbers.nothing()


def outcome(kind, error) -> tuple[str, str]:
    """How a block ended, by its exception: status and the type's name."""
    if kind is None or (issubclass(kind, SystemExit) and getattr(error, "code", None) in (None, 0)):
        return "completed", ""
    if issubclass(kind, (KeyboardInterrupt, GeneratorExit)) or kind.__name__ == "CancelledError":
        return "cancelled", kind.__name__
    return "failed", kind.__name__


def current() -> Run | None:
    """The run that was started last in this process and still runs."""
    mine = [run for run in _active if run.is_measuring]
    return mine[-1] if mine else None


@guarded("epoch")
def _epochs_name(given) -> str:
    return metadata.text(given) or "epoch"


def _model_name(given) -> str:
    return (metadata.text(given) if given is not None else "") or default_model()


def default_model() -> str:
    """What a model is called that nobody named: the script, or the notebook."""
    script = os.path.basename(getattr(sys.modules.get("__main__"), "__file__", "") or "")
    return metadata.text(script.removesuffix(".py")) or "unnamed"


@guarded()
def end_of_process() -> None:
    """Stop what still runs, and give the uploader its time to deliver. A crash shows in `sys.last_type`."""
    ending = [run for run in _active if run._pid == os.getpid()]
    for run in ending:
        run.stop(*outcome(getattr(sys, "last_type", None), getattr(sys, "last_value", None)))
    ends_at = time.monotonic() + max((flush_s for _, flush_s in _uploaders.values()), default=0.0)
    for uploader, flush_s in _uploaders.values():
        if uploader:
            uploader.finish(min(flush_s, ends_at - time.monotonic()))
            uploader.close()


def _drained(rows: deque) -> Iterator:
    """Everything in a deque that other threads may fill meanwhile."""
    while rows:
        yield rows.popleft()


def _iso(wall_s: float) -> str:
    """A wall-clock time as ISO 8601 in UTC, to the millisecond."""
    whole, milliseconds = divmod(round(wall_s * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milliseconds:03d}Z"
