"""What a reader finds in a file: runs, rows that can't be taken, and rows that nobody wants."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from runs.models import Device, Run
from traceml_agent import estimation

#: Longer runs are errors of a clock; a device keeps its counters at the end of each day.
LONGEST = timedelta(days=1000)


class FileRefused(Exception):
    """The file as a whole can't be imported: a sentence that names the line."""


class RowRefused(Exception):
    """A row has an impossible value: a sentence without the line."""


class Refused(NamedTuple):
    """A row that can't be taken."""

    line: int
    reason: str


class LeftAside(NamedTuple):
    """A row that is right but not imported, such as a job that is still running."""

    reason: str


class FoundSample(NamedTuple):
    """Cumulative counters of a device, as `runs.models.batch.Sample` without the elapsed time, which is `t_s`."""

    t_s: float
    busy_s: float | None
    energy_j: float | None


@dataclass(slots=True)
class FoundDevice:
    """A device with its counters over the run. With `energy_j`, its basis is `reported`; else it is estimated."""

    key: str
    kind: str
    name: str
    busy_s: float | None = None
    energy_j: float | None = None
    cores: float | None = None
    threads: float | None = None
    host_threads: float | None = None
    memory_gb: float | None = None
    share: float = 1.0
    #: What the file calls it, where `name` is what that is taken for.
    called: str = ""
    uuid: str = ""
    method: str = ""
    note: str = ""
    samples: list[FoundSample] = field(default_factory=list)

    def facts(self, elapsed_s: float) -> estimation.Facts:
        """Return what `Device.last_facts` will be."""
        basis = "" if self.energy_j is None else estimation.REPORTED
        return estimation.Facts(
            self.kind,
            elapsed_s,
            self.busy_s,
            self.energy_j,
            basis,
            self.cores,
            self.threads,
            self.memory_gb,
            self.share,
            self.name,
            None,
            self.host_threads,
        )


class FoundStage(NamedTuple):
    """A part of a run, in seconds since its start."""

    name: str
    start_s: float
    end_s: float


class FoundMetric(NamedTuple):
    """Values that the tool logged under a name, in order: seconds since the run's start, and value."""

    name: str
    values: list[tuple[float, float]]


@dataclass(slots=True)
class FoundRun:
    """A run of another tool. `key` is what makes it the same run in another file of the tool."""

    key: str
    line: int
    named: str
    started_at: datetime
    duration_s: float
    devices: list[FoundDevice]
    status: str = Run.Status.COMPLETED
    name: str = ""
    user: str = ""
    version: str = ""
    host: str = ""
    exception: str = ""
    tags: list[str] = field(default_factory=list)
    params: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    stages: list[FoundStage] = field(default_factory=list)
    metrics: list[FoundMetric] = field(default_factory=list)
    reported_kwh: float | None = None
    reported_kg: float | None = None
    pue_included: bool = False

    @property
    def ended_at(self) -> datetime:
        return self.started_at + timedelta(seconds=self.duration_s)


Found = FoundRun | Refused | LeftAside
Reading = Iterator[Found]
GPU, CPU, RAM, OTHER = Device.Kind.GPU, Device.Kind.CPU, Device.Kind.RAM, Device.Kind.OTHER
