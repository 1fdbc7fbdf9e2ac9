"""eco2AI's `emission.csv`. A training writes a row for each epoch with the same id, each with its own energy."""

import re
from datetime import tzinfo

from runs.importers import cells
from runs.importers.cells import MAX_KG, MAX_KWH
from runs.importers.found import (
    CPU,
    FileRefused,
    FoundDevice,
    FoundMetric,
    FoundRun,
    FoundStage,
    Reading,
    Refused,
    RowRefused,
)
from runs.importers.rule import Rule
from runs.importers.source import Row, Source, Table
from traceml_agent import estimation

NEEDED: tuple[str, ...] = (
    "project_name",
    "experiment_description",
    "start_time",
    "duration(s)",
    "power_consumption(kWh)",
)
NEEDED += ("CO2_emissions(kg)",)
_EPOCH = re.compile(r"([^:,]{1,100}): *([^,]{1,40})")
METHOD = "eco2AI: processors, GPUs and memory together"


def is_eco2ai(header: list[str]) -> bool:
    return set(NEEDED) <= set(header)


def read(source: Source, rule: Rule) -> Reading:
    if source.name.startswith("encoded_"):
        raise FileRefused("This is eco2AI's encoded copy. Import the file without “encoded_” in its name.")
    table = Table(source, ",;\t", NEEDED)
    epochs: dict[str, list[FoundRun]] = {}
    for line, values in table.rows():
        if len(values) != len(table.header):
            yield Refused(line, f"it has {len(values)} cells, but the header has {len(table.header)}: it is shifted")
            continue
        try:
            found = _row(Row(line, dict(zip(table.header, values, strict=True))), rule.zone)
        except RowRefused as error:
            yield Refused(line, str(error))
            continue
        epochs.setdefault(found.key, []).append(found)
    for rows in epochs.values():
        yield _together(rows)


def _row(row: Row, zone: tzinfo) -> FoundRun:
    duration_s = cells.needed(row.get("duration(s)"), "duration(s)")
    energy_kwh = cells.needed(row.get("power_consumption(kWh)"), "power_consumption(kWh)", MAX_KWH)
    cells.check_energy(energy_kwh, duration_s)
    started_at = cells.moment(row.get("start_time"), "start_time", zone)
    described = cells.words(row.get("experiment_description"))
    return FoundRun(
        # Older releases have no id.
        key=cells.words(row.get("id")) or f"{row.get('project_name')} {described} {started_at.isoformat()}",
        line=row.line,
        named=described or cells.words(row.get("project_name")) or "eco2AI",
        started_at=started_at,
        duration_s=duration_s,
        devices=[_device(row, energy_kwh)],
        name=cells.words(row.get("project_name")),
        environment={"os": system} if (system := cells.words(row.get("OS"))) else {},
        metrics=_metrics(row.get("epoch") or "", duration_s),
        reported_kwh=energy_kwh,
        reported_kg=cells.number(row.get("CO2_emissions(kg)"), "CO2_emissions(kg)", MAX_KG),
    )


def _device(row: Row, energy_kwh: float) -> FoundDevice:
    """The energy has no parts, so it is the processor's; the GPUs are named in a note."""
    processor = cells.words((row.get("CPU_name") or "").partition("/")[0]) or "Processor"
    gpus = cells.words(row.get("GPU_name"))
    note = "" if not gpus or gpus.startswith("0 device") else f"The energy includes that of {gpus}."
    energy_j = energy_kwh * estimation.J_PER_KWH
    return FoundDevice("cpu", CPU, processor, None, energy_j, method=METHOD, note=note)


def _metrics(text: str, at_s: float) -> list[FoundMetric]:
    """`epoch: 3, loss: 0.2, ` as metrics; what is not a number is left out."""
    found = []
    for name, value in _EPOCH.findall(text[:2000]):
        try:
            number = cells.needed(value.lstrip().lstrip("-"), name)
        except RowRefused:
            continue
        found.append(FoundMetric(cells.words(name), [(at_s, -number if value.lstrip().startswith("-") else number)]))
    return [metric for metric in found if metric.name]


def _together(rows: list[FoundRun]) -> FoundRun:
    """One run of its epochs, which are its stages."""
    rows.sort(key=lambda row: row.started_at)
    first, device = rows[0], rows[0].devices[0]
    if len(rows) == 1:
        return first
    metrics: dict[str, list[tuple[float, float]]] = {}
    for number, row in enumerate(rows, start=1):
        start_s = (row.started_at - first.started_at).total_seconds()
        first.stages.append(FoundStage(f"epoch {number}", start_s, start_s + row.duration_s))
        for metric in row.metrics:
            metrics.setdefault(metric.name, []).append((start_s + row.duration_s, metric.values[0][1]))
    first.metrics = [FoundMetric(name, values) for name, values in metrics.items()]
    first.reported_kwh = sum(row.reported_kwh or 0.0 for row in rows)
    first.reported_kg = sum(row.reported_kg or 0.0 for row in rows)
    device.energy_j = sum(row.devices[0].energy_j or 0.0 for row in rows)
    first.duration_s = max(stage.end_s for stage in first.stages)
    return first
