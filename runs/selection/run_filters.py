"""Filters of the run list: search, typed filters, and their database conditions."""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from hardware.models import HardwareProfile
from runs.models import Device, Run, RunUsage, TrackedModel
from runs.selection.choices import Members, member_ids
from runs.selection.run_days import Days, on_days
from runs.sql.lookups import ItemText

#: Failed, cancelled and lost runs of a kind that is only worth something if it completes.
WASTED = "wasted"
STATES = [*Run.Status.values, Run.LOST, WASTED]
#: Archived runs are hidden unless they are included, or shown exclusively.
ARCHIVED = {"too": "Include archived", "only": "Archived only"}
#: No key has more colons.
MOST_COLONS = 4
NOTHING = object()
PYTHONS_WORDS = {"True": True, "False": False, "None": None}
LOOKS_LIKE_AN_ID = re.compile(r"(?=.*[0-9a-f])[0-9a-f-]{4,36}", re.IGNORECASE)


class RunFilters(NamedTuple):
    """The filters of the run list. An empty field does not filter; an unknown value matches nothing.

    `since` and `until` select the runs that began or used energy on these days. `hardware` is a profile's slug or a
    part of its name, for any device; `main_hardware` is what a run is grouped under. `param` is a JSON object.
    """

    search: str = ""
    project: str = ""
    model: str = ""
    kind: str = ""
    state: str = ""
    tag: str = ""
    hardware: str = ""
    main_hardware: str = ""
    since: date | None = None
    until: date | None = None
    over: float | None = None
    archived: str = ""
    member: str = ""
    exception: str = ""
    param: str = ""

    @property
    def is_set(self) -> bool:
        return bool(self.names_set)

    @property
    def names_set(self) -> set[str]:
        return {name for name, value in self._asdict().items() if value not in ("", None)}

    @property
    def days(self) -> Days:
        return Days(self.since, self.until)


def matching(runs, filters: RunFilters, members: Members | None = None):
    """Return the runs that match all filters; a search also finds the runs of these members."""
    runs = undated(runs, filters, members)
    if filters.days.are_set:
        own = RunUsage.objects.filter(project=OuterRef("project"), run=OuterRef("pk"))
        runs = runs.filter(Exists(on_days(own, filters.days)))
    return runs


def undated(runs, filters: RunFilters, members: Members | None = None):
    """Return the runs that match all filters except days."""
    for condition in _conditions(filters):
        runs = runs.filter(condition)
    if filters.search:
        runs = _searched(runs, filters.search, members or Members({}))
    return in_state(runs, filters.state, timezone.now()) if filters.state else runs


def _conditions(filters: RunFilters):
    """Return the condition of each filter except search, days and state."""
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
        yield Q(Exists(Device.objects.filter(run=OuterRef("pk"), profile__in=profiles(filters.hardware))))
    if filters.main_hardware:
        yield Q(hardware__has_item=filters.main_hardware)
    if filters.over is not None:
        yield Q(energy_kwh__gt=filters.over)
    if filters.member:
        yield Q(member_id__in=member_ids(filters.member))
    if filters.exception:
        yield Q(exception=filters.exception)
    if filters.param:
        asked = asked_items(filters.param)
        yield Q(params__has_items=asked) if asked else Q(pk__in=())


def asked_items(text: str) -> dict:
    """Return the parameters of a JSON object; empty if the text is not one."""
    asked = _of_json(text)
    return asked if isinstance(asked, dict) else {}


def profiles(text: str):
    """Return profiles with this slug, or with the text in their name."""
    return HardwareProfile.objects.filter(Q(slug=text) | Q(name__icontains=text)).order_by().values("pk")


def _searched(runs, text: str, members: Members):
    """Return runs with the text in a name, tag, member or id, or with the parameter that it spells."""
    models = TrackedModel.objects.filter(of_name(text)).values("pk")
    found = of_name(text) | Q(tracked_model__in=models) | Q(tags__has_item=text)
    if LOOKS_LIKE_AN_ID.fullmatch(text):
        found |= Q(run_id__startswith=text.lower())
    if called := members.called(text):
        found |= Q(member_id__in=called)
    for number, (key, value) in enumerate(key_values(text)):
        runs = runs.alias(**{f"text_{number}": ItemText("params", key)})
        found = Q(**{f"text_{number}__iexact": value}) | found
        for each in parsed(value):
            found = Q(params__has_items={key: each}) | found  # first, as it matches most often
    return runs.filter(found)


def of_name(text: str) -> Q:
    """Return the condition that the text is part of a run's or a model's name."""
    return Q(name__icontains=text)


def key_values(text: str) -> Iterator[tuple[str, str]]:
    """Split `lr:0.1` into a parameter's key and value; a key may contain colons, so each one is tried."""
    parts = text.split(":")[: MOST_COLONS + 1]
    for number in range(1, len(parts)):
        key, value = ":".join(parts[:number]).strip(), text.split(":", number)[number].strip()
        if key and value:
            yield key, value


def parsed(text: str) -> list:
    """Return the value of a text in JSON or Python spelling, in a list; empty if it is plain text."""
    if text in PYTHONS_WORDS:
        return [PYTHONS_WORDS[text]]
    parsed = _of_json(text)
    return [] if parsed is NOTHING else [parsed]


def _of_json(text: str):
    """Return the value that a text spells in JSON, if a run may have it; otherwise NOTHING."""
    try:
        value = json.loads(text)
        spelled = json.dumps(value, ensure_ascii=False, allow_nan=False)
        spelled.encode()  # no database accepts lone surrogates
    except (ValueError, RecursionError):
        return NOTHING
    return NOTHING if r"\u0000" in spelled else value


def in_state(runs, state: str, now: datetime):
    """Return runs in a state that the list offers: a run's state, or without a result and of a wastable kind."""
    if state == WASTED:
        return runs.filter(kind__in=Run.WASTABLE).came_to_nothing(now)
    return runs.in_state(state, now)
