"""Upload bodies of an episode (docs/wire.md): header, batches and finish as an agent would send them."""

from datetime import datetime, timedelta
from itertools import pairwise
from math import exp
from random import Random
from typing import NamedTuple

from runs.demo.machines import MACHINES, Card
from runs.demo.story import Episode
from runs.ingest.bodies import (
    BatchBody,
    CallsBody,
    DeviceBody,
    FinishBody,
    HeaderBody,
    MetricBody,
    SampleBody,
    StageBody,
)

WRITER = "demo"
MOST_SAMPLES = 120
#: A run that is sent in two batches must not be lost between them, nor an open one a minute later.
LONGEST_UPLOAD_INTERVAL_S = 86_400.0
LOST_UPLOAD_INTERVAL_S = 30.0


class Bodies(NamedTuple):
    header: HeaderBody
    batches: list[BatchBody]
    finish: FinishBody | None


def bodies(episode: Episode) -> Bodies:
    """Everything that the run's agent would send."""
    random = Random(episode.seed)  # noqa: S311
    devices = _devices(episode)
    samples = _samples(episode, devices, random)
    half = len(samples) // 2
    stages = _stages(episode)
    parts = [(samples[:half], stages[: len(stages) // 2]), (samples[half:], stages[len(stages) // 2 :])]
    batches = [_batch(devices, *part) for part in parts]
    batches[-1]["metrics"] = _metrics(episode, random)
    batches[-1]["calls"] = _calls(episode)
    return Bodies(_header(episode, devices), batches, None if episode.is_open else _finish(episode))


def _header(episode: Episode, devices: list[DeviceBody]) -> HeaderBody:
    work = episode.work
    interval_s = LOST_UPLOAD_INTERVAL_S if episode.outcome == "lost" else LONGEST_UPLOAD_INTERVAL_S
    return {
        "writer": WRITER,
        "host": MACHINES[work.machine].host,
        "model": work.model,
        "kind": work.kind,
        "name": _name(episode),
        "started_at": episode.started_at,
        "agent_version": "0.1.0",
        "flush_s": interval_s,
        "tags": list(work.tags),
        "params": episode.params | _plan(episode),
        "environment": {"python": "3.12.7", "torch": "2.9.1", "git_commit": f"{episode.seed:08x}"},
        "devices": devices,
    }


def _plan(episode: Episode) -> dict:
    """The planned number of epochs, if there are several; a running run has not finished all of them."""
    done = episode.work.stages
    if done < 2:
        return {}
    return {"epochs": done + done // 2 if episode.outcome == "running" else done}


def _name(episode: Episode) -> str:
    words = {"finetuning": "tune", "inference": "serve", "evaluation": "eval", "other": "trial"}
    return f"{episode.work.model}-{words.get(episode.work.kind, 'train')}-{episode.number:03d}"


def _devices(episode: Episode) -> list[DeviceBody]:
    machine, work = MACHINES[episode.work.machine], episode.work
    cards = [_card(machine.card, machine.host, n) for n in range(work.cards) if machine.card]
    cpu = DeviceBody(key="cpu-0", kind="cpu", name=machine.cpu, cores=machine.threads / 2, threads=machine.threads)
    cpu["share"] = min(1.0, 0.25 * max(work.cards, 1))
    return [*cards, cpu, DeviceBody(key="ram", kind="ram", name="Memory", memory_gb=machine.memory_gb / 4)]


def _card(card: Card, host: str, number: int) -> DeviceBody:
    kind = "gpu" if card.measured_by else "npu"
    return DeviceBody(
        key=f"{kind}-{number}",
        kind=kind,
        name=card.name,
        uuid=f"{kind.upper()}-{host}-{number}",
        measured_by=card.measured_by,
        method={"counter": "NVML energy counter", "sensor": "NVML power sensor"}.get(card.measured_by, ""),
    )


def _samples(episode: Episode, devices: list[DeviceBody], random: Random) -> list[SampleBody]:
    """Cumulative counters at equal steps, in the order of time; an accelerator dips where an epoch ends."""
    count = max(4, min(MOST_SAMPLES, round(episode.seconds / 30)))
    step_s = episode.seconds / count
    counters = {device["key"]: [0.0, 0.0] for device in devices}
    level, rows = random.uniform(*episode.work.busy), []
    for number in range(1, count + 1):
        t_s = round(number * step_s, 3)
        for device in devices:
            busy = _busy(episode, device, level, t_s, step_s, random)
            so_far = counters[device["key"]]
            so_far[0] += busy * step_s
            so_far[1] += step_s * _power_w(episode, device, busy)
            rows.append(_sample(device, t_s, *so_far))
    return rows


def _sample(device: DeviceBody, t_s: float, busy_s: float, energy_j: float) -> SampleBody:
    measured = round(energy_j, 3) if device.get("measured_by") else None
    return {
        "device": device["key"],
        "t_s": t_s,
        "elapsed_s": t_s,
        "busy_s": round(min(busy_s, t_s), 3),
        "energy_j": measured,
    }


def _busy(episode: Episode, device: DeviceBody, level: float, t_s: float, step_s: float, random: Random) -> float:
    """Utilisation of a device over one step."""
    if device["kind"] == "ram":
        return 1.0
    if device["kind"] == "cpu" and episode.work.cards:
        return min(1.0, max(0.02, random.gauss(0.22, 0.04)))
    between = any(start < t_s <= start + step_s for _, start, _ in _epochs(episode)[1:])
    return min(1.0, max(0.03, random.gauss(level * (0.45 if between else 1.0), 0.03)))


def _power_w(episode: Episode, device: DeviceBody, busy: float) -> float:
    card = MACHINES[episode.work.machine].card
    if not device.get("measured_by") or card is None:
        return 0.0
    return card.idle_w + busy * (card.full_w - card.idle_w)


def _epochs(episode: Episode) -> list[tuple[int, float, float]]:
    """Number, start and end of each epoch that the run came to."""
    count = episode.work.stages
    if not count:
        return []
    edges = [0.02 * episode.seconds + 0.96 * episode.seconds * n / count for n in range(count + 1)]
    return [(number, start, end) for number, (start, end) in enumerate(pairwise(edges), start=1)]


def _stages(episode: Episode) -> list[StageBody]:
    return [
        {"id": f"e{number}", "name": f"epoch {number}", "parent": "", "start_s": start, "end_s": end}
        for number, start, end in _epochs(episode)
    ]


def _metrics(episode: Episode, random: Random) -> list[MetricBody]:
    """The metric after each epoch, nearing its best ever more slowly."""
    (first, best), found = episode.work.best, list[MetricBody]()
    reached = best + (best - first) * random.gauss(0.0, 0.015)
    for number, _, end in _epochs(episode):
        value = reached + (first - reached) * exp(-3.2 * number / episode.work.stages)
        found.append(MetricBody(t_s=end - 0.01, name=episode.work.metric, value=round(value, 5)))
    return found


def _calls(episode: Episode) -> list[CallsBody]:
    items = round(episode.work.items_a_second * episode.seconds)
    if not items:
        return []
    busy_s = 0.4 * episode.seconds
    return [{"method": "predict", "calls": max(1, items // 8), "items": items, "busy_s": busy_s}]


def _batch(devices: list[DeviceBody], samples: list[SampleBody], stages: list[StageBody]) -> BatchBody:
    return {"writer": WRITER, "devices": devices, "samples": samples, "stages": stages, "metrics": [], "calls": []}


def _finish(episode: Episode) -> FinishBody:
    return {
        "writer": WRITER,
        "status": episode.outcome,
        "ended_at": ended_at(episode),
        "exception": episode.exception,
        "dropped_records": 0,
        "devices": [],
        "samples": [],
    }


def ended_at(episode: Episode) -> datetime:
    return episode.started_at + timedelta(seconds=episode.seconds)
