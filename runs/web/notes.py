"""Notes on a model or run: the page with the form."""

from hashlib import sha256

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import QueryDict
from django.shortcuts import redirect, render

from runs.models import Right
from runs.web.access import require
from runs.web.fields import Notes


class NotesForm(forms.Form):
    notes = Notes(
        help_text="Supports Markdown: headings, lists, tables, links, code. Everyone in the team can read the notes."
    )
    before = forms.CharField(widget=forms.HiddenInput, required=False)


def edit_notes(request, subject, back: str):
    """Show the form or save it. `subject` has `notes` and `project_id`; `back` is its page."""
    require(request, Right.WRITE_NOTES, subject.project_id)
    sent = request.POST.copy()
    form = NotesForm(sent or None, initial={"notes": subject.notes, "before": _digest(subject.notes)})
    if request.method == "POST" and form.is_valid() and _saved(subject, form, sent):
        messages.success(request, "Notes saved.")
        return redirect(f"{back}#notes")
    return render(request, "notes_form.html", {"form": form, "subject": subject, "back": back})


@transaction.atomic
def _saved(subject, form: NotesForm, sent: QueryDict) -> bool:
    """Save, unless someone else saved since the form was shown: then show both texts."""
    stored = type(subject).objects.select_for_update(of=("self",)).get(pk=subject.pk, project_id=subject.project_id)
    if form.cleaned_data["before"] != _digest(stored.notes):
        form.add_error(
            "notes",
            "Someone else changed the notes in the meantime. Their version is below. Merge both and save again.",
        )
        sent["before"] = _digest(stored.notes)
        subject.notes = stored.notes
        return False
    stored.notes = form.cleaned_data["notes"]
    stored.save(update_fields=["notes"])
    return True


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
