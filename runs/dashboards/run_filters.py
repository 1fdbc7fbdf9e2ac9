"""Which runs a list is asked for: search, typed filters, and what each asks of the database."""

import json
import re
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from django.db.models import DateTimeField, F, Q, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.utils import timezone

from hardware.models import HardwareProfile
from runs.models import Device, Run, TrackedModel
from runs.models.lookups import SecondsBetween
from runs.models.run import LOST_AFTER_INTERVALS

STATES = [*Run.Status.values, Run.LOST]
#: Archived runs are left out of a list unless it asks for them, too or alone.
ARCHIVED = {"too": "Archived too", "only": "Archived only"}
LOOKS_LIKE_AN_ID = re.compile(r"[0-9a-f-]{4,36}", re.IGNORECASE)


class RunFilters(NamedTuple):
    """What was asked for; an empty field asks for nothing, an unknown value finds nothing."""

    search: str = ""
    project: str = ""
    model: str = ""
    kind: str = ""
    state: str = ""
    tag: str = ""
    hardware: str = ""
    since: date | None = None
    until: date | None = None
    over: float | None = None
    archived: str = ""
    member: str = ""

    @property
    def is_set(self) -> bool:
        return any(value not in ("", None) for value in self)


def matching(runs, filters: RunFilters):
    """The runs that match all filters."""
    for condition in _conditions(filters):
        runs = runs.filter(condition)
    if key_value := _key_value(filters.search):
        runs = _with_param(runs, filters.search, *key_value)
    elif filters.search:
        runs = runs.filter(_search(filters.search))
    return in_state(runs, filters.state, timezone.now()) if filters.state else runs


def _conditions(filters: RunFilters):
    """What each filter but search and state asks of a run."""
    if filters.archived != "too":
        yield Q(archived_at__isnull=filters.archived != "only")
    if filters.project:
        yield Q(project__slug=filters.project)
    if filters.model:
        project, _, model = filters.model.partition("/")
        yield Q(tracked_model__in=TrackedModel.objects.filter(slug=model, project__slug=project).values("pk"))
    if filters.kind:
        yield Q(kind=filters.kind)
    if filters.tag:
        yield Q(tags__has_item=filters.tag)
    if filters.hardware:
        yield Q(pk__in=Device.objects.filter(profile__in=_profiles(filters.hardware)).order_by().values("run"))
    if filters.since:
        yield Q(started_at__gte=_midnight(filters.since))
    if filters.until:
        yield Q(started_at__lt=_midnight(filters.until + timedelta(days=1)))
    if filters.over is not None:
        yield Q(energy_kwh__gt=filters.over)
    if filters.member:
        yield of_member(filters.member)


def of_member(text: str) -> Q:
    """What the member with this id sent; `0` asks for what no member did, and no number for nothing."""
    is_id = text.isascii() and text.isdecimal() and len(text) < 19
    return Q(member_id=int(text)) if is_id else Q(pk=None)


def _profiles(text: str):
    """Profiles with this slug, or with the text in their name."""
    return HardwareProfile.objects.filter(Q(slug=text) | Q(name__icontains=text)).order_by().values("pk")


def _midnight(day: date) -> datetime:
    """The beginning of a day where the reader is."""
    return timezone.make_aware(datetime.combine(day, time.min))


def _search(text: str) -> Q:
    models = TrackedModel.objects.filter(name__icontains=text).values("pk")
    found = Q(name__icontains=text) | Q(tracked_model__in=models) | Q(tags__has_item=text)
    return found | Q(run_id__startswith=text.lower()) if LOOKS_LIKE_AN_ID.fullmatch(text) else found


def _key_value(text: str) -> tuple[str, str] | None:
    """`lr:0.1` as the parameter's key and value."""
    key, colon, value = (part.strip() for part in text.partition(":"))
    return (key, value) if colon and key and value else None


def _with_param(runs, text: str, key: str, value: str):
    """Runs with this parameter, as text or as the JSON that the value spells; or with the whole text in a name."""
    # By annotation, not by `params__<key>`: a key from a person may be the name of a look-up.
    runs = runs.alias(asked=KeyTransform(key, "params"), asked_text=KeyTextTransform(key, "params"))
    found = Q(asked_text__iexact=value) | _search(text)
    try:
        return runs.filter(Q(asked=_parsed(value)) | found)  # what most often matches first
    except ValueError:
        return runs.filter(found)


def _parsed(value: str):
    """The number, boolean or null that a text spells. Raises ValueError for text, and for what JSON does not know."""

    def refuse(name):
        raise ValueError(name)

    parsed = json.loads(value, parse_constant=refuse)
    if not isinstance(parsed, (bool, int, float)) or abs(parsed) > 1e300:
        raise ValueError(value)
    return parsed


def in_state(runs, state: str, now: datetime):
    """Runs in a state as readers see it: `running` ends and `lost` begins after a silence (Run.state)."""
    if state not in (Run.Status.RUNNING, Run.LOST):
        return runs.filter(status=state)
    running = runs.unfinished()
    silent_s = SecondsBetween(Value(now, DateTimeField()), F("last_seen_at"))
    silent = running.alias(intervals_s=LOST_AFTER_INTERVALS * F("upload_interval_s"), silent_s=silent_s)
    lost = Q(silent_s__gt=F("intervals_s"))
    return silent.filter(lost if state == Run.LOST else ~lost)
