"""Profiles as a CSV file, out of the admin and in again with a preview; all of a file is taken, or nothing."""

from django import forms
from django.core.exceptions import ValidationError
from import_export import fields, resources
from import_export.formats import base_formats
from import_export.forms import ImportForm

from hardware.models import HardwareAlias, HardwareProfile, alias_key

FORMATS = [base_formats.CSV]
MAX_FILE_BYTES = 4 * 1024 * 1024
#: Columns that a file has to have; what it leaves out of the others stays as it is.
NEEDED = ("slug",)
COLUMNS = [
    field.name
    for field in HardwareProfile._meta.concrete_fields
    if field.name not in ("id", "edited", "revision", "created_at", "updated_at")
]


class ProfileImportForm(ImportForm):
    """The file to import, which is refused before anything is read of it where it is too large."""

    def clean_import_file(self):
        file = self.cleaned_data["import_file"]
        if file.size > MAX_FILE_BYTES:
            raise forms.ValidationError(f"The file is larger than {MAX_FILE_BYTES // 1024**2} MiB; split it.")
        return file


class ProfileResource(resources.ModelResource):
    """A row a profile, told apart by its slug; its aliases stand in one column, separated by `|`."""

    aliases = fields.Field(column_name="aliases")

    class Meta:
        model = HardwareProfile
        fields = [*COLUMNS, "aliases"]
        import_id_fields = ["slug"]
        clean_model_instances = True
        use_transactions = True
        skip_unchanged = False
        report_skipped = True
        export_order = [*COLUMNS, "aliases"]

    def before_import(self, dataset, **kwargs):
        missing = [name for name in NEEDED if name not in (dataset.headers or [])]
        unknown = [name for name in dataset.headers or [] if name not in self._meta.fields]
        if missing or unknown:
            raise ValidationError(
                f"The column {(missing or unknown)[0]} {'is missing' if missing else 'is none of a profile'}. "
                f"Columns are: {', '.join(self._meta.fields)}."
            )

    def dehydrate_aliases(self, profile) -> str:
        return "|".join(sorted(alias.name for alias in profile.aliases.all()))

    def get_queryset(self):
        return super().get_queryset().prefetch_related("aliases")

    def before_save_instance(self, instance, row, **kwargs):
        """What an admin imports is an admin's edit, which a reload of the seed data leaves alone."""
        instance.edited = True
        instance._change_reason = f"Imported from {kwargs.get('file_name') or 'a file'}."

    def after_save_instance(self, instance, row, **kwargs):
        """Bring the aliases in step with the row, where the file has that column."""
        if "aliases" not in row:
            return
        wanted = {alias_key(name): name.strip() for name in (row["aliases"] or "").split("|") if name.strip()}
        known = {alias.key: alias for alias in instance.aliases.all()}
        for key in known.keys() - wanted.keys():
            known[key].delete()
        for key in wanted.keys() - known.keys():
            alias = HardwareAlias(profile=instance, name=wanted[key])
            alias.full_clean(exclude=["kind", "key"])
            alias.save()
