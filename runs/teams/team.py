"""A team: its name, its ownership, leaving and deleting it."""

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from runs import limits, mail
from runs.ingest.removal import remove_team
from runs.models import AuditEntry, Membership, OwnershipOffer, Right, Team
from runs.models.audit import Action
from runs.models.team import LastOwner
from runs.web import access as doors
from runs.web.arrival import arrive
from runs.web.fields import Name, TypedName


class TeamForm(forms.Form):
    name = Name(label="Name")


class DeleteForm(forms.Form):
    def __init__(self, thing, data=None):
        super().__init__(data, auto_id="delete_%s")  # the rename form on the same page has a `name` too
        self.fields["name"] = TypedName(thing.name)


class OfferForm(forms.Form):
    member = forms.ModelChoiceField(Membership.objects.none(), label="New owner", empty_label=None)
    steps_back = forms.BooleanField(label="Make me an admin", required=False, initial=True)

    def __init__(self, place, *args, **options):
        super().__init__(*args, **options)
        member = self.fields["member"]
        member.queryset = place.team.membership_set.by_role().able().exclude(role=Membership.Role.OWNER)  # type: ignore[attr-defined]
        member.label_from_instance = lambda each: each.user.email  # type: ignore[attr-defined]


@require_safe
def settings_index(request):
    """Redirect to the settings of a person's first team."""
    if answer := arrive(request):
        return answer
    return redirect("team", Team.objects.for_user(request.user).order_by("name").values_list("slug", flat=True)[0])


@doors.reads
def team(request, place):
    return _page(request, place)


def _page(request, place, **forms_sent):
    offers = OwnershipOffer.objects.open().filter(offered_to__team=place.team)
    context = {
        "place": place,
        "offers": offers.select_related("offered_by__user", "offered_to__user"),
        "rename": TeamForm(initial={"name": place.team.name}),
        "offer": OfferForm(place),
        "delete": DeleteForm(place.team),
        "owners": place.team.membership_set.owners().count(),
    }
    return render(request, "teams/team.html", context | forms_sent)


def team_new(request):
    form = TeamForm(request.POST or None)
    if not form.is_valid():
        return render(request, "teams/team_new.html", {"form": form})
    with transaction.atomic():
        team = Team.found(form.cleaned_data["name"], request.user)
        AuditEntry.note(request, team, Action.TEAM_CREATED, team.name)
    return redirect("projects", team.slug)


@doors.writes(Right.RENAME_TEAM, "team")
def team_rename(request, place):
    form = TeamForm(request.POST)
    if not form.is_valid():
        return _page(request, place, rename=form)
    before, place.team.name = place.team.name, form.cleaned_data["name"]
    place.team.save(update_fields=["name"])
    AuditEntry.note(request, place.team, Action.TEAM_RENAMED, f"{before} is now {place.team.name}")
    messages.success(request, f"Team renamed to {place.team.name}.")
    return redirect("team", place.team.slug)


@doors.writes(Right.LEAVE, "team")
def team_leave(request, place):
    try:
        place.end()
    except LastOwner as error:
        messages.error(request, error.message)
        return redirect("team", place.team.slug)
    AuditEntry.note(request, place.team, Action.MEMBER_LEFT, request.user.email)
    messages.success(request, f"You left {place.team.name}.")
    return redirect("overview")


@doors.writes(Right.OFFER_OWNERSHIP, "team")
def ownership_offer(request, place):
    form = OfferForm(place, request.POST)
    if not form.is_valid():
        return _page(request, place, offer=form)
    limits.INVITED.spend(form.cleaned_data["member"].user.email)
    offer = OwnershipOffer.make(place, form.cleaned_data["member"], form.cleaned_data["steps_back"])
    AuditEntry.note(request, place.team, Action.OWNERSHIP_OFFERED, offer.offered_to.user.email)
    mail.send_text(offer.offered_to.user.email, "ownership", {"place": place})
    messages.success(request, f"Ownership offered to {offer.offered_to.user.email}, who has 7 days to accept it.")
    return redirect("team", place.team.slug)


@doors.writes(Right.SEE, "team")
def ownership_take(request, place):
    """Become an owner where all current owners are deactivated."""
    place.take_over()
    AuditEntry.note(request, place.team, Action.OWNERSHIP_TAKEN, request.user.email)
    messages.success(request, f"You are now an owner of {place.team.name}.")
    return redirect("team", place.team.slug)


@doors.writes(Right.SEE, "team")
def ownership_answer(request, place, offer):
    """Accept or decline an offer that the reader received, or withdraw one that the reader made."""
    offers = OwnershipOffer.objects.open().filter(offered_to__team=place.team)
    offer = get_object_or_404(offers.select_related("offered_to__user"), pk=offer)
    accepts = request.POST.get("answer") == "accept"
    if place != offer.offered_to and (accepts or place != offer.offered_by):
        raise PermissionDenied
    action = Action.OWNERSHIP_TRANSFERRED if accepts else Action.OWNERSHIP_DECLINED
    AuditEntry.note(request, place.team, action, offer.offered_to.user.email)
    if accepts:
        offer.accept()
        messages.success(request, f"You are now an owner of {place.team.name}.")
    else:
        offer.delete()
        messages.success(request, "Offer withdrawn.")
    return redirect("team", place.team.slug)


@doors.writes(Right.DELETE_TEAM, "team")
def team_delete(request, place):
    form = DeleteForm(place.team, request.POST)
    if not form.is_valid():
        return _page(request, place, delete=form)
    # The team's own entries are deleted with it, so this one belongs to the deployment.
    AuditEntry.note(request, None, Action.TEAM_DELETED, place.team.name)
    remove_team(place.team)
    messages.success(request, f"Team {place.team.name} deleted.")
    return redirect("overview")
