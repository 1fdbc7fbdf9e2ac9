"""Response formats of totals and models."""

from django.conf import settings
from django.db.models import Sum
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.models import TrackedModel

#: Sums over daily totals, which may be taken over any of their rows.
SUMS = {
    name: Sum(column, default=0)
    for name, column in {
        "run_count": "runs",
        "total_duration_s": "duration_s",
        "total_energy_kwh": "energy_kwh",
        "total_energy_low_kwh": "energy_low_kwh",
        "total_energy_high_kwh": "energy_high_kwh",
        "total_emissions_kg": "emissions_kg",
        "total_measured_kwh": "measured_kwh",
        "total_modelled_kwh": "modelled_kwh",
        "total_device_s": "carrying_s",
        "total_failed_kwh": "failed_kwh",
        "total_cancelled_kwh": "cancelled_kwh",
        "total_idle_kwh": "idle_kwh",
    }.items()
}
#: Sums that rows by hardware don't have: a run may use several.
OF_RUNS = ("run_count", "total_duration_s")


class SumsSerializer(serializers.Serializer):
    """Sums over daily totals. `total_device_s` is time of accelerators, or of processors in runs without any."""

    run_count = serializers.IntegerField()
    total_duration_s = serializers.FloatField()
    total_energy_kwh = serializers.FloatField()
    total_energy_low_kwh = serializers.FloatField()
    total_energy_high_kwh = serializers.FloatField()
    total_emissions_kg = serializers.FloatField()
    total_measured_kwh = serializers.FloatField()
    total_modelled_kwh = serializers.FloatField()
    total_device_s = serializers.FloatField()
    total_failed_kwh = serializers.FloatField()
    total_cancelled_kwh = serializers.FloatField()
    total_idle_kwh = serializers.FloatField()


class SumsOfKindSerializer(SumsSerializer):
    kind = serializers.CharField()


class SumsOfDaySerializer(SumsSerializer):
    day = serializers.DateField()


class WasteRowSerializer(serializers.Serializer):
    what = serializers.CharField(source="name")
    words = serializers.CharField()
    energy_kwh = serializers.FloatField(source="kwh")
    share = serializers.FloatField(help_text="Of the period's energy.")
    state = serializers.CharField(allow_blank=True, help_text="Selects its runs in the list of runs.")
    is_part = serializers.BooleanField(help_text="Whether it is part of the last row that is not itself a part.")


class EquivalentSerializer(serializers.Serializer):
    name = serializers.CharField()
    amount = serializers.FloatField()
    explained = serializers.CharField()
    source = serializers.CharField()
    year = serializers.IntegerField()
    url = serializers.URLField()


class SummarySerializer(serializers.Serializer):
    project = serializers.CharField()
    since = serializers.DateField(allow_null=True)
    until = serializers.DateField()
    total = SumsSerializer()
    compared = SumsSerializer(allow_null=True, help_text="The finished days of the period.")
    previous = SumsSerializer(allow_null=True, help_text="As many days before it.")
    by_kind = SumsOfKindSerializer(many=True)
    by_day = SumsOfDaySerializer(many=True)
    waste = WasteRowSerializer(many=True)
    equivalents = EquivalentSerializer(many=True)


class UsageRowSerializer(SumsSerializer):
    """The columns that `by` names, and the sums. Rows by hardware have no `run_count` and `total_duration_s`."""

    run_count = serializers.IntegerField(required=False)
    total_duration_s = serializers.FloatField(required=False)
    day = serializers.DateField(required=False)
    model = serializers.CharField(required=False)
    model_name = serializers.CharField(required=False)
    kind = serializers.CharField(required=False)
    member = serializers.CharField(required=False)
    member_name = serializers.CharField(required=False)
    hardware = serializers.CharField(required=False)
    hardware_name = serializers.CharField(required=False, allow_null=True, help_text="Null for a deleted profile.")
    device_kind = serializers.CharField(required=False)
    tag = serializers.CharField(required=False)


class UsageSerializer(serializers.Serializer):
    by = serializers.ListField(child=serializers.CharField())
    since = serializers.DateField(allow_null=True)
    until = serializers.DateField()
    next = serializers.URLField(allow_null=True)
    results = UsageRowSerializer(many=True)


class ModelSummarySerializer(serializers.ModelSerializer):
    runs = serializers.IntegerField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()

    class Meta:
        model = TrackedModel
        fields = ["name", "slug", "created_at", "runs", "energy_kwh", "emissions_kg"]


class FootprintSerializer(serializers.Serializer):
    """What some runs used together."""

    runs = serializers.IntegerField()
    duration_s = serializers.FloatField()
    device_s = serializers.FloatField(source="carrying_s", help_text="Of accelerators, else of processors.")
    energy_kwh = serializers.FloatField()
    energy_low_kwh = serializers.FloatField()
    energy_high_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()
    emissions_low_kg = serializers.FloatField()
    emissions_high_kg = serializers.FloatField()
    measured_share = serializers.FloatField()
    idle_kwh = serializers.FloatField()


class FinalRunSerializer(serializers.Serializer):
    """A run that the model came out of."""

    run_id = serializers.UUIDField()
    kind = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField()
    duration_s = serializers.FloatField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()


class ModelWasteSerializer(serializers.Serializer):
    """Training and evaluation runs that failed, were cancelled or lost."""

    runs = serializers.IntegerField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()


class PredictionsSerializer(serializers.Serializer):
    counted = serializers.IntegerField()
    counted_by = serializers.ListField(child=serializers.CharField(), source="sources")
    kwh_per_1000 = serializers.FloatField(allow_null=True)
    kg_per_1000 = serializers.FloatField(allow_null=True)
    low_kg_per_1000 = serializers.FloatField(allow_null=True)
    high_kg_per_1000 = serializers.FloatField(allow_null=True)


class ServedSerializer(serializers.Serializer):
    """Requests and tokens that inference runs counted. Tokens are those of answers."""

    requests = serializers.FloatField()
    kwh_per_1000_requests = serializers.FloatField(allow_null=True)
    kg_per_1000_requests = serializers.FloatField(allow_null=True)
    tokens = serializers.FloatField()
    prompt_tokens = serializers.FloatField()
    j_per_token = serializers.FloatField(allow_null=True)
    low_j_per_token = serializers.FloatField(allow_null=True)
    high_j_per_token = serializers.FloatField(allow_null=True)


class BreakEvenSerializer(serializers.Serializer):
    """When inference overtakes training."""

    state = serializers.CharField()
    sentence = serializers.CharField()
    done_share = serializers.FloatField(help_text="Emissions of inference as a share of those of training.")
    day = serializers.DateField(allow_null=True)
    predictions_needed = serializers.FloatField(source="needed", allow_null=True)
    predictions_a_day = serializers.FloatField(source="a_day", allow_null=True)


class ModelHardwareSerializer(serializers.Serializer):
    hardware = serializers.CharField(source="slug")
    name = serializers.CharField(allow_blank=True)
    device_kind = serializers.CharField()
    device_s = serializers.FloatField()
    energy_kwh = serializers.FloatField()
    share = serializers.FloatField(help_text="Of the model's energy.")


class MovedSerializer(serializers.Serializer):
    """A recalculation, and by how much it changed the model's figures."""

    at = serializers.DateTimeField()
    reason = serializers.CharField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()


class ModelPartsSerializer(serializers.Serializer):
    """The parts of a model's life; `training` is all attempts."""

    training = FootprintSerializer()
    evaluation = FootprintSerializer()
    inference = FootprintSerializer()
    other = FootprintSerializer()
    whole_life = FootprintSerializer()


class ModelWholeSerializer(ModelSummarySerializer):
    by_kind = serializers.SerializerMethodField()
    parts = serializers.SerializerMethodField()
    final_runs = FinalRunSerializer(many=True, source="finals")
    waste = ModelWasteSerializer(source="wasted")
    predictions = PredictionsSerializer()
    served = ServedSerializer()
    break_even = BreakEvenSerializer()
    hardware = ModelHardwareSerializer(many=True, source="life.hardware")
    recalculations = MovedSerializer(many=True, source="corrections")
    url = serializers.SerializerMethodField(help_text="Its page.")

    class Meta(ModelSummarySerializer.Meta):
        fields = [
            *ModelSummarySerializer.Meta.fields,
            "notes",
            "by_kind",
            "parts",
            "final_runs",
            "waste",
            "predictions",
            "served",
            "break_even",
            "hardware",
            "recalculations",
            "url",
        ]

    @extend_schema_field(SumsOfKindSerializer(many=True))
    def get_by_kind(self, model):
        return SumsOfKindSerializer(
            model.monthlyusage_set.values("kind").annotate(**SUMS).order_by("kind"), many=True
        ).data

    @extend_schema_field(ModelPartsSerializer)
    def get_parts(self, model):
        parts = {"evaluation": model.life.of("evaluation"), "other": model.life.of("other")}
        parts |= {"training": model.life.training, "inference": model.life.inference, "whole_life": model.life.total}
        return ModelPartsSerializer(parts).data

    def get_url(self, model) -> str:
        return f"{settings.TRACEML_BASE_URL}/models/{model.project.slug}/{model.slug}/"
