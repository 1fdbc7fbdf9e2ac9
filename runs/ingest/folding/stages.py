"""Stages and calls of a run."""

from runs.ingest.bodies import CallsBody, StageBody
from runs.left_out import LeftOut, added_up
from runs.models import Call, Run, Stage, Writer
from traceml_agent.limits import MAX_METHODS, MAX_STAGES


def store_stages(run: Run, writer: Writer, stages: list[StageBody]) -> None:
    """Store stages. A later report of a stage replaces an earlier one; a stage that has ended never opens again."""
    if not stages:
        return
    latest = {stage["id"]: stage for stage in stages}
    known = dict(Stage.objects.filter(writer=writer, key__in=latest).values_list("key", "end_s"))
    fresh = [key for key in latest if key not in known]
    room = max(0, MAX_STAGES - Stage.objects.filter(run=run).count()) if fresh else 0
    _leave_out(run, "reports of further stages", f"a run keeps at most {MAX_STAGES:,} stages", len(fresh[room:]))
    taken = {*fresh[:room], *(key for key, end_s in known.items() if end_s is None)}
    rows = [
        Stage(
            project_id=run.project_id,
            run=run,
            writer=writer,
            key=key,
            name=stage["name"],
            parent=stage["parent"],
            start_s=stage["start_s"],
            end_s=stage["end_s"],
            total=stage.get("total"),
        )
        for key, stage in latest.items()
        if key in taken
    ]
    Stage.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["writer", "key"],
        update_fields=["name", "parent", "start_s", "end_s", "total"],
    )


def store_calls(run: Run, writer: Writer, calls: list[CallsBody]) -> None:
    """Store calls. Counts are cumulative by method, so the larger one is the later one, in any order of arrival."""
    if not calls:
        return
    known = {call.method: call for call in Call.objects.filter(writer=writer)}
    methods: set[str] = set(known)
    if any(report["method"] not in known for report in calls):
        methods = set(Call.objects.filter(run=run).order_by().values_list("method", flat=True).distinct())
    left_out = 0
    for report in calls:
        if report["method"] not in methods and len(methods) >= MAX_METHODS:
            left_out += 1
            continue
        methods.add(report["method"])
        call = known.setdefault(
            report["method"], Call(project_id=run.project_id, run=run, writer=writer, method=report["method"])
        )
        if report["calls"] >= call.calls:
            call.calls, call.items, call.busy_s = report["calls"], report["items"], report["busy_s"]
            call.save()
    _leave_out(run, "reports of calls", f"a run keeps at most {MAX_METHODS} methods", left_out)


def _leave_out(run: Run, what: str, reason: str, count: int) -> None:
    if count:
        run.left_out = added_up(run.left_out, [LeftOut(what=what, reason=reason, count=count)])
