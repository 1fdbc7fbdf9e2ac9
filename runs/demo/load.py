"""Load the demo through the ingest code, and remove it without touching anything else."""

import hashlib
import uuid
from datetime import datetime, timedelta

from django.db import transaction

from runs.demo.bodies import bodies, ended_at
from runs.demo.story import NOTES, PEOPLE, PROJECTS, SENDERS, Episode, episodes
from runs.ingest.batch import record_batch
from runs.ingest.finish import record_finish
from runs.ingest.folding.fold import fold
from runs.ingest.header import record_header
from runs.ingest.removal import remove_team
from runs.models import Batch, Membership, Project, Run, Team, TrackedModel, User
from runs.slugs import free_slug

TEAM = "Demo lab"
OWNER = PEOPLE[0][0]


def demo_team() -> Team | None:
    """The team that `load` created, identified by name and owner: a real team may have the same name."""
    return Team.objects.filter(name=TEAM, membership__user__email=OWNER, membership__role="owner").first()


def load(seed: int, size: float, until: datetime, password: str) -> tuple[Team, int]:
    """Create the team, its people and projects, and send all runs of the story; returns the team and their number."""
    with transaction.atomic():
        team, projects = _team(password)
    members = dict(team.members.values_list("email", "pk"))
    story = episodes(seed, size, until)
    for episode in story:
        # One transaction a run: a large one would keep every real upload waiting until the demo is there.
        with transaction.atomic():
            _send(projects[episode.work.project], members, episode)
    for name, notes in NOTES.items():
        TrackedModel.objects.filter(project__in=projects.values(), name=name).update(notes=notes)
    return team, len(story)


def _team(password: str) -> tuple[Team, dict[str, Project]]:
    team = Team.objects.create(name=TEAM, slug=free_slug(TEAM, Team.objects.all(), "team"))
    for email, first_name, last_name, role in PEOPLE:
        own = password if email == OWNER else None
        person = User.objects.create_user(email, own, first_name=first_name, last_name=last_name)
        Membership.objects.create(team=team, user=person, role=role)
    return team, {
        name: Project.objects.create(team=team, name=name, slug=free_slug(name, Project.objects.all(), "project"))
        for name in PROJECTS
    }


def _send(project: Project, members: dict[str, int], episode: Episode) -> None:
    """Machines that serve or batch have a token that nobody made, by `issue_token`."""
    run_id, sent = uuid.UUID(episode.run_id), bodies(episode)
    run, _ = record_header(project, run_id, sent.header, members.get(SENDERS.get(episode.work.machine, ""), 0))
    for number, batch in enumerate(sent.batches, start=1):
        digest = hashlib.sha256(f"{run_id}/{number}".encode()).hexdigest()
        record_batch(project, run_id, f"demo-{number}", digest, batch)
    if sent.finish:
        record_finish(project, run_id, sent.finish)
    fold([run.pk])
    _arrive(run.pk, episode)


def _arrive(pk: int, episode: Episode) -> None:
    """Set the arrival time to when the run would have arrived: lists sort by it, and silence is derived from it."""
    arrived = episode.started_at + timedelta(seconds=2)
    for batch in Batch.objects.filter(run=pk):
        batch.received_at = arrived + timedelta(seconds=batch.last_t_s or 0.0)
        batch.save(update_fields=["received_at"])
    Run.objects.filter(pk=pk).update(received_at=arrived, last_seen_at=ended_at(episode))


def remove() -> bool:
    """Delete the demo team, everything in it and its people; returns whether it existed."""
    team = demo_team()
    if team is None:
        return False
    remove_team(team)
    with transaction.atomic():
        User.objects.filter(email__in=[email for email, *_ in PEOPLE]).delete()
    return True
