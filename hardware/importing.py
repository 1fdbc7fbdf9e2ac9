"""The admin pages that export the catalogue and import a file, after a preview.

The form of the preview contains the signed rows: the server stores no file, and a client can't name one.
"""

from collections.abc import Callable

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hardware import exchange

SALT = "hardware.import"
PREVIEW_LASTS_S = 3600
#: The longest text of signed rows in the form.
MOST_CHARACTERS = 256 * 1024
EXPIRED = "This preview has expired. Upload the file again."


class FileForm(forms.Form):
    import_file = forms.FileField(label="CSV file")
    reason = forms.CharField(
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Reason for the change, such as a datasheet or a measurement. It is kept in the history.",
    )

    def clean_import_file(self):
        return exchange.changing(exchange.read(self.cleaned_data["import_file"].read()))


class ConfirmForm(forms.Form):
    rows = forms.CharField(widget=forms.HiddenInput, max_length=MOST_CHARACTERS)


class ExchangeAdmin(admin.ModelAdmin):
    """Export for people who may view profiles, import for people who may change them."""

    def get_urls(self):
        view = self.admin_site.admin_view
        return [
            path("export/", view(self.export), name="hardware_hardwareprofile_export"),
            path("import/", view(self.import_file), name="hardware_hardwareprofile_import"),
            path("process_import/", view(self.process_import), name="hardware_hardwareprofile_process_import"),
            *super().get_urls(),
        ]

    def rehearsed(self, write: Callable[[], list[exchange.Taken]]) -> tuple[list[exchange.Taken], object]:
        """What an import would write and which runs it affects; rolled back."""
        with transaction.atomic():
            taken = write()
            transaction.set_rollback(True)
        return taken, None

    def imported(self, request, taken: list[exchange.Taken]) -> None:
        """Called in the transaction of an import."""

    @method_decorator(require_safe)
    def export(self, request):
        if not self.has_view_permission(request):
            raise PermissionDenied
        profiles = self.get_changelist_instance(request).queryset.prefetch_related("aliases")
        headers = {"Content-Disposition": 'attachment; filename="hardware-profiles.csv"'}
        return HttpResponse(exchange.export(profiles), "text/csv; charset=utf-8", headers=headers)

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def import_file(self, request):
        """Upload a file and preview its changes."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = FileForm(request.POST, request.FILES) if request.method == "POST" else FileForm()
        if form.is_valid():
            rows, reason = form.cleaned_data["import_file"], form.cleaned_data["reason"]
            try:
                return self._preview(request, form, rows, reason)
            except ValidationError as error:
                form.add_error("import_file", error)
        return self._page(request, form=form)

    def _preview(self, request, form, rows, reason) -> TemplateResponse:
        checked = exchange.check(rows, request.user)
        taken, reached = self.rehearsed(lambda: exchange.write(checked, _reason(reason)))
        signed = signing.dumps([request.user.pk, reason, rows], salt=SALT, compress=True)
        if len(signed) > MOST_CHARACTERS:
            raise ValidationError("The file changes too much text at once. Split the file.")
        confirm = ConfirmForm(initial={"rows": signed})
        return self._page(request, form=form, confirm_form=confirm, taken=taken, reached=reached)

    @method_decorator(require_POST)
    def process_import(self, request):
        """Save the changes of the preview."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            reason, rows = _signed_rows(request)
            checked = exchange.check(exchange.changing(rows), request.user)
            with transaction.atomic():
                taken = exchange.write(checked, _reason(reason))
                if taken:
                    self._log(request, taken)
                    self.imported(request, taken)
        except ValidationError as error:
            return self._page(request, status=400, form=FileForm(), refused=error.messages)
        added = sum(each.is_new for each in taken)
        messages.success(request, f"Imported: {added} new, {len(taken) - added} changed.")
        return HttpResponseRedirect(reverse("admin:hardware_hardwareprofile_changelist"))

    def _log(self, request, taken: list[exchange.Taken]) -> None:
        for flag, is_new in ((ADDITION, True), (CHANGE, False)):
            profiles = [each.profile for each in taken if each.is_new is is_new]
            if profiles:
                LogEntry.objects.log_actions(request.user.pk, profiles, flag, "Imported.")

    def _page(self, request, status: int = 200, **context) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "title": "Import hardware profiles", "opts": self.opts}
        limits = {"most_changes": exchange.MAX_CHANGES, "columns": exchange.HEADER}
        return TemplateResponse(request, "admin/import_profiles.html", shared | limits | context, status=status)


def _reason(given: str) -> str:
    return given or "Imported from a file."


def _signed_rows(request) -> tuple[str, list[exchange.Texts]]:
    """The reason and rows of the preview that this person saw."""
    form = ConfirmForm(request.POST)
    try:
        signed = signing.loads(form.cleaned_data["rows"] if form.is_valid() else "", salt=SALT, max_age=PREVIEW_LASTS_S)
    except signing.BadSignature:
        raise ValidationError(EXPIRED) from None
    user_id, reason, rows = signed
    if user_id != request.user.pk:
        raise ValidationError(EXPIRED)
    return reason, rows
