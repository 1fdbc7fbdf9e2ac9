"""Imports of other tools' files: the list with its form, and an import with its preview, confirmation and undo."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from runs.importers import work
from runs.importers.formats import recognise
from runs.imports.forms import ImportForm
from runs.models import Import, Project, Right
from runs.web import query
from runs.web.access import require
from runs.web.forms import posts, to_the_form

PAGE_SIZE = 50


@require_safe
def imports(request):
    return _list(request, ImportForm(request))


def _list(request, form: ImportForm):
    found = Import.objects.for_user(request.user).select_related("project__team", "member").order_by("-pk")
    page = Paginator(found, PAGE_SIZE).get_page(query.asked(request, "page"))
    for each in page.object_list:
        each.tool = recognise.NAMES.get(each.format, "")
    context = {
        "form": form,
        "page": page,
        "may_import": form.fields["project"].queryset.exists(),  # type: ignore[attr-defined]
        "part_bytes": work.PART_BYTES,
    }
    return render(request, "imports/list.html", context)


@posts("imports")
def import_new(request):
    """Begin an import with a file, or without one for a script that sends its parts and wants JSON."""
    form = ImportForm(request, request.POST, request.FILES)
    is_script = request.headers.get("Accept") == "application/json"
    file = form.files.get("import_file")
    if form.is_valid() and not (file or is_script):
        form.add_error("import_file", "Choose a file.")
    name = (file.name if file else request.POST.get("file_name")) or ""
    asked = _begun(request, form, name) if form.is_valid() else None
    if asked is None:
        return JsonResponse({"errors": form.errors}, status=422) if is_script else _list(request, form)
    if is_script:
        parts = reverse("import_part", args=[asked.pk, 0]).removesuffix("0/")
        return JsonResponse({"parts": parts, "check": reverse("import_check", args=[asked.pk])})
    for number, data in enumerate(file.chunks(work.PART_BYTES) if file else ()):
        work.receive(asked, number, data)
    work.check(asked)
    return redirect("import_detail", asked.pk)


def _begun(request, form: ImportForm, file_name: str) -> Import | None:
    name = "".join(sign for sign in file_name if sign.isprintable())[:200].strip() or "file"
    try:
        return work.begin(form.cleaned_data["project"], request.user, request.user.pk, name, form.rule)
    except work.NotNow as error:
        form.add_error(None, str(error))
        return None


@require_safe
def import_detail(request, imported):
    asked = get_object_or_404(Import.objects.for_user(request.user).select_related("project__team"), pk=imported)
    if asked.is_at_work:
        work.start_if_abandoned()
    may_change = Project.objects.for_user(request.user, Right.CHANGE_RUNS).filter(pk=asked.project_id).exists()
    context = {"asked": asked, "tool": recognise.NAMES.get(asked.format, ""), "may_change": may_change}
    return render(request, "imports/page.html", context)


def _changes(view):
    """Decorate a change of an import, which needs the right to change runs in its project."""

    def guarded(request, imported, **given):
        asked = get_object_or_404(Import.objects.for_user(request.user).select_related("project__team"), pk=imported)
        if request.method != "POST":
            return to_the_form(request, reverse("import_detail", args=[imported]))
        require(request, Right.CHANGE_RUNS, asked.project_id)
        try:
            return view(request, asked, **given)
        except work.NotNow as error:
            messages.error(request, str(error))
            return redirect("imports")

    return guarded


@_changes
def import_part(request, asked, number):
    """Keep a part of a file that a script sends."""
    try:
        work.receive(asked, number, request.body)
    except work.NotNow as error:
        return HttpResponse(str(error), "text/plain", 413)
    return HttpResponse(status=204)


@_changes
def import_check(request, asked):
    work.check(asked)
    return redirect("import_detail", asked.pk)


@_changes
def import_confirm(request, asked):
    work.confirm(asked, request)
    return redirect("import_detail", asked.pk)


@_changes
def import_undo(request, asked):
    work.undo(asked, request)
    return redirect("import_detail", asked.pk)


@_changes
def import_discard(request, asked):
    work.discard(asked)
    messages.success(request, f"The import of {asked.file_name} was discarded. Nothing was stored.")
    return redirect("imports")
