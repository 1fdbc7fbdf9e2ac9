"""Runs."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runs.left_out import LeftOut, added_up
from runs.models.factor import EmissionFactor
from runs.models.imports import SOURCES
from runs.models.project import Project
from runs.models.tracked_model import TrackedModel
from runs.rights import RIGHTS, Right
from runs.silence import is_silent, over_in_sql, silent_in_sql
from runs.sql.lookups import HasItem, HasItems
from runs.sql.within_project import OfProject, WithinProject
from traceml_agent import estimation
from traceml_agent.limits import MAX_OVERLAPS

#: What lists read of unfinished runs, which are few, so that an upload changes one index of amounts and no other.
# The status comes first, though it is always the same: SQLite takes the index that most conditions narrow.
UNFINISHED = ["status", "project", "archived_at", "last_seen_at", "upload_interval_s", "kind", "tracked_model"]
UNFINISHED += ["member_id"]
UNFINISHED += ["received_at", "started_at", "name", "duration_s", "energy_kwh", "emissions_kg", "idle_kwh"]
UNFINISHED += ["shared_kwh", "shared_kg"]
ARCHIVED = ["project", "archived_at", "energy_kwh", "emissions_kg", "shared_kwh", "shared_kg"]
LIVED = ["tracked_model", "kind", "status", "started_at"]
#: Columns of the index that finds the runs with the most idle accelerators without reading their rows.
IDLED = ["project", "idle_kwh", "id", "started_at", "kind", "tracked_model", "member_id"]
#: The same for the runs with the most energy that failed or were cancelled.
WASTED = ["project", "energy_kwh", "id", "started_at", "status", "kind", "tracked_model", "member_id"]

#: The columns that lists sort ended runs by, besides arrival.
SORTED_BY = ["energy_kwh", "emissions_kg", "idle_kwh", "duration_s", "started_at", "name", "kind"]

#: What overlapping runs may share; later words say more.
SHARES = ("host", "device", "process")

models.JSONField.register_lookup(HasItem)
models.JSONField.register_lookup(HasItems)


class RunQuerySet(models.QuerySet):
    def for_user(self, user, right: Right = Right.SEE, team=None):
        """The runs of projects in which this person has this right; with `team`, only of that team's projects."""
        # In one filter, so that both conditions apply to the same member; two filters could match another member's
        # role.
        runs = self.filter(project__team__membership__user=user, project__team__membership__role__in=RIGHTS[right])
        return runs.filter(project__team=team) if team else runs

    def addressed(self, run_ids):
        """The runs with these ids.

        Ids are only unique within a project: if two visible projects have the same one, the older project keeps it.
        """
        rows = self.filter(run_id__in=run_ids).order_by("received_at", "pk").values_list("run_id", "pk")
        oldest: dict = {}
        for run_id, pk in rows:
            oldest.setdefault(run_id, pk)
        return self.filter(pk__in=oldest.values())

    def unfinished(self):
        """Unfinished runs: still running, or lost.

        The status is written into the SQL: with a parameter, SQLite doesn't see that an index holds exactly these rows.
        """
        return self.filter(status=RawSQL("'running'", ()))

    def ended(self):
        """All other runs; the status is in the SQL for the same reason."""
        return self.exclude(status=RawSQL("'running'", ()))

    def ended_otherwise(self):
        """Ended runs that did not complete."""
        return self.ended().exclude(status=RawSQL("'completed'", ()))

    def lost(self, now: datetime):
        """Runs without an end that have been silent for too long (`runs.silence`)."""
        return self.unfinished().filter(silent_in_sql(now))

    def running(self, now: datetime):
        """Runs without an end that are still going on."""
        return self.unfinished().exclude(silent_in_sql(now))

    def over(self, now: datetime):
        """Runs whose tool never says that they ended, and that have been silent for long enough."""
        return self.unfinished().filter(over_in_sql(now)).exclude(source="")

    def came_to_nothing(self, now: datetime):
        """Runs that failed, were cancelled or are lost."""
        ended = Q(status__in=(Run.Status.FAILED, Run.Status.CANCELLED))
        return self.filter(ended | Q(pk__in=self.lost(now).order_by().values("pk")))

    def in_state(self, state: str, now: datetime):
        """Runs in a state as readers see it (`Run.state`)."""
        if state == Run.LOST:
            return self.lost(now)
        return self.running(now) if state == Run.Status.RUNNING else self.filter(status=state)

    def in_any(self, some: Iterable):
        """The ids of the runs in any of these querysets and lists of ids.

        A union: with OR, SQLite looks up each run twice, once to find it and once to check the condition.
        """
        first, *others = (self.filter(pk__in=each).order_by().values("pk") for each in some)
        return first.union(*others)

    def newest(self, count: int):
        """The latest runs to arrive, ready for a list. Rows are wide, so an index selects them."""
        by_arrival = ("-received_at", "-pk")
        return (
            Run.objects.filter(pk__in=self.order_by(*by_arrival).values("pk")[:count])
            .with_names()
            .order_by(*by_arrival)
        )

    def with_names(self):
        """Runs with model, project and team in one query, ready for a list."""
        return self.select_related("tracked_model", "project__team").defer("params", "environment", "usage", "notes")


def _sorted_by(name: str) -> models.Index:
    """An index that holds the ended runs of a project in the order of a column."""
    return models.Index(
        # The status is the same as in the condition, which SQLite looks up in the row if the index lacks it.
        fields=["project", name, "id", "archived_at", "status"],
        condition=~Q(status="running"),
        name=f"run_by_{name.removesuffix('_kwh').removesuffix('_kg').removesuffix('_s').removesuffix('_at')}",
    )


class Run(OfProject):
    """One tracked execution, with the totals calculated from its devices' last counters."""

    class Kind(models.TextChoices):
        TRAINING = "training"
        FINETUNING = "finetuning"
        EVALUATION = "evaluation"
        INFERENCE = "inference"
        OTHER = "other"

    #: Kinds that are only worth something if they complete; a service has answered its calls however it ended.
    WASTABLE = (Kind.TRAINING, Kind.FINETUNING, Kind.EVALUATION)

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"
        #: Ended by a signal: preempted, switched off.
        STOPPED = "stopped"

    LOST = "lost"
    #: Values of `member_id` for runs that belong to no person.
    OF_NOBODY, OF_TEAM, OF_CI = 0, -1, -2

    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    run_id = models.UUIDField()
    tracked_model = WithinProject(TrackedModel, on_delete=models.CASCADE, db_index=False)
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.TRAINING)
    # Not a foreign key: it must outlive the account, because the daily totals from which the run's share is subtracted
    # are kept by it.
    member_id = models.BigIntegerField(
        default=0, help_text="Whose it is by the token that announced it: a person, or OF_NOBODY, OF_TEAM, OF_CI."
    )
    name = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=list, blank=True)
    params = models.JSONField(default=dict, blank=True)
    environment = models.JSONField(default=dict, blank=True)
    agent_version = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    exception = models.CharField(max_length=200, blank=True)

    source = models.CharField(
        max_length=16,
        blank=True,
        default="",
        help_text="The tool that recorded it, such as codecarbon; empty: the agent.",
    )
    source_version = models.CharField(max_length=64, blank=True, default="")
    reported_kwh = models.FloatField(null=True, help_text="Energy as that tool reported it.")
    reported_kg = models.FloatField(
        null=True, help_text="Emissions as that tool reported them, by a factor of its own."
    )
    imported = models.ForeignKey("runs.Import", null=True, blank=True, on_delete=models.SET_NULL)

    started_at = models.DateTimeField(help_text="By the agent's clock.")
    ended_at = models.DateTimeField(null=True, blank=True)
    # Not auto_now_add: an imported run arrives when it ended, or a cluster's last year would bury today.
    received_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="By the server's clock; lists sort by it."
    )
    last_seen_at = models.DateTimeField(default=timezone.now)
    clock_skew_s = models.FloatField(default=0.0, help_text="Agent's clock minus server's, at the last header.")
    upload_interval_s = models.FloatField(default=30.0)
    dropped_records = models.PositiveBigIntegerField(default=0, help_text="Of all its writers together.")
    left_out = models.JSONField(default=list, help_text="What the portal had no room for; writers count their own.")
    series_removed_at = models.DateTimeField(null=True, blank=True, help_text="When the project's retention took them.")
    archived_at = models.DateTimeField(null=True, blank=True, help_text="Set: left out of lists, counted in totals.")

    notes = models.TextField(blank=True, default="", help_text="Markdown, by those who may change runs.")

    factor = models.ForeignKey(EmissionFactor, on_delete=models.PROTECT)
    pue = models.FloatField(default=1.0)
    pue_included = models.BooleanField(
        default=False, help_text="Its energy contains a PUE already, so that pue stays 1 whatever is in force."
    )
    duration_s = models.FloatField(default=0.0)
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    measured_kwh = models.FloatField(default=0.0)
    modelled_kwh = models.FloatField(default=0.0, help_text="Energy of hosted models, by a method and not by a device.")
    emissions_kg = models.FloatField(default=0.0)
    hardware = models.JSONField(default=list, help_text="Slugs of its accelerators, else processors; names where none.")
    idle_kwh = models.FloatField(default=0.0, help_text="Energy of its accelerators while they were not busy.")
    shared_kwh = models.FloatField(
        default=0.0, help_text="What of energy_kwh other runs of its process count in totals."
    )
    shared_kg = models.FloatField(default=0.0, help_text="The same of emissions_kg.")
    overlaps = models.JSONField(default=list, help_text="Ids of the runs that measured the same, and what they share.")
    curve_behind = models.PositiveIntegerField(
        null=True, help_text="How much of its batches is not in its RunCurve yet, in samples."
    )
    usage = models.JSONField(default=list, help_text="What this run added to the daily totals, to be taken back.")

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "run_id"], name="run_id_once_per_project")]
        indexes = [
            models.Index(fields=["project", "received_at", "id", "archived_at"], name="run_by_arrival"),
            models.Index(fields=["tracked_model", "-received_at"], name="run_by_model"),
            *(_sorted_by(name) for name in SORTED_BY),
            models.Index(fields=UNFINISHED, condition=Q(status="running"), name="run_unfinished"),
            models.Index(fields=ARCHIVED, condition=Q(archived_at__isnull=False), name="run_archived"),
            # Kinds and states that are rare are found by it, and members.
            models.Index(fields=["project", "kind", "status", "member_id"], name="run_by_state"),
            models.Index(fields=["project", "exception"], condition=~Q(exception=""), name="run_by_exception"),
            # A model's runs of a kind, without reading rows; narrow.
            models.Index(fields=LIVED, name="run_lived"),
            models.Index(fields=IDLED, condition=Q(idle_kwh__gt=0), name="run_idled"),
            models.Index(
                fields=WASTED, condition=~Q(status="running") & ~Q(status="completed"), name="run_ended_otherwise"
            ),
        ]

    def __str__(self):
        return self.name or str(self.run_id)

    @property
    def state(self) -> str:
        return state_of(self.status, self.last_seen_at, self.upload_interval_s)

    def seconds_to(self, moment: datetime) -> float:
        """Return seconds from the run's start to an instant, such as the offset of a writer's times."""
        return (moment - self.started_at).total_seconds()

    @property
    def label(self) -> str:
        """The run's name, or else the name of its model."""
        return self.name or self.tracked_model.name

    @property
    def source_name(self) -> str:
        """The tool that recorded it, in words."""
        return SOURCES.get(self.source, self.source)

    @property
    def reported_kg_per_kwh(self) -> float | None:
        """The emission factor of the tool that recorded it, as far as its figures tell."""
        return self.reported_kg / self.reported_kwh if self.reported_kwh and self.reported_kg is not None else None

    @property
    def left_out_in_all(self) -> list[LeftOut]:
        """What its writers and the portal left out, together."""
        return added_up(*(writer.left_out for writer in self.writers.all()), self.left_out)

    def overlap(self, others: Iterable[Mapping]) -> None:
        """Add runs that measured the same thing; the strongest word about each is kept, in any order of arrival."""
        found = dict(self.overlaps)
        for other in others:
            run_id, shares = str(other["run"]), other["shares"]
            if run_id != str(self.run_id):
                found[run_id] = max(shares, found.get(run_id, SHARES[0]), key=SHARES.index)
        self.overlaps = sorted(map(list, found.items()))[:MAX_OVERLAPS]

    @property
    def overlapping(self) -> list[dict]:
        """Return the runs that measured the same thing at the same time, and which of SHARES they have in common."""
        return [{"run_id": run_id, "shares": shares} for run_id, shares in self.overlaps]

    @property
    def counted_kwh(self) -> float:
        """The part of its energy (kWh) that totals count for this run and no other."""
        return self.energy_kwh - self.shared_kwh

    @property
    def measured_share(self) -> float:
        """Share of the energy that a counter or sensor measured, 0 to 1."""
        return self.measured_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0

    @property
    def mean_power_w(self) -> float:
        """Mean power (W) of all devices together over the run's duration."""
        return estimation.mean_power_w(self.energy_kwh, self.duration_s)

    @property
    def emissions_low_kg(self) -> float:
        return self._share_of_emissions(self.energy_low_kwh)

    @property
    def emissions_high_kg(self) -> float:
        return self._share_of_emissions(self.energy_high_kwh)

    def _share_of_emissions(self, energy_kwh: float) -> float:
        return self.emissions_kg * energy_kwh / self.energy_kwh if self.energy_kwh > 0 else 0.0


def state_of(status: str, last_seen_at: datetime | None, upload_interval_s: float) -> str:
    """Return the state that readers see: a silent run is lost until late data arrives."""
    if status != Run.Status.RUNNING or last_seen_at is None:
        return status
    return Run.LOST if is_silent(last_seen_at, upload_interval_s, timezone.now()) else status
