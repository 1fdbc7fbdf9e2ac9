"""The projects of a team: create, rename, delete."""

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.shortcuts import get_object_or_404, redirect, render

from runs.figures import units
from runs.ingest.trash import trash_project
from runs.models import AuditEntry, Project, Right
from runs.models.audit import Action
from runs.teams.team import DeleteForm
from runs.web import access as doors
from runs.web.fields import Name

TAKEN = "The team already has a project with this name."


class ProjectForm(forms.Form):
    name = Name(label="Name")


class RetentionForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = ["keep_series_days"]
        labels = {"keep_series_days": "Days to keep samples after a run's last upload"}
        help_texts = {"keep_series_days": ""}


@doors.reads
def projects(request, place):
    return _list(request, place)


def _list(request, place, **forms_sent):
    active = Count("apitoken", filter=Q(apitoken__revoked_at=None), distinct=True)
    context = {
        "place": place,
        "projects": place.team.project_set.annotate(tokens=active).order_by("name"),
        "new": ProjectForm(),
    }
    return render(request, "teams/projects.html", context | forms_sent)


@doors.writes(Right.MAKE_PROJECTS, "projects")
def project_new(request, place):
    form = ProjectForm(request.POST)
    if not form.is_valid() or not (project := _made(place.team, form)):
        return _list(request, place, new=form)
    AuditEntry.note(request, place.team, Action.PROJECT_CREATED, project.name)
    messages.success(request, f"Project {project.name} created.")
    return redirect("projects", place.team.slug)


def _made(team, form) -> Project | None:
    if team.project_set.filter(name=form.cleaned_data["name"]).exists():
        form.add_error("name", TAKEN)
        return None
    return Project.make(team, form.cleaned_data["name"])


@doors.reads
def project(request, place, project):
    return _page(request, place, _of(place, project))


def _page(request, place, project, **forms_sent):
    context = {
        "place": place,
        "project": project,
        "rename": ProjectForm(initial={"name": project.name}),
        "retention": RetentionForm(instance=project),
        "delete": DeleteForm(project),
        "runs": project.run_set.count(),
    }
    return render(request, "teams/project.html", context | forms_sent)


@doors.writes(Right.MANAGE_PROJECTS, "project", "project")
def project_rename(request, place, project):
    project = _of(place, project)
    form, before = ProjectForm(request.POST), project.name
    if not form.is_valid() or not _renamed(project, form):
        return _page(request, place, project, rename=form)
    AuditEntry.note(request, place.team, Action.PROJECT_CHANGED, f"{before} is now {project.name}")
    messages.success(request, f"Project renamed to {project.name}. Its addresses stay the same.")
    return redirect("project", place.team.slug, project.slug)


def _renamed(project, form) -> bool:
    before, project.name = project.name, form.cleaned_data["name"]
    try:
        with transaction.atomic():
            project.save(update_fields=["name"])
    except IntegrityError:
        project.name = before
        form.add_error("name", TAKEN)
        return False
    return True


@doors.writes(Right.MANAGE_PROJECTS, "project", "project")
def project_retention(request, place, project):
    project = _of(place, project)
    form = RetentionForm(request.POST, instance=project)
    if not form.is_valid():
        return _page(request, place, _of(place, project.slug), retention=form)
    days = form.save().keep_series_days
    kept = f"keeps samples for {units.counted(days, 'day')}" if days else "keeps samples forever"
    AuditEntry.note(request, place.team, Action.PROJECT_CHANGED, f"{project.name} {kept}")
    messages.success(request, f"{project.name} now {kept}.")
    return redirect("project", place.team.slug, project.slug)


@doors.writes(Right.MANAGE_PROJECTS, "project", "project")
def project_delete(request, place, project):
    project = _of(place, project)
    form = DeleteForm(project, request.POST)
    if not form.is_valid():
        return _page(request, place, project, delete=form)
    trash_project(project, request)
    messages.success(
        request, f"Project {project.name} moved to the trash with its runs and tokens. You can restore it for 30 days."
    )
    return redirect("projects", place.team.slug)


def _of(place, slug: str) -> Project:
    return get_object_or_404(place.team.project_set, slug=slug)
