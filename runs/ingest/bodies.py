"""What an upload contains once it is checked: the bodies of docs/wire.md as the API, the demo and tests pass them on.

`runs/api/serializers.py` creates them from JSON; `tests/api/test_bodies.py` checks that both have the same keys.
"""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from runs.left_out import LeftOut


class DeviceBody(TypedDict):
    """A device's description. For missing keys the portal keeps what it knows."""

    key: str
    kind: str
    name: str
    uuid: NotRequired[str]
    measured_by: NotRequired[str]
    cores: NotRequired[float | None]
    threads: NotRequired[float | None]
    host_cores: NotRequired[float | None]
    host_threads: NotRequired[float | None]
    memory_gb: NotRequired[float | None]
    share: NotRequired[float]
    power_limit_w: NotRequired[float | None]
    range_low: NotRequired[float | None]
    range_high: NotRequired[float | None]
    method: NotRequired[str]
    note: NotRequired[str]


class SampleBody(TypedDict):
    """Cumulative counters of a device at one instant; the last four only for a device that several runs share."""

    device: str
    t_s: float
    elapsed_s: float
    busy_s: float | None
    energy_j: float | None
    held_s: NotRequired[float]
    shared_held_s: NotRequired[float]
    shared_busy_s: NotRequired[float]
    shared_energy_j: NotRequired[float]


class StageBody(TypedDict):
    """A stage in seconds of its writer; without `end_s` it is still open."""

    id: str
    name: str
    parent: str
    start_s: float
    end_s: float | None
    total: NotRequired[int | None]


class MetricBody(TypedDict):
    """A logged value."""

    t_s: float
    name: str
    value: float


class CallsBody(TypedDict):
    """How often a method has been called so far."""

    method: str
    calls: int
    items: int
    busy_s: float


class OverlapBody(TypedDict):
    """Another run that measured the same thing at the same time."""

    run: Any
    shares: str


class AboutBody(TypedDict, total=False):
    """What a run reports about itself after its header."""

    model: str
    kind: str
    name: str
    tags: list[str]
    params: dict[str, Any]
    environment: dict[str, Any]


class WriterBody(TypedDict):
    """What every upload says about its sender."""

    writer: NotRequired[str]
    writer_started_at: NotRequired[datetime]
    host: NotRequired[str]
    sent_at: NotRequired[datetime]
    rank: NotRequired[int | None]
    devices: list[DeviceBody]


class HeaderBody(WriterBody):
    model: str
    kind: str
    name: NotRequired[str]
    started_at: datetime
    agent_version: NotRequired[str]
    flush_s: float
    tags: NotRequired[list[str]]
    params: NotRequired[dict[str, Any]]
    environment: NotRequired[dict[str, Any]]


class BatchBody(WriterBody):
    samples: list[SampleBody]
    stages: list[StageBody]
    metrics: list[MetricBody]
    calls: list[CallsBody]
    left_out: NotRequired[list[LeftOut]]
    overlaps: NotRequired[list[OverlapBody]]
    about: NotRequired[AboutBody | None]


class FinishBody(WriterBody):
    status: str
    ended_at: datetime
    exception: str
    dropped_records: int
    samples: list[SampleBody]
    left_out: NotRequired[list[LeftOut]]
    overlaps: NotRequired[list[OverlapBody]]


class ToldEnd(TypedDict):
    """The end of a writer, by the portal's clock."""

    status: str
    exception: str
    ended_at: str
    dropped_records: int


class Told(TypedDict, total=False):
    """What an upload leaves in its `Arrival`: what is not in its batch, and the last counters of what is."""

    #: By device: for each day the ISO day and the counters, in the order of COUNTERS and PARTS.
    counters: dict[str, list[list]]
    last_t_s: float
    devices: list[DeviceBody]
    stages: list[StageBody]
    calls: list[CallsBody]
    left_out: list[LeftOut]
    overlaps: list[OverlapBody]
    about: AboutBody | None
    #: Of a header or an end: its digest, by which a repeat is known.
    sha256: str
    #: Of a header.
    clock_skew_s: float
    #: Of an end, whose samples no batch may have brought.
    end: ToldEnd
    samples: list[SampleBody]
