"""What a run reports about itself after its header: parameters, environment, tags, a name, another model or kind."""

from runs.ingest.bodies import AboutBody
from runs.ingest.keeping import model_named
from runs.ingest.totals import UsageChanges
from runs.left_out import LeftOut, added_up
from runs.models import Run
from traceml_agent.limits import MAX_KEYS, MAX_METADATA_BYTES, MAX_TAGS, metadata_bytes


def take_in(run: Run, about: AboutBody | None, changes: UsageChanges) -> None:
    """Add to a run, whose lock is held, and move what it adds to the daily totals. Saves nothing.

    Whatever exceeds the limits is left out and counted.
    """
    if not about:
        return
    _merge(run, "params", "parameter", about.get("params") or {})
    _merge(run, "environment", "package", about.get("environment") or {})
    _add_tags(run, about.get("tags") or [], changes)
    run.name = run.name or about.get("name") or ""
    model = run.tracked_model
    if about.get("model") and about["model"] != model.name:
        model = model_named(run.project, about["model"])
    changes.rehome(run, model, about.get("kind") or run.kind)


def _merge(run: Run, field: str, word: str, told: dict) -> None:
    """Merge keys into parameters or environment; `word` is the name for one of them."""
    kept = getattr(run, field)
    for key, value in told.items():
        merged = kept | {key: value}
        if len(merged) > MAX_KEYS:
            _leave_out(run, f"{word} '{key}'", f"a run keeps at most {MAX_KEYS} {word}s")
        elif metadata_bytes(merged) > MAX_METADATA_BYTES:
            _leave_out(run, f"{word} '{key}'", f"a run keeps at most {MAX_METADATA_BYTES // 1024} KiB of {word}s")
        else:
            kept = merged
    setattr(run, field, kept)


def _add_tags(run: Run, tags: list[str], changes: UsageChanges) -> None:
    wanted = list(dict.fromkeys([*run.tags, *tags]))
    for tag in wanted[MAX_TAGS:]:
        _leave_out(run, f"tag '{tag}'", f"a run keeps at most {MAX_TAGS} tags")
    changes.retag(run, wanted[:MAX_TAGS])


def _leave_out(run: Run, what: str, reason: str) -> None:
    run.left_out = added_up(run.left_out, [LeftOut(what=what, reason=reason, count=1)])
