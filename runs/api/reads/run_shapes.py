"""Response formats of runs."""

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.figures.units import STORED
from runs.figures.use import call_rows
from runs.models import Device, EmissionFactor, Metric, Run, RunRevision, Stage
from runs.models.run import SHARES
from runs.selection.choices import asks_for_member

#: What a list leaves out unless asked: rows are wide.
ON_DEMAND = ("params", "environment", "metrics")
_COLUMN = {"type": "array", "items": {"type": "number", "nullable": True}}
SERIES = {
    "type": "object",
    "properties": {
        "run_id": {"type": "string", "format": "uuid"},
        "devices": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"device": {"type": "string"}}
                | dict.fromkeys(("t_s", "elapsed_s", "busy_s", "energy_j"), _COLUMN),
            },
        },
    },
}


class FactorSerializer(serializers.ModelSerializer):
    class Meta:
        model = EmissionFactor
        fields = ["kg_per_kwh", "year", "source", "url", "valid_from"]


class RunSummarySerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="tracked_model.name")
    model_slug = serializers.CharField(source="tracked_model.slug")
    tags = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField(help_text="As pages show it: `lost` where a run fell silent.")
    measured_share = serializers.FloatField()
    emissions_low_kg = serializers.FloatField()
    emissions_high_kg = serializers.FloatField()
    mean_power_w = serializers.FloatField()
    hardware = serializers.ListField(
        child=serializers.CharField(), help_text="Slugs of its accelerators, else processors."
    )
    member = serializers.SerializerMethodField(help_text="Id of a person, `team`, `ci`, or `0` for nobody.")
    url = serializers.SerializerMethodField(help_text="Its page.")

    class Meta:
        model = Run
        fields = [
            "run_id",
            "model",
            "model_slug",
            "kind",
            "name",
            "tags",
            "source",
            "state",
            "started_at",
            "ended_at",
            "received_at",
            "duration_s",
            "energy_kwh",
            "energy_low_kwh",
            "energy_high_kwh",
            "emissions_kg",
            "emissions_low_kg",
            "emissions_high_kg",
            "measured_share",
            "modelled_kwh",
            "mean_power_w",
            "idle_kwh",
            "shared_kwh",
            "hardware",
            "member",
            "archived_at",
            "url",
        ]

    def get_member(self, run) -> str:
        return asks_for_member(run.member_id)

    def get_url(self, run) -> str:
        return f"{settings.TRACEML_BASE_URL}/runs/{run.run_id}/"


class DeviceFiguresSerializer(serializers.ModelSerializer):
    profile = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    writer = serializers.CharField(source="writer.key")
    energy_measured_j = serializers.FloatField(source="energy_j", allow_null=True)

    class Meta:
        model = Device
        fields = [
            "key",
            "writer",
            "kind",
            "name",
            "uuid",
            "method",
            "note",
            "profile",
            "matched_by",
            "basis",
            "counted",
            "cores",
            "threads",
            "memory_gb",
            "share",
            "elapsed_s",
            "busy_s",
            "energy_measured_j",
            "energy_kwh",
            "energy_low_kwh",
            "energy_high_kwh",
            "held_s",
            "shared_kwh",
        ]


class StageFiguresSerializer(serializers.ModelSerializer):
    class Meta:
        model = Stage
        fields = ["key", "name", "parent", "start_s", "end_s", "total"]


class CallFiguresSerializer(serializers.Serializer):
    """Calls of a method or an endpoint, over all processes of the run."""

    method = serializers.CharField()
    calls = serializers.IntegerField()
    items = serializers.IntegerField()
    busy_s = serializers.FloatField()
    energy_kwh = serializers.FloatField(allow_null=True, help_text="Its share of the run's time; null if too short.")


class RevisionSerializer(serializers.ModelSerializer):
    """Figures of the run before a recalculation."""

    reason = serializers.CharField(source="reestimation.reason")

    class Meta:
        model = RunRevision
        fields = ["replaced_at", "reason", "energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "pue"]


class MetricFiguresSerializer(serializers.ModelSerializer):
    """`last_at` is by the clock of the process that logged it. `best` is `lowest` where `lower_is_better`: as the name
    says, or as the team chose. `total` is the sum of useful work (`samples`, `tokens`), else 0. `count` is null for
    what was logged before it was counted."""

    best = serializers.FloatField()
    lower_is_better = serializers.BooleanField(source="lower")

    class Meta:
        model = Metric
        fields = ["name", "last", "last_at", "best", "lowest", "highest", "lower_is_better", "count", "total"]


class LoggedValueSerializer(serializers.Serializer):
    writer = serializers.CharField(help_text="Key of the process that logged it.")
    at_s = serializers.FloatField(help_text="Seconds since the run's start.")
    metric = serializers.CharField()
    value = serializers.FloatField()


class LoggedValuesSerializer(serializers.Serializer):
    run_id = serializers.UUIDField()
    next = serializers.URLField(allow_null=True, help_text="The next page, null on the last one.")
    series_removed_at = serializers.DateTimeField(
        allow_null=True, help_text="When retention deleted the values; the run's figures are kept."
    )
    results = LoggedValueSerializer(many=True)


class LeftOutFiguresSerializer(serializers.Serializer):
    what = serializers.CharField()
    reason = serializers.CharField()
    count = serializers.IntegerField()


class OverlapFiguresSerializer(serializers.Serializer):
    """Another run that measured the same thing at the same time."""

    run_id = serializers.UUIDField()
    shares = serializers.ChoiceField(SHARES)


class RunWholeSerializer(RunSummarySerializer):
    devices = DeviceFiguresSerializer(many=True)
    stages = StageFiguresSerializer(many=True)
    calls = serializers.SerializerMethodField()
    metrics = MetricFiguresSerializer(many=True)
    left_out = LeftOutFiguresSerializer(many=True, source="left_out_in_all")
    overlaps = OverlapFiguresSerializer(many=True, source="overlapping")
    revisions = RevisionSerializer(many=True)
    factor = FactorSerializer()

    class Meta(RunSummarySerializer.Meta):
        fields = [
            *RunSummarySerializer.Meta.fields,
            "exception",
            "notes",
            "params",
            "environment",
            "agent_version",
            "clock_skew_s",
            "dropped_records",
            "left_out",
            "overlaps",
            "pue",
            "pue_included",
            "source_version",
            "reported_kwh",
            "reported_kg",
            "factor",
            "devices",
            "stages",
            "calls",
            "metrics",
            "revisions",
        ]

    @extend_schema_field(CallFiguresSerializer(many=True))
    def get_calls(self, run):
        return CallFiguresSerializer(call_rows(run), many=True).data


class RunListedSerializer(RunSummarySerializer):
    """`params`, `environment` and `metrics` are only there if the query's `include` names them."""

    metrics = MetricFiguresSerializer(many=True, required=False)

    class Meta(RunSummarySerializer.Meta):
        fields = [*RunSummarySerializer.Meta.fields, "exception", "params", "environment", "metrics"]
        extra_kwargs = {name: {"required": False} for name in ("params", "environment")}

    def get_fields(self):
        fields = super().get_fields()
        included = self.context.get("include")
        if included is None:  # for the document, which tells of all
            return fields
        return {name: field for name, field in fields.items() if name not in ON_DEMAND or name in included}


class SpreadSerializer(serializers.Serializer):
    """A sum that counts each joule once, and mean and standard deviation (null for one run) of whole runs."""

    sum = serializers.FloatField()
    mean = serializers.FloatField()
    sd = serializers.FloatField(allow_null=True)


class GroupDifferenceSerializer(serializers.Serializer):
    """How far a group's mean energy is from the base group's, by Welch's test, with p adjusted by Holm."""

    energy_kwh = serializers.FloatField()
    word = serializers.CharField(help_text="`less` or `more`.")
    share = serializers.FloatField(allow_null=True)
    p = serializers.FloatField(allow_null=True)
    is_significant = serializers.BooleanField()


class RunGroupSerializer(serializers.Serializer):
    key = serializers.CharField(allow_blank=True)
    label = serializers.CharField(allow_blank=True)
    runs = serializers.IntegerField()
    energy_kwh = SpreadSerializer(source="energy")
    emissions_kg = SpreadSerializer(source="emissions")
    mean_duration_s = serializers.FloatField()
    difference = serializers.SerializerMethodField()

    @extend_schema_field(GroupDifferenceSerializer(allow_null=True))
    def get_difference(self, group):
        found = self.context.get("differences", {}).get(group.key)
        return GroupDifferenceSerializer(found).data if found else None


class RunTotalsSerializer(serializers.Serializer):
    runs = serializers.IntegerField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()
    by = serializers.CharField(allow_blank=True)
    group_count = serializers.IntegerField(help_text="Of these, at most 200 are in `groups`.")
    groups = RunGroupSerializer(many=True)


class StageRowSerializer(serializers.Serializer):
    key = serializers.CharField(source="stage.key")
    name = serializers.CharField(source="stage.name")
    parent = serializers.CharField(source="stage.parent", allow_blank=True)
    writer = serializers.CharField(source="stage.writer.key")
    start_s = serializers.FloatField(help_text="Seconds since the run's start.")
    end_s = serializers.FloatField()
    energy_kwh = serializers.FloatField(allow_null=True)
    mean_power_w = serializers.FloatField(allow_null=True)
    metrics = serializers.SerializerMethodField(help_text="The last value of each metric logged during it.")

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}})
    def get_metrics(self, row):
        return {name: value for name, value in row.logged if value is not None}


class RunStagesSerializer(serializers.Serializer):
    run_id = serializers.UUIDField()
    results = StageRowSerializer(many=True)


class ComparedFigureSerializer(serializers.Serializer):
    """A figure of every run, in their order; null where a run lacks it. Without `low` and `high` it has no range."""

    figure = serializers.CharField(source="word")
    unit = serializers.SerializerMethodField()
    better = serializers.CharField(allow_null=True, help_text="`lower` or `higher` where the figure does not imply it.")
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))
    low = serializers.ListField(child=serializers.FloatField(), source="lows", allow_null=True)
    high = serializers.ListField(child=serializers.FloatField(), source="highs", allow_null=True)

    def get_unit(self, row) -> str:
        return STORED[row.quantity].symbol


class ComparedParamSerializer(serializers.Serializer):
    key = serializers.CharField()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True))
    differs = serializers.BooleanField()


class ComparisonSerializer(serializers.Serializer):
    runs = serializers.ListField(child=serializers.UUIDField())
    names = serializers.ListField(child=serializers.CharField())
    hardware = serializers.ListField(child=serializers.CharField(allow_blank=True))
    figures = ComparedFigureSerializer(many=True)
    params = ComparedParamSerializer(many=True)
