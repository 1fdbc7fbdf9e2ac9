"""Response formats of the reading API."""

from django.db.models import Sum
from rest_framework import serializers

from hardware.models import HardwareProfile
from runs.models import Call, Device, EmissionFactor, Metric, Pue, Run, Stage, TrackedModel
from runs.models.run import SHARES

#: Sums over daily totals, which may be taken over any of their rows.
SUMS = {
    name: Sum(column, default=0)
    for name, column in {
        "run_count": "runs",
        "total_energy_kwh": "energy_kwh",
        "total_emissions_kg": "emissions_kg",
        "total_measured_kwh": "measured_kwh",
        "total_device_s": "carrying_s",
    }.items()
}

_SUM_PROPERTIES = {name: {"type": "number"} for name in SUMS}
_SUM = {"type": "object", "properties": _SUM_PROPERTIES}
SUMMARY = {
    "type": "object",
    "properties": {
        "project": {"type": "string"},
        "total": _SUM,
        "by_kind": {"type": "array", "items": _SUM},
        "by_day": {"type": "array", "items": _SUM},
    },
}
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


class FactorInForceSerializer(FactorSerializer):
    pue = serializers.SerializerMethodField(help_text="The PUE in force, by which energy is multiplied first.")

    class Meta(FactorSerializer.Meta):
        fields = [*FactorSerializer.Meta.fields, "pue"]

    def get_pue(self, factor) -> float:
        return Pue.objects.active().value


class RunSummarySerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="tracked_model.name")
    model_slug = serializers.CharField(source="tracked_model.slug")
    state = serializers.CharField()
    measured_share = serializers.FloatField()

    class Meta:
        model = Run
        fields = [
            "run_id",
            "model",
            "model_slug",
            "kind",
            "name",
            "tags",
            "state",
            "started_at",
            "ended_at",
            "received_at",
            "duration_s",
            "energy_kwh",
            "energy_low_kwh",
            "energy_high_kwh",
            "emissions_kg",
            "measured_share",
            "shared_kwh",
        ]


class DeviceFiguresSerializer(serializers.ModelSerializer):
    profile = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    writer = serializers.CharField(source="writer.key")
    energy_measured_j = serializers.FloatField(source="energy_j")

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


class CallFiguresSerializer(serializers.ModelSerializer):
    class Meta:
        model = Call
        fields = ["method", "calls", "items", "busy_s"]


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
    calls = CallFiguresSerializer(many=True)
    metrics = MetricFiguresSerializer(many=True)
    left_out = LeftOutFiguresSerializer(many=True, source="left_out_in_all")
    overlaps = OverlapFiguresSerializer(many=True, source="overlapping")
    factor = FactorSerializer()

    class Meta(RunSummarySerializer.Meta):
        fields = [
            *RunSummarySerializer.Meta.fields,
            "exception",
            "params",
            "environment",
            "agent_version",
            "clock_skew_s",
            "dropped_records",
            "left_out",
            "overlaps",
            "pue",
            "factor",
            "devices",
            "stages",
            "calls",
            "metrics",
        ]


class ModelSummarySerializer(serializers.ModelSerializer):
    runs = serializers.IntegerField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()

    class Meta:
        model = TrackedModel
        fields = ["name", "slug", "created_at", "runs", "energy_kwh", "emissions_kg"]


class ModelWholeSerializer(ModelSummarySerializer):
    by_kind = serializers.SerializerMethodField()

    class Meta(ModelSummarySerializer.Meta):
        fields = [*ModelSummarySerializer.Meta.fields, "by_kind"]

    def get_by_kind(self, model) -> list[dict]:
        return list(model.dailyusage_set.values("kind").annotate(**SUMS).order_by("kind"))


class HardwareSerializer(serializers.ModelSerializer):
    aliases = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)

    class Meta:
        model = HardwareProfile
        fields = [
            "slug",
            "vendor",
            "name",
            "kind",
            "family",
            "form_factor",
            "memory_gb",
            "cores",
            "threads",
            "tdp_w",
            "idle_w",
            "full_load_w",
            "peak_tflops",
            "bf16_tflops",
            "fp8_tflops",
            "memory_gb_per_s",
            "peaks_source",
            "unit",
            "fallback",
            "year",
            "source",
            "confidence",
            "note",
            "revision",
            "aliases",
        ]
