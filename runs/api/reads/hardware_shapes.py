"""Response formats of the catalogue, the emission factor, plans, and the token's project."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hardware.changes import history_of
from hardware.models import HardwareProfile
from runs.api.reads.run_shapes import FactorSerializer
from runs.models import ApiToken, Pue
from traceml_agent import estimation


class FactorInForceSerializer(FactorSerializer):
    pue = serializers.SerializerMethodField(help_text="The PUE in force, by which energy is multiplied first.")

    class Meta(FactorSerializer.Meta):
        fields = [*FactorSerializer.Meta.fields, "pue"]

    def get_pue(self, factor) -> float:
        return Pue.objects.active().value


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


class SeenHardwareSerializer(serializers.Serializer):
    """The use of a profile in the project; `mean_power_w` is null for profiles of a core or a gigabyte."""

    device_s = serializers.FloatField()
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()
    measured_share = serializers.FloatField()
    mean_power_w = serializers.FloatField(allow_null=True)


class ProfileChangeSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    reason = serializers.CharField(allow_blank=True)
    words = serializers.CharField()


class HardwareWholeSerializer(HardwareSerializer):
    estimated_idle_w = serializers.SerializerMethodField(help_text="What estimates use, where `idle_w` is null too.")
    estimated_full_load_w = serializers.SerializerMethodField(help_text="The same at full load.")
    seen = SeenHardwareSerializer(allow_null=True, help_text="Null without the scope `read`.")
    changes = serializers.SerializerMethodField()

    class Meta(HardwareSerializer.Meta):
        fields = [*HardwareSerializer.Meta.fields, "estimated_idle_w", "estimated_full_load_w", "seen", "changes"]

    def get_estimated_idle_w(self, profile) -> float:
        return estimation.idle_power_w(profile)

    def get_estimated_full_load_w(self, profile) -> float:
        return estimation.full_load_power_w(profile)

    @extend_schema_field(ProfileChangeSerializer(many=True))
    def get_changes(self, profile):
        return ProfileChangeSerializer(history_of(profile), many=True).data


class PlanRowSerializer(serializers.Serializer):
    """Figures are null where they can't be estimated; `assumption` says why, or what they rest on."""

    name = serializers.CharField()
    hardware = serializers.CharField(source="profile.slug", default=None, allow_null=True)
    number = serializers.FloatField()
    assumption = serializers.CharField()
    hours = serializers.FloatField(allow_null=True)
    power_w = serializers.FloatField(allow_null=True)
    energy_kwh = serializers.FloatField(allow_null=True)
    energy_low_kwh = serializers.FloatField(allow_null=True)
    energy_high_kwh = serializers.FloatField(allow_null=True)
    emissions_kg = serializers.FloatField(allow_null=True)
    emissions_low_kg = serializers.FloatField(allow_null=True)
    emissions_high_kg = serializers.FloatField(allow_null=True)


class PlanSerializer(serializers.Serializer):
    rows = PlanRowSerializer(many=True)


class ProjectSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="project.name")
    slug = serializers.CharField(source="project.slug")
    team = serializers.CharField(source="project.team.name")
    keep_series_days = serializers.IntegerField(source="project.keep_series_days", allow_null=True)

    class Meta:
        model = ApiToken
        fields = ["name", "slug", "team", "keep_series_days", "scopes", "expires_at"]
