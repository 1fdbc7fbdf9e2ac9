"""The life of an import: its file arrives in parts, is checked, confirmed, stored, and perhaps undone.

Small files are worked on at once, large ones in the background: in the worker, or in a process that ends by itself. An
interrupted piece of work is begun again from the start, which changes nothing of what is already there.
"""

import hashlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length
from django.utils import timezone
from django_tasks import task, task_backends
from django_tasks_db import DatabaseBackend
from django_tasks_db.models import DBTaskResult

from runs.importers import checking, rule, storing
from runs.importers.formats import recognise
from runs.importers.found import FileRefused
from runs.importers.source import MAX_SENT_BYTES, Source, unpacked
from runs.jobs.reestimate import few_collections
from runs.models import AuditEntry, Import, ImportPart, Project
from runs.models.audit import Action

logger = logging.getLogger(__name__)

#: A part of a file is at most as large as a body of the API.
PART_BYTES = 1024 * 1024
#: Files up to this size, as sent, are worked on at once: at most a second or two.
AT_ONCE_BYTES = 128 * 1024
HEARD_EVERY_S = 1.0
#: Imports of a project whose files wait to be confirmed, and so take room in the database.
MOST_WAITING = 10
TOO_MANY = f"{MOST_WAITING} imports of this project wait to be confirmed. Confirm or discard one first."
TOO_LARGE = f"A file may have at most {MAX_SENT_BYTES // PART_BYTES} MB as it is sent. Compress it with gzip."
State = Import.State


class NotNow(Exception):
    """A sentence why the import can't do this in its state."""


def begin(project: Project, user, runs_are_of: int, file_name: str, asked: rule.Rule, format: str = "") -> Import:
    """Make an import that waits for its file. Raises NotNow if too many wait already."""
    waiting = Import.objects.filter(project=project, state__in=(*Import.UNCONFIRMED, State.CHECKING))
    if waiting.exclude(state=State.REFUSED).count() >= MOST_WAITING:
        raise NotNow(TOO_MANY)
    return Import.objects.create(
        project=project,
        member=user,
        runs_are_of=runs_are_of,
        file_name=file_name,
        format=format,
        rule=asked.as_json(),
    )


def receive(asked: Import, number: int, data: bytes) -> None:
    """Keep a part of the file; the same part again replaces it. Raises NotNow for more than a file may have."""
    with transaction.atomic():
        _in_state(asked, State.RECEIVING)
        others = ImportPart.objects.filter(of=asked).exclude(number=number)
        size = others.aggregate(size=Sum(Length("data")))["size"] or 0
        if size + len(data) > MAX_SENT_BYTES or number > MAX_SENT_BYTES // PART_BYTES * 4:
            raise NotNow(TOO_LARGE)
        ImportPart.objects.update_or_create(
            of=asked, number=number, defaults={"data": data, "project_id": asked.project_id}
        )


def check(asked: Import) -> None:
    """The file is there: check it."""
    with transaction.atomic():
        _in_state(asked, State.RECEIVING, State.CHECKED)
        if not asked.importpart_set.exists():
            raise NotNow("The file has not arrived.")
        asked.go(State.CHECKING)
    _start(asked)


def confirm(asked: Import, request=None) -> None:
    """Import what the preview showed."""
    with transaction.atomic():
        _in_state(asked, State.CHECKED)
        asked.go(State.STORING)
        told = f"{asked.file_name}: {asked.preview.get('new', 0):,} runs into {asked.project.name}"
        AuditEntry.note(request, asked.project.team, Action.RUNS_IMPORTED, told)
    _start(asked)


def undo(asked: Import, request=None) -> None:
    """Remove exactly the runs of this import."""
    with transaction.atomic():
        _in_state(asked, State.DONE)
        asked.go(State.UNDOING)
        told = f"{asked.file_name}: {asked.runs_added:,} runs from {asked.project.name}"
        AuditEntry.note(request, asked.project.team, Action.IMPORT_UNDONE, told)
    _start(asked)


def discard(asked: Import) -> None:
    """Forget an import that was never confirmed."""
    with transaction.atomic():
        _in_state(asked, *Import.UNCONFIRMED)
        asked.delete()


def _in_state(asked: Import, *states: str) -> None:
    """Lock the import. Raises NotNow if it is in none of these states."""
    found = Import.objects.select_for_update().filter(pk=asked.pk).values_list("state", flat=True).first()
    if found not in states:
        raise NotNow(f"This can't be done now: {State(found).label if found else 'it was discarded'}.")
    asked.state = found


def _start(asked: Import) -> None:
    size = ImportPart.objects.filter(of=asked).aggregate(size=Sum(Length("data")))["size"] or 0
    runs = asked.runs_added if asked.state == State.UNDOING else 0
    if size <= AT_ONCE_BYTES and runs <= 1_000:
        work_off(asked.pk)
        asked.refresh_from_db()
    else:
        start_in_background()


def start_in_background() -> None:
    """Start pending work, in the worker or in a process that ends by itself; a second process finds nothing to do."""
    if isinstance(task_backends["default"], DatabaseBackend):
        mine = DBTaskResult.objects.filter(task_path=in_the_background.module_path)
        if not mine.filter(status="READY").exists():
            in_the_background.enqueue()
        return
    words = [sys.executable, str(settings.BASE_DIR / "manage.py"), "work_on_imports"]
    subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def start_if_abandoned() -> None:
    """Continue what an ended process left."""
    if Import.objects.abandoned().exists():
        start_in_background()


@task(queue_name="long")
def in_the_background() -> int:
    """Do all pending work on imports, in the worker."""
    return work_off()


def work_off(pk: int | None = None) -> int:
    """Do all pending work that nobody else does, or that of one import; returns the number of imports worked on."""
    count = 0
    while asked := Import.objects.claim(pk):
        with few_collections():
            WORK[asked.state](asked)
        count += 1
        if pk:
            break
    return count


@contextmanager
def _file(asked: Import):
    parts = ImportPart.objects.filter(of=asked).order_by("number").values_list("data", flat=True)
    digest = hashlib.sha256()

    def sent():
        for data in parts.iterator(chunk_size=1):
            digest.update(data)
            yield bytes(data)

    with unpacked(sent(), asked.file_name) as source:
        asked.sha256 = digest.hexdigest()
        yield source


def _check(asked: Import) -> None:
    try:
        with _file(asked) as source:
            asked.format = asked.format or recognise.recognise(source)
            chosen = rule.parse(asked.rule)
            reading = recognise.read(asked.format, source, chosen)
            found = checking.check(asked, chosen, reading, _hearer(asked, source))
    except FileRefused as error:
        asked.refuse(str(error))
        return
    asked.preview, asked.refused, asked.rows_refused = found.as_json(), found.rows_refused, found.refused
    if not found.runs and not found.left_aside:
        reason = f"Line {found.rows_refused[0]['line']}: {found.rows_refused[0]['reason']}." if found.refused else ""
        asked.refuse(f"No run was found in the file. {reason}".strip())
        return
    asked.go(State.CHECKED, "preview", "refused", "rows_refused", "format", "sha256")


def _store(asked: Import) -> None:
    chosen = rule.parse(asked.rule)
    try:
        with _file(asked) as source:
            reading = recognise.read(asked.format, source, chosen)
            storing.store(asked, chosen, reading, _hearer(asked, source))
    except Exception as error:
        logger.exception("The import %s could not be stored; what was stored is taken back", asked.pk)
        storing.take_back(asked, _throttled(asked.hear))
        storing.remove_empty_models(asked)
        sentence = str(error) if isinstance(error, FileRefused) else "The portal could not store the runs."
        asked.refuse(f"{sentence} Nothing was imported.")
        return
    asked.runs_known = asked.preview.get("known", 0)
    asked.go(State.DONE, "runs_known")
    asked.importpart_set.all().delete()


def _undo(asked: Import) -> None:
    storing.take_back(asked, _throttled(asked.hear))
    storing.remove_empty_models(asked)
    asked.undone_at = timezone.now()
    asked.go(State.UNDONE, "undone_at")


WORK: dict[str, Callable[[Import], None]] = {State.CHECKING: _check, State.STORING: _store, State.UNDOING: _undo}


def _hearer(asked: Import, source: Source) -> Callable[[int], None]:
    """Record how much is done, at most once a second: of the runs that the preview counted, or else of the file."""
    total = asked.preview.get("runs") or max(source.path.stat().st_size / 400, 1)
    return _throttled(lambda done: asked.hear(min(done / total, 0.99)))


def _throttled(hear: Callable[[float], None]) -> Callable[[float], None]:
    last = time.monotonic()

    def heard(value: float) -> None:
        nonlocal last
        if time.monotonic() - last > HEARD_EVERY_S:
            last = time.monotonic()
            hear(value)

    return heard
