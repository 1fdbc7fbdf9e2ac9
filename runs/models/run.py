"""Runs, and the writers that report them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runs.left_out import LeftOut, added_up
from runs.models.factor import EmissionFactor
from runs.models.project import Project
from runs.models.tracked_model import TrackedModel
from runs.rights import RIGHTS, Right
from runs.silence import is_silent, silent_in_sql
from runs.sql.indexes import SearchIndex
from runs.sql.lookups import HasItem, HasItems
from traceml_agent import estimation
from traceml_agent.limits import MAX_OVERLAPS

#: An end may be noticed this long after the process ended.
NOTICED_WITHIN = timedelta(seconds=5)
LISTED = ["project", "archived_at", "received_at", "id", "kind", "status", "tracked_model"]
LISTED += ["energy_kwh", "emissions_kg", "duration_s", "shared_kwh", "shared_kg", "started_at"]
SEARCHED = ["project", "archived_at", "received_at", "id", "name", "tracked_model", "run_id"]
SEARCHED += ["energy_kwh", "emissions_kg", "duration_s", "shared_kwh", "shared_kg", "started_at", "tags", "params"]
UNFINISHED = ["project", "archived_at", "last_seen_at", "upload_interval_s"]
ADDED_UP = ["project", "archived_at", "tracked_model", "hardware", "energy_kwh", "emissions_kg", "duration_s"]
ADDED_UP += ["shared_kwh", "shared_kg"]
LIVED = ["tracked_model", "kind", "status", "started_at"]
#: Columns of the index that finds the runs with the most idle accelerators without reading their rows.
IDLED = ["project", "started_at", "idle_kwh", "kind", "tracked_model", "member_id"]

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

    def lost(self, now: datetime):
        """Runs without an end that have been silent for too long (`runs.silence`)."""
        return self.unfinished().filter(silent_in_sql(now))

    def running(self, now: datetime):
        """Runs without an end that are still going on."""
        return self.unfinished().exclude(silent_in_sql(now))

    def came_to_nothing(self, now: datetime):
        """Runs that failed, were cancelled or are lost."""
        ended = Q(status__in=(Run.Status.FAILED, Run.Status.CANCELLED))
        return self.filter(ended | Q(pk__in=self.lost(now).order_by().values("pk")))

    def in_state(self, state: str, now: datetime):
        """Runs in a state as readers see it (`Run.state`)."""
        if state == Run.LOST:
            return self.lost(now)
        return self.running(now) if state == Run.Status.RUNNING else self.filter(status=state)

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


class Run(models.Model):
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

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run_id = models.UUIDField()
    tracked_model = models.ForeignKey(TrackedModel, on_delete=models.CASCADE)
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

    started_at = models.DateTimeField(help_text="By the agent's clock.")
    ended_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(auto_now_add=True, help_text="By the server's clock; lists sort by it.")
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
    duration_s = models.FloatField(default=0.0)
    energy_kwh = models.FloatField(default=0.0)
    energy_low_kwh = models.FloatField(default=0.0)
    energy_high_kwh = models.FloatField(default=0.0)
    measured_kwh = models.FloatField(default=0.0)
    emissions_kg = models.FloatField(default=0.0)
    hardware = models.JSONField(default=list, help_text="Slugs of its accelerators, else processors; names where none.")
    idle_kwh = models.FloatField(default=0.0, help_text="Energy of its accelerators while they were not busy.")
    shared_kwh = models.FloatField(
        default=0.0, help_text="What of energy_kwh other runs of its process count in totals."
    )
    shared_kg = models.FloatField(default=0.0, help_text="The same of emissions_kg.")
    overlaps = models.JSONField(default=list, help_text="Ids of the runs that measured the same, and what they share.")
    usage = models.JSONField(default=list, help_text="What this run added to the daily totals, to be taken back.")

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "run_id"], name="run_id_once_per_project")]
        indexes = [
            models.Index(fields=["project", "-received_at", "-id"], name="run_by_arrival"),
            models.Index(fields=["tracked_model", "-received_at"], name="run_by_model"),
            # Rows are wide, and a list of 100,000 only reads those that it shows. The widest index comes first: of
            # several that hold everything requested, SQLite uses the last one.
            SearchIndex(fields=SEARCHED, name="run_searched"),
            models.Index(fields=LISTED, name="run_listed"),
            SearchIndex(fields=ADDED_UP, name="run_added_up"),
            models.Index(fields=["project", "archived_at", "energy_kwh"], name="run_by_energy"),
            models.Index(fields=UNFINISHED, condition=Q(status="running"), name="run_unfinished"),
            # A model's runs of a kind, without reading rows; narrow.
            models.Index(fields=LIVED, name="run_lived"),
            models.Index(fields=IDLED, condition=Q(idle_kwh__gt=0), name="run_idled"),
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


class Writer(models.Model):
    """The life of one agent process. Counters are cumulative within it; a run's total is the sum over its writers."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="writers")
    key = models.CharField(max_length=64)
    host = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    last_t_s = models.FloatField(default=0.0, help_text="The latest sample's time since started_at.")
    status = models.CharField(max_length=10, choices=Run.Status.choices, default=Run.Status.RUNNING)
    ended_at = models.DateTimeField(null=True)
    exception = models.CharField(max_length=200, blank=True)
    rank = models.PositiveIntegerField(null=True, help_text="Its number in a job of several processes.")
    clock_skew_s = models.FloatField(
        default=0.0, help_text="How far its clock was ahead, where its times had to be corrected."
    )
    dropped_records = models.PositiveIntegerField(default=0)
    left_out = models.JSONField(default=list, help_text="What its agent left out so far: what, reason, count.")
    last_sha256 = models.CharField(
        max_length=64, blank=True, default="", help_text="Of its last header or end: the same again changes nothing."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="writer_once_per_run")]

    def __str__(self):
        return self.key

    @property
    def heard_until(self):
        """The time of its latest sample."""
        return self.started_at + timedelta(seconds=self.last_t_s)

    @property
    def lasted_until(self):
        """The latest time at which it was certainly running: that of its last sample, or shortly before its end."""
        return max(self.heard_until, self.ended_at - NOTICED_WITHIN) if self.ended_at else self.heard_until


def attempts_of(writers: Iterable[Writer]) -> list[list[Writer]]:
    """Group writers into attempts, in chronological order: writers that overlap are one attempt at the run.

    Ranks of one job are one attempt too, whether or not they overlap (one rank may finish before another starts): only
    a rank that already took part starts another attempt.
    """
    attempts: list[list[Writer]] = []
    until: datetime | None = None
    for writer in sorted(writers, key=lambda each: (each.started_at, each.pk or 0)):
        if until is None or (writer.started_at > until and not _is_another_rank(writer, attempts[-1])):
            attempts.append([])
        attempts[-1].append(writer)
        until = max(until or writer.lasted_until, writer.lasted_until)
    return attempts


def _is_another_rank(writer: Writer, attempt: list[Writer]) -> bool:
    return writer.rank is not None and writer.rank not in {each.rank for each in attempt}
