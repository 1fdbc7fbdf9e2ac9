"""SLURM accounting, as `sacct --parsable2` prints it: each finished job is a run that the catalogue estimates.

A row is a job or a step of it (`123.batch`, `123.extern`, `123.0`); steps follow their job and add what only they know.
Nothing escapes a `|` in the name of a job or in its command, so such a row has too many cells; they are joined again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from runs.importers import cells
from runs.importers.formats.slurm_allocation import TRES, Gpus, cores_of, gpus_of, memory_gb_of
from runs.importers.found import (
    CPU,
    GPU,
    LONGEST,
    OTHER,
    RAM,
    FileRefused,
    FoundDevice,
    FoundRun,
    LeftAside,
    Reading,
    Refused,
    RowRefused,
)
from runs.importers.rule import Rule, pairs
from runs.importers.source import Source
from runs.models import Run
from traceml_agent.limits import MAX_RUN_DEVICES

NEEDED = ("JobID", "State", "Start")
ONE_OF = (("ElapsedRaw", "Elapsed"), (*TRES, "AllocCPUS", "NCPUS"))
DELIMITERS = "|;\t^,"
#: Columns whose text is the user's, so that it may contain a delimiter.
USERS_TEXTS = ("JobName", "SubmitLine", "Comment", "AdminComment", "SystemComment", "WorkDir")
COMMAND = (
    "sacct --allusers --parsable2 --format=JobID,JobName,User,Partition,State,Start,Elapsed,NNodes,AllocCPUS,"
    "AllocTRES,TotalCPU,ConsumedEnergyRaw"
)
#: What the first word of a state means for the run; of any other, the job has not ended.
ENDED: dict[str, str] = {
    "COMPLETED": Run.Status.COMPLETED,
    "CANCELLED": Run.Status.CANCELLED,
    "PREEMPTED": Run.Status.STOPPED,
    "REQUEUED": Run.Status.STOPPED,
    "REVOKED": Run.Status.STOPPED,
}
ENDED |= dict.fromkeys(
    ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "LAUNCH_FAILED"), Run.Status.FAILED
)
UNENDED: tuple[str, ...] = (
    "RUNNING",
    "PENDING",
    "SUSPENDED",
    "COMPLETING",
    "CONFIGURING",
    "RESIZING",
    "STAGE_OUT",
    "SIGNALING",
)
UNENDED += ("REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "STOPPED", "RESV_DEL_HOLD", "RECONFIG_FAIL")
NOT_ENDED, NEVER_RAN = "the job has not ended", "the job never ran"
GPUS_UNKNOWN = "the job’s GPUs, if it had any: the file has no column AllocTRES"
#: SLURM writes 2^64 − 2 and the like for an energy that it does not know.
MAX_JOULES = 1e15
MOST_NODES = 64
_GPUUTIL = re.compile(r"gres/gpuutil=(\d{1,6})")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")
_STEP = re.compile(r"(\d{1,20}(?:_(?:\d{1,20}|\[[^\]]{0,400}\]))?(?:\+\d{1,6})?)(?:\.(.{1,60}))?\Z")


def is_slurm(header: str) -> bool:
    return header.startswith("JobID") or ("JobID" in header and "State" in header and "Elapsed" in header)


@dataclass(slots=True)
class _Job:
    """A job's own row, and what its steps add."""

    line: int
    cells: dict[str, str]
    gpu_percents: list[float] = field(default_factory=list)
    steps_energy_j: float = 0.0


def read(source: Source, rule: Rule) -> Reading:
    return Reader(source, rule).read()


class Reader:
    """Reads the jobs of one file, with the user's choices. Memory holds one job at a time."""

    def __init__(self, source: Source, rule: Rule):
        self._source, self._rule, self._zone = source, rule, rule.zone
        self._processors = pairs("cpus", rule.cpus, alone=True)
        gpus = pairs("gpus", rule.gpus)
        self._gpus = lru_cache(maxsize=10_000)(lambda tres: gpus_of(tres, gpus))
        self.header: list[str] = []

    def read(self) -> Reading:
        job: _Job | None = None
        for line, row in self._rows():
            if isinstance(row, Refused):
                yield row
                continue
            found = _STEP.match(row["JobID"])
            if not found:
                yield Refused(line, f"JobID is {cells.quoted(row['JobID'])}, which no job has")
                continue
            if found[2] is None:
                if job:
                    yield from self._of(job)
                job = _Job(line, row)
            elif job and job.cells["JobID"] == found[1]:
                self._add_step(job, row, found[2])
        if job:
            yield from self._of(job)

    def _rows(self) -> Iterator[tuple[int, dict[str, str] | Refused]]:
        lines = self._source.lines()
        delimiter, header, ends_with_one = _header(next(lines, ""))
        self.header, width = header, len(header)
        for line, text in enumerate(lines, start=2):
            values = text.rstrip("\r\n").split(delimiter)
            if values == [""]:
                continue
            if ends_with_one and not values[-1]:
                values.pop()
            if len(values) == width:
                yield line, dict(zip(header, values, strict=True))
            elif len(values) > width and (row := _joined(header, values, delimiter)):
                yield line, row
            else:
                yield line, Refused(line, f"it has {len(values)} cells, but the header has {width}: it is shifted")

    def _add_step(self, job: _Job, row: dict[str, str], step: str) -> None:
        if percent := _GPUUTIL.search(row.get("TRESUsageInAve") or row.get("TRESUsageInTot") or ""):
            job.gpu_percents.append(float(percent[1]))
        if step != "extern":
            job.steps_energy_j += _joules(row)

    def _of(self, job: _Job) -> Reading:
        """What a job is, and what its file could not tell of it."""
        try:
            found = self._read_job(job)
        except RowRefused as error:
            yield Refused(job.line, str(error))
            return
        yield found
        if isinstance(found, FoundRun) and not set(TRES) & set(self.header):
            yield LeftAside(GPUS_UNKNOWN)

    def _read_job(self, job: _Job) -> FoundRun | LeftAside:
        row = job.cells
        words = row["State"].split()
        state = words[0].rstrip("+") if words else ""
        if state not in ENDED:
            if state in UNENDED:
                return LeftAside(NOT_ENDED)
            raise RowRefused(f"State is {cells.quoted(row['State'])}, which SLURM does not have")
        elapsed_s = _elapsed_s(row)
        if cells.is_empty(row["Start"]) or not elapsed_s:
            return LeftAside(NEVER_RAN)
        if elapsed_s > LONGEST.total_seconds():
            raise RowRefused(f"Elapsed is more than {LONGEST.days:,} days")
        name = cells.words(row.get("JobName"))
        return FoundRun(
            # The text of the start, so that another choice of time zone finds the same run.
            key=f"{row.get('Cluster', '')} {row['JobID']} {row['Start']}",
            line=job.line,
            named=name or "job",
            started_at=cells.moment(row["Start"], "Start", self._zone),
            duration_s=elapsed_s,
            devices=self._devices(job, elapsed_s),
            status=ENDED[state],
            name=name,
            user=cells.words(row.get("User")),
            host=cells.words(row.get("NodeList")),
            exception="" if state in ("COMPLETED", "CANCELLED") else state,
            params=_about(row),
        )

    def _devices(self, job: _Job, elapsed_s: float) -> list[FoundDevice]:
        row = job.cells
        tres = next((text for name in TRES if (text := row.get(name))), "")
        cores, memory_gb = cores_of(row, tres), memory_gb_of(row, tres)
        gpus = self._gpus(tres)
        energy_j = max(_joules(row), job.steps_energy_j) if self._rule.energy != "ignore" else 0.0
        cells.check_energy(energy_j / 3.6e6, elapsed_s)
        if sum(each.number for each in gpus) > MAX_RUN_DEVICES - 2 * MOST_NODES:
            raise RowRefused("it has more GPUs than a run may have devices")
        found = []
        if energy_j:
            covers = "the nodes" if self._rule.energy == "nodes" else "processors and memory"
            found.append(FoundDevice("energy", OTHER, f"SLURM energy of {covers}", None, energy_j, method="SLURM"))
        else:
            found += self._processors_and_memory(row, cores, memory_gb, elapsed_s)
        if not (energy_j and self._rule.energy == "nodes"):
            found += _gpu_devices(gpus, job, elapsed_s)
        return found

    def _processors_and_memory(
        self, row: dict[str, str], cores: float, memory_gb: float | None, elapsed_s: float
    ) -> list[FoundDevice]:
        partition = (row.get("Partition") or "").lower()
        name = self._processors.get(partition) or self._processors.get("") or "Processor"
        nodes = max(1, min(int(cells.number(row.get("NNodes"), "NNodes", 1e6) or 1), MOST_NODES, int(cores)))
        used_s = cells.duration(row.get("TotalCPU", ""), "TotalCPU")
        busy_s = min(used_s / cores, elapsed_s) if used_s else None
        held = cores / nodes
        found = [
            FoundDevice(f"cpu-{n}", CPU, name, busy_s, cores=held, threads=held, method="SLURM, cores allocated")
            for n in range(nodes)
        ]
        if memory_gb:
            method = "SLURM, memory allocated"
            found.append(FoundDevice("ram", RAM, "Memory", None, memory_gb=memory_gb, method=method))
        return found


def _header(line: str) -> tuple[str, list[str], bool]:
    """The delimiter, the columns, and whether each line ends with a delimiter, as `--parsable` writes them."""
    line = line.rstrip("\r\n")
    delimiter = max(DELIMITERS, key=line.count)
    header = [name.strip().partition("%")[0] for name in line.split(delimiter)]
    if ends_with_one := not header[-1]:
        header.pop()
    missing = [name for name in NEEDED if name not in header]
    missing += [" or ".join(names) for names in ONE_OF if not set(names) & set(header)]
    if missing:
        raise FileRefused(f"Line 1 is not a header with {missing[0]}. Export the jobs with: {COMMAND}")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise FileRefused(f"Line 1 has the column {cells.quoted(twice[0])} twice, so it is unclear which one counts.")
    return delimiter, header, ends_with_one


def _joined(header: list[str], values: list[str], delimiter: str) -> dict[str, str] | None:
    """The row, with the delimiters of a user's text in their column; None if it is not certain which column that is."""
    several, rows = len(values) - len(header) + 1, []
    for at in (header.index(name) for name in USERS_TEXTS if name in header):
        joined = delimiter.join(values[at : at + several])
        rows.append(dict(zip(header, [*values[:at], joined, *values[at + several :]], strict=True)))
    certain = [row for row in rows if len(rows) == 1 or _is_a_row(row)]
    return certain[0] if len(certain) == 1 else None


def _is_a_row(row: dict[str, str]) -> bool:
    state = row["State"].split()[:1] or [""]
    is_started = cells.is_empty(row["Start"]) or bool(_MOMENT.match(row["Start"]))
    return bool(is_started and _STEP.match(row["JobID"])) and (state[0].rstrip("+") in ENDED or state[0] in UNENDED)


def _elapsed_s(row: dict[str, str]) -> float | None:
    if not cells.is_empty(row.get("ElapsedRaw")):
        return cells.number(row["ElapsedRaw"], "ElapsedRaw")
    return cells.duration(row.get("Elapsed", ""), "Elapsed")


def _about(row: dict[str, str]) -> dict:
    names = {"job": "JobID", "partition": "Partition", "account": "Account", "nodes": "NNodes", "cluster": "Cluster"}
    return {name: text for name, column in names.items() if (text := cells.words(row.get(column)))}


def _joules(row: dict[str, str]) -> float:
    """Energy in J from ConsumedEnergyRaw; 0 if the cluster does not gather it."""
    text = row.get("ConsumedEnergyRaw") or ""
    return float(text) if text.isdecimal() and len(text) < 20 and float(text) < MAX_JOULES else 0.0


def _gpu_devices(gpus: list[Gpus], job: _Job, elapsed_s: float) -> list[FoundDevice]:
    """A device for each GPU. SLURM's utilisation is of all together, so it is only used for a single one."""
    count, percent = sum(each.number for each in gpus), max(job.gpu_percents, default=0.0)
    busy_s = elapsed_s * percent / 100.0 if count == 1 and 0.0 < percent <= 100.0 else None
    method = "SLURM, GPUs allocated"
    cards = (each for each in gpus for _ in range(each.number))
    return [
        FoundDevice(f"gpu-{n}", GPU, card.name, busy_s, share=card.share, called=card.type, method=method)
        for n, card in enumerate(cards)
    ]
