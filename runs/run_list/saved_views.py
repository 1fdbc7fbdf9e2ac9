"""Saved views of the run list: save, and delete your own."""

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from runs.models import Project, SavedView
from runs.text import clean_text
from runs.web.forms import posts

MOST_VIEWS = 50


def _clean(name: str) -> None:
    clean_text(name)


class SavedViewForm(forms.Form):
    name = forms.CharField(max_length=100, validators=[_clean])
    project = forms.ModelChoiceField(Project.objects.none(), to_field_name="slug", required=False)
    query = forms.CharField(max_length=2000, required=False)

    def __init__(self, data, user):
        super().__init__(data)
        self.user = user
        self.fields["project"].queryset = Project.objects.for_user(user)  # type: ignore[attr-defined]

    def save(self) -> SavedView:
        """Save the view; it replaces this person's view with the same name."""
        asked = self.cleaned_data
        return SavedView.objects.update_or_create(
            user=self.user,
            name=clean_text(asked["name"], 100),
            defaults={"query": QueryDict(asked["query"]).urlencode(), "project": asked["project"]},
        )[0]


@posts("run_list")
def save_view(request):
    form = SavedViewForm(request.POST, request.user)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("run_list")
    if SavedView.objects.filter(user=request.user).count() >= MOST_VIEWS:
        raise BadRequest(f"Limit reached: {MOST_VIEWS} saved views. Delete one first.")
    view = form.save()
    messages.success(request, f"Saved as “{view.name}”.")
    return redirect(f"{reverse('run_list')}?{view.query}")


@posts("run_list")
def delete_view(request, pk):
    get_object_or_404(SavedView, pk=pk, user=request.user).delete()
    messages.success(request, "View deleted. No runs were changed.")
    return redirect("run_list")
