"""Housekeeping: what has ended goes after a while, what has not stays, and a dry run only counts."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone

from runs.jobs import housekeeping
from runs.models import (
    ApiToken,
    AuditEntry,
    Batch,
    DailyUsage,
    DeletedRun,
    Device,
    Import,
    ImportPart,
    Invitation,
    Membership,
    Project,
    Run,
    ShareLink,
)
from tests.wire import A100, batch, sample

METERED = A100 | {"basis": "counter"}


def ago(days: float):
    return timezone.now() - timedelta(days=days)


def tidy(*parts: str, **options) -> str:
    out = StringIO()
    call_command("housekeeping", *parts, stdout=out, **options)
    return out.getvalue()


def invitation(people, ended) -> Invitation:
    made = Invitation.issue(Membership.objects.get(user=people.alice), "member")[0]
    Invitation.objects.filter(pk=made.pk).update(expires_at=ended)
    return made


def token(people, **ends) -> ApiToken:
    made = ApiToken.issue(people.project, "x", ["read"])[0]
    ApiToken.objects.filter(pk=made.pk).update(**ends)
    return made


def share(people, ended) -> ShareLink:
    made = ShareLink.make(people.project, 7, False, None)[0]
    ShareLink.objects.filter(pk=made.pk).update(expires_at=ended)
    return made


def tombstone(people, deleted) -> DeletedRun:
    made = DeletedRun.objects.create(project=people.project, run_id=f"{DeletedRun.objects.count():032x}")
    DeletedRun.objects.filter(pk=made.pk).update(deleted_at=deleted)
    return made


def entry(people, created) -> AuditEntry:
    made = AuditEntry.note(None, people.project.team, "run deleted", "x")
    AuditEntry.objects.filter(pk=made.pk).update(created_at=created)
    return made


def session(people, ends) -> Session:
    return Session.objects.create(session_key=f"k{Session.objects.count()}", session_data="", expire_date=ends)


def unconfirmed(people, sent) -> Import:
    made = Import.objects.create(project=people.project, file_name="jobs.txt", state="checked")
    ImportPart.objects.create(project=people.project, of=made, number=0, data=b"x")
    Import.objects.filter(pk=made.pk).update(created_at=sent)
    return made


CASES = {
    "invitations": (invitation, ago(31), [ago(29), ago(-1)]),
    "sessions": (session, ago(1), [ago(-1)]),
    "tokens": (lambda people, end: token(people, expires_at=end), ago(91), [ago(89), ago(-1), None]),
    "tokens revoked": (lambda people, end: token(people, revoked_at=end), ago(91), [ago(89)]),
    "shares": (share, ago(31), [ago(29), ago(-1)]),
    "imports": (unconfirmed, ago(1.1), [ago(0.9)]),
    "tombstones": (tombstone, ago(366), [ago(364)]),
    "audit": (entry, ago(731), [ago(729)]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_ended_long_ago_goes_and_all_else_stays(people, case):
    make, long_ago, others = CASES[case]
    part = case.split()[0]
    old = make(people, long_ago)
    kept = {make(people, moment).pk for moment in others}
    assert f"{part}: 1 due" in tidy(part, dry_run=True)
    assert type(old).objects.filter(pk=old.pk).exists()
    assert f"{part}: 1 done" in tidy(part)
    assert set(type(old).objects.values_list("pk", flat=True)) == kept
    assert f"{part}: 0 done" in tidy(part)


def test_more_than_one_slice_goes_in_one_go(people, monkeypatch):
    monkeypatch.setattr(housekeeping, "SLICE", 2)
    for _ in range(5):
        entry(people, ago(800))
    assert "audit: 5 done" in tidy("audit")
    assert not AuditEntry.objects.exists()


def test_the_audit_log_can_be_kept_for_ever(people, settings):
    settings.TRACEML_AUDIT_DAYS = 0
    entry(people, ago(9_999))
    assert "audit: 0 done" in tidy("audit")


def test_without_a_part_it_does_all_of_them(people):
    assert [line.split(":")[0] for line in tidy().splitlines()] == [*housekeeping.PARTS]


def test_an_unknown_part_is_refused(db):
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("housekeeping", "everything")


def old_run(wire, kwh: float = 1.0, days: float = 10) -> Run:
    run_id = wire.start()
    stages = [{"id": "1", "name": "epoch 1", "start_s": 0, "end_s": 1800}]
    metrics = [{"t_s": 5, "name": "loss", "value": 0.5}]
    samples = [sample("gpu-0", t, t / 2, kwh * 1000 * t) for t in (1800, 3600)]
    wire.send(run_id, "b-1", batch(samples, [METERED], stages=stages, metrics=metrics))
    wire.finish(run_id)
    Run.objects.filter(run_id=run_id).update(last_seen_at=ago(days))
    return Run.objects.get(run_id=run_id)


def keep(days: int | None) -> None:
    Project.objects.filter(slug="digits").update(keep_series_days=days)


def test_samples_and_metrics_go_after_the_projects_days_and_totals_stay(wire):
    run, usage = old_run(wire), list(DailyUsage.objects.order_by("pk").values())
    devices = list(Device.objects.values())
    keep(7)
    assert "series: 1 done" in tidy("series")
    after = Run.objects.get()
    assert (bytes(Batch.objects.get().series), Batch.objects.get().metrics) == (b"", [])
    assert after.series_removed_at is not None
    assert (after.energy_kwh, after.emissions_kg) == (run.energy_kwh, run.emissions_kg)
    assert list(DailyUsage.objects.order_by("pk").values()) == usage
    assert list(Device.objects.values()) == devices


@pytest.mark.parametrize("days", [None, 11])
def test_samples_stay_where_the_project_keeps_them_for_longer_or_for_ever(wire, days):
    old_run(wire)
    keep(days)
    assert "series: 0 done" in tidy("series")
    assert Batch.objects.get().samples()


def test_other_projects_samples_stay(wire, charlies_wire):
    old_run(wire)
    old_run(charlies_wire)
    keep(7)
    tidy("series")
    assert Run.objects.get(project__slug="secrets").series_removed_at is None


def test_a_repeated_upload_is_still_a_duplicate_and_a_new_one_goes_the_next_time(wire):
    run = old_run(wire)
    keep(7)
    tidy("series")
    new = batch([sample("gpu-0", 7200, 3600, 9e6)], [METERED])
    assert wire.send(str(run.run_id), "b-2", new).status_code == 201
    assert wire.send(str(run.run_id), "b-2", new).json()["status"] == "duplicate"
    Run.objects.update(last_seen_at=timezone.now() + timedelta(days=1))
    assert "series: 0 done" in tidy("series")
    Run.objects.update(last_seen_at=ago(8), series_removed_at=ago(9))
    assert "series: 1 done" in tidy("series")
    assert not any(stored.series for stored in Batch.objects.all())


def test_totals_can_still_be_made_anew_from_what_is_left(wire):
    run = old_run(wire)
    keep(7)
    tidy("series")
    call_command("rebuild_usage", stdout=StringIO())
    assert Run.objects.get().energy_kwh == run.energy_kwh
