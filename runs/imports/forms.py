"""The form of a new import: the file, and what the user chooses."""

from django import forms

from runs.importers import rule
from runs.importers.formats import recognise
from runs.models import Project, Right, Run

ROWS = {"rows": 4, "spellcheck": "false"}
#: Fields that only some files need; the page folds them away.
OF_A_CLUSTER = ("gpus", "cpus", "members", "energy")


class ImportForm(forms.Form):
    """`import_file` may be missing: a script sends large files in parts."""

    project = forms.ModelChoiceField(Project.objects.none(), empty_label=None)
    import_file = forms.FileField(label="File", required=False, help_text=f"{recognise.WHAT_WE_READ}; also as .gz.")
    timezone = forms.CharField(
        label="Time zone of times without an offset", max_length=64, help_text="Such as Europe/Berlin."
    )
    kind = forms.ChoiceField(label="Kind of the runs", choices=Run.Kind.choices, initial=Run.Kind.TRAINING)
    models = forms.CharField(
        label="Which model a run belongs to",
        required=False,
        widget=forms.Textarea(attrs=ROWS | {"placeholder": "train-* = {1}\neval-* = {1} as evaluation\n* = -"}),
        help_text=(
            "A line for each pattern of names: PATTERN = MODEL, where {1} is what the first * stands for. The first "
            "line that matches counts; the model - leaves the run out. Empty: the name is the model."
        ),
    )
    gpus = forms.CharField(
        label="GPUs by their name in the file",
        required=False,
        widget=forms.Textarea(attrs=ROWS | {"placeholder": "a100 = NVIDIA A100 SXM4 80GB"}),
        help_text="Only those that the preview takes for another card, and gpu = NAME where the file has no name.",
    )
    cpus = forms.CharField(
        label="Processor",
        required=False,
        widget=forms.Textarea(attrs=ROWS | {"rows": 2, "placeholder": "AMD EPYC 7763\nold = Intel Xeon Gold 6148"}),
        help_text="Where the file names none, as of SLURM; or PARTITION = PROCESSOR.",
    )
    members = forms.CharField(
        label="Members by their user name",
        required=False,
        widget=forms.Textarea(attrs=ROWS | {"rows": 2, "placeholder": "asmith = alice@example.org"}),
        help_text="Not needed for user names that are the first part of a member’s address.",
    )
    energy = forms.ChoiceField(
        label="If the jobs have SLURM’s own energy, it covers",
        required=False,
        choices=[
            ("cpu", "processors and memory"),
            ("nodes", "whole nodes with their GPUs"),
            ("ignore", "don’t use it"),
        ],
    )

    def __init__(self, request, *args, **options):
        super().__init__(*args, **options)
        self.fields["timezone"].initial = request.user.time_zone
        mine = Project.objects.for_user(request.user, Right.CHANGE_RUNS).select_related("team")
        self.fields["project"].queryset = mine.order_by("team__name", "name")  # type: ignore[attr-defined]
        self.fields["project"].label_from_instance = lambda project: f"{project.team} / {project}"  # type: ignore[attr-defined]
        self.rule = rule.Rule()

    def clean(self):
        data = super().clean() or {}
        given = {name: data[name] for name in rule.Rule.__dataclass_fields__ if data.get(name)}
        try:
            self.rule = rule.parse(given)
        except rule.RuleInvalid as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
        return data

    @property
    def first_fields(self):
        return [field for field in self.visible_fields() if field.name not in OF_A_CLUSTER]

    @property
    def cluster_fields(self):
        return [field for field in self.visible_fields() if field.name in OF_A_CLUSTER]
