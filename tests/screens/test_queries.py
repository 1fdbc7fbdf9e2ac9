"""Promise PS24: a page takes at most 12 queries, and as many for 40 runs as for 2."""

import uuid

from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import AuditEntry, Badge, Run, ShareLink
from runs.models.audit import Action
from tests.screens.conftest import METERED
from tests.wire import batch, sample

MOST = 12
RUNS = [uuid.UUID(int=n) for n in range(1, 41)]
PAGES = [
    "/",
    "/?range=all&show=kwh&line=sum",
    "/?project=digits&kind=training&member=0&tag=even&since=2026-01-01",
    "/runs/",
    "/runs/?q=model&kind=training&state=running&sort=energy",
    "/runs/?state=lost&archived=too&column=hardware&column=tags&params=lr&over=0.1&since=2026-01-01&hardware=a100&q=lr:1",
    *(f"/runs/?group={by}" for by in ("model", "kind", "tag", "hardware", "project", "param:lr")),
    "/runs/?group=kind&against=training",
    "/runs/?metric=accuracy&metric=loss&value=best&column=hardware&shown_param=lr&q=lr:1&sort=-metric.93450383",
    f"/runs/live?run={RUNS[1]}&run={RUNS[2]}&known=1",
    f"/compare/?run={RUNS[1]}&run={RUNS[2]}",
    f"/compare/?run={RUNS[1]}&run={RUNS[2]}&by=stage",
    "/report/",
    "/models/",
    "/models/?sort=-used&q=model",
    "/models/digits/model-1/",
    "/models/digits/model-1/?metric=accuracy&better=lower&value=best&show=kwh",
    "/models/digits/model-1/cite/",
    "/models/digits/model-1/cite/?of=final",
    "/models/digits/model-1/notes/",
    "/hardware/",
    "/hardware/?seen=1&q=a100",
    "/hardware/?seen=unknown",
    "/plan/?hardware=nvidia-a100-sxm4-40gb&count=2",
    "/hardware/nvidia-a100-sxm4-40gb/",
    "/methodology/",
    "/start/",
    "/start/digits/",
    "/settings/teams/vision-lab/",
    "/settings/teams/vision-lab/members/",
    "/settings/teams/vision-lab/projects/",
    "/settings/teams/vision-lab/projects/digits/",
    "/settings/teams/vision-lab/tokens/",
    "/settings/teams/vision-lab/shares/",
    "/settings/teams/vision-lab/shares/?of=model:digits/model-1",
    "/settings/teams/vision-lab/audit/",
]


def send(wire, run_id: uuid.UUID, number: int, gpus: int = 2, stages: int = 3) -> None:
    cards = [METERED | {"key": f"gpu-{n}", "uuid": f"{run_id}-{n}"} for n in range(gpus)]
    wire.start(str(run_id), model=f"model-{number % 10}", flush_s=30 + number, tags=["even"])
    samples = [sample(card["key"], 60.0, 30.0, 3.6e6) for card in cards]
    names = [{"id": str(n), "name": f"epoch {n}", "start_s": n, "end_s": n + 1} for n in range(stages)]
    metrics = [{"t_s": 1, "name": "accuracy", "value": 0.5}]
    wire.send(str(run_id), "b-1", batch(samples, cards, stages=names, metrics=metrics))


def share(people, run_id: uuid.UUID) -> None:
    """A link of each kind and a badge, with their entries in the audit log."""
    run = Run.objects.get(run_id=run_id)
    for subject in (run, run.tracked_model, run.project):
        link, _ = ShareLink.make(subject, 7, False, people.alice)
        AuditEntry.note(None, run.project.team, Action.SHARE_MADE, str(link))
    Badge.make(run.tracked_model, "emissions", people.alice)


def queries(reader, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        reader.read(path)
    return len(captured)


def test_no_list_or_dashboard_takes_more_queries_for_more_runs(alice, people, wire, profile):
    for number in (1, 2):
        send(wire, RUNS[number], number)
        share(people, RUNS[number])
    alice.read("/")
    few = {path: queries(alice, path) for path in PAGES}
    for number in range(3, 40):
        send(wire, RUNS[number], number)
        share(people, RUNS[number])
    many = {path: queries(alice, path) for path in PAGES}
    assert Run.objects.count() == 39
    assert many == few
    assert max(many.values()) <= MOST


def test_a_model_that_is_trained_and_used_takes_no_more(alice, wire, profile):
    send(wire, RUNS[1], 1)
    wire.start(str(RUNS[2]), model="model-1", kind="inference")
    calls = [
        {"method": "Model.predict", "calls": 10, "items": 20, "busy_s": 1.0},
        {"method": "POST /predict", "calls": 10, "items": 20, "busy_s": 1.0},
    ]
    logged = [{"t_s": 1, "name": name, "value": 30} for name in ("tokens", "accuracy")]
    wire.send(str(RUNS[2]), "b-1", batch([sample("gpu-0", 60.0, 30.0, 3.6e6)], [METERED], calls=calls, metrics=logged))
    assert "Energy per 1,000 requests" in alice.read("/models/digits/model-1/").text
    assert queries(alice, "/models/digits/model-1/") <= MOST


def test_a_run_takes_as_many_queries_whatever_is_in_it(alice, wire, profile):
    counts = []
    for number, (gpus, stages) in enumerate([(1, 1), (2, 3), (16, 60)], start=1):
        send(wire, RUNS[number], number, gpus, stages)
        counts += [queries(alice, f"/runs/{RUNS[number]}/{query}") for query in ("", "?start=10&end=50&metric=loss")]
    assert len(set(counts)) == 1
    assert counts[0] <= MOST


def test_a_comparison_takes_as_many_queries_for_eight_runs_as_for_two(alice, wire, profile):
    for number in range(1, 9):
        send(wire, RUNS[number], number)
    counts = [queries(alice, "/compare/?" + "&".join(f"run={run}" for run in RUNS[1 : 1 + most])) for most in (2, 8)]
    assert counts[0] == counts[1] <= MOST
