"""CodeCarbon's forms: its arguments, its settings, and the tables that scripts read after a run.

Columns and their order are those of CodeCarbon 3.3.2. Columns about a place stay empty, as TraceML knows none.
"""

from __future__ import annotations

import configparser
import csv
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from traceml_agent.messages import warn
from traceml_agent.version import __version__

J_PER_KWH, BYTES_PER_GIB = 3.6e6, 1024**3
#: Kinds of the agent's devices, by CodeCarbon's.
KINDS = {"cpu": ("cpu",), "gpu": ("gpu", "tpu", "npu"), "ram": ("ram",)}
#: The arguments of EmissionsTracker (CodeCarbon 3.3.2) in their order.
ARGUMENTS = """project_name measure_power_secs api_call_interval api_endpoint api_key output_dir output_file
    output_methods save_to_file save_to_api save_to_logger logging_logger save_to_prometheus save_to_logfire
    prometheus_url output_handlers gpu_ids emissions_endpoint experiment_id experiment_name electricitymaps_api_token
    co2_signal_api_token tracking_mode log_level on_csv_write logger_preamble force_cpu_power force_ram_power pue wue
    force_carbon_intensity_g_co2e_kwh force_mode_cpu_load allow_multiple_runs rapl_include_dram rapl_prefer_psys
    metadata"""
TRACKER = ARGUMENTS.split()
PLACE = ["country_iso_code", "region", "cloud_provider", "cloud_region", "country_2letter_iso_code"]
#: Those of track_emissions, after the function.
DECORATOR = [name for name in TRACKER if name not in ("force_mode_cpu_load", "metadata")]
DECORATOR[DECORATOR.index("force_cpu_power") : DECORATOR.index("force_cpu_power")] = ["offline", *PLACE]

PREFIX, SECTION, FILE = "codecarbon_", "codecarbon", ".codecarbon.config"


@dataclass
class EmissionsData:
    """Energy in kWh, power in W, emissions in kg CO2e, durations in s, memory in GB, utilisation in percent."""

    timestamp: str
    project_name: str
    run_id: str
    experiment_id: str
    duration: float
    emissions: float
    emissions_rate: float
    cpu_power: float
    gpu_power: float
    ram_power: float
    cpu_energy: float
    gpu_energy: float
    ram_energy: float
    energy_consumed: float
    water_consumed: float = 0.0
    country_name: str = ""
    country_iso_code: str = ""
    region: str = ""
    cloud_provider: str = ""
    cloud_region: str = ""
    os: str = ""
    python_version: str = ""
    codecarbon_version: str = ""
    cpu_count: int | None = None
    cpu_model: str = ""
    gpu_count: int = 0
    gpu_model: str = ""
    longitude: float | None = None
    latitude: float | None = None
    ram_total_size: float | None = None
    tracking_mode: str = ""
    cpu_utilization_percent: float = 0.0
    gpu_utilization_percent: float = 0.0
    ram_utilization_percent: float = 0.0
    ram_used_gb: float = 0.0
    on_cloud: str = "N"
    pue: float = 1.0
    wue: float = 0.0

    @property
    def values(self) -> dict:
        return asdict(self)


COLUMNS = [field.name for field in fields(EmissionsData)]
TASK_COLUMNS = ["task_name", *(name for name in COLUMNS if name not in ("experiment_id", "pue", "wue"))]


def data_of(summary: Mapping, before: Mapping, names: dict[str, str]) -> EmissionsData:
    """An agent's summary in CodeCarbon's terms, less what had been used `before`."""
    import psutil

    rows = summary.get("devices") or []
    energy_kwh: dict[str, float] = {}
    busy: dict[str, float] = {}
    for kind in KINDS:
        used = {name: _grown(summary, before, kind, name) for name in ("energy_j", "busy_s", "elapsed_s")}
        energy_kwh[kind] = used["energy_j"] / J_PER_KWH
        busy[kind] = min(used["busy_s"] / used["elapsed_s"], 1.0) if used["elapsed_s"] > 0 else 0.0
    duration_s = summary.get("duration_s", 0.0) - before.get("duration_s", 0.0)
    emissions_kg = summary.get("emissions_kg", 0.0) - before.get("emissions_kg", 0.0)
    per_second = 1 / duration_s if duration_s > 0 else 0.0
    gpus = [row["name"] for row in rows if row["kind"] in KINDS["gpu"]]
    memory_gb = psutil.virtual_memory().total / BYTES_PER_GIB
    told: dict[str, Any] = dict(names)
    for kind, kwh in energy_kwh.items():
        told |= {f"{kind}_energy": kwh, f"{kind}_power": kwh * J_PER_KWH * per_second}
        told[f"{kind}_utilization_percent"] = 100 * busy[kind]
    return EmissionsData(
        **told,
        timestamp=time.strftime("%Y-%m-%dT%H:%M:%S"),
        duration=duration_s,
        emissions=emissions_kg,
        emissions_rate=emissions_kg * per_second,
        energy_consumed=sum(energy_kwh.values()),
        os=platform.platform(),
        python_version=platform.python_version(),
        codecarbon_version=f"traceml-agent {__version__}",
        cpu_count=os.cpu_count(),
        cpu_model=", ".join(dict.fromkeys(row["name"] for row in rows if row["kind"] == "cpu")),
        gpu_count=len(gpus),
        gpu_model=", ".join(f"{gpus.count(name)} x {name}" for name in dict.fromkeys(gpus)),
        ram_total_size=memory_gb,
        ram_used_gb=busy["ram"] * memory_gb,
    )


def _grown(summary: Mapping, before: Mapping, kind: str, field: str) -> float:
    """By how much a counter of the devices of a kind has grown."""
    now, then = (
        sum(row.get(field) or 0.0 for row in figures.get("devices") or [] if row["kind"] in KINDS[kind])
        for figures in (summary, before)
    )
    return max(now - then, 0.0)


def settings() -> dict[str, str]:
    """What the user set up for CodeCarbon outside of the code: environment over this folder's file over the home's."""
    found: dict[str, str] = {}
    for folder in (Path.home(), Path()):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(folder / FILE)
        except (OSError, configparser.Error, UnicodeDecodeError) as error:
            warn(f"{folder / FILE} is not read: {error}")
        found |= dict(parser[SECTION]) if parser.has_section(SECTION) else {}
    named = {name.lower(): value for name, value in os.environ.items() if name.lower().startswith(PREFIX)}
    return found | {name.removeprefix(PREFIX): value for name, value in named.items()}


def write(path: Path, row: dict, columns: list[str], updates: bool) -> None:
    """Append a row, or with `updates` replace that of the same run; a file with other columns is set aside."""
    rows = []
    if path.exists() and path.stat().st_size:
        with path.open(newline="", encoding="utf-8") as table:
            reader = csv.DictReader(table)
            rows, found = list(reader), list(reader.fieldnames or [])
        if sorted(found) != sorted(columns):
            path.rename(_free(path))
            rows = []
        else:
            columns = found
    if not (rows and updates):
        _write(path, [row], columns, "a" if rows else "w")
    else:
        _write(path, [*(other for other in rows if other["run_id"] != row["run_id"]), row], columns, "w")


def _write(path: Path, rows: Iterable[dict], columns: list[str], mode: str) -> None:
    with path.open(mode, newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        if mode == "w":
            writer.writeheader()
        writer.writerows(rows)


def _free(path: Path) -> Path:
    """A name for a file that is set aside, as CodeCarbon names it."""
    names = (f"{path.name}{number}.bak" for number in ("", *(f"_{count}" for count in range(1000))))
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())
