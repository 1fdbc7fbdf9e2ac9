"""The door for CodeCarbon's own client: the two requests of its API, and its `emissions_endpoint`.

The client takes only 201 for success, follows redirects wrongly, waits two seconds, and shows people the text of a
refusal and nothing else. What its columns say about a location is not read.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import path, re_path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from runs.api.authentication import TokenAuthentication
from runs.api.codecarbon import recording
from runs.api.fields import Number, Seconds, Text
from runs.api.problems import RunUnknown
from runs.api.refusals import why_unusable
from runs.api.writing import WriteView
from runs.ingest.clock import TOLERANCE
from runs.jobs.silent_ends import end_silent_runs
from runs.models import ApiToken, Device, Run
from runs.models.token import PREFIX
from traceml_agent import estimation, limits

#: What a client sends that was not configured.
NO_TOKEN, NO_EXPERIMENT = "api_key", "5b0fa12a-3dd7-45bb-9766-cc326314d9f1"
#: What one has for a run id that uses an API too.
NO_RUN = "None"
PERCENT = 100.0
#: More CO2e is an error, in kg: sums of what clients calculated stay finite.
MOST_KG = 1e12


class DoorAuthentication(TokenAuthentication):
    """A project's token in CodeCarbon's header, or as any other client sends it."""

    def plain_text(self, request) -> str | None:
        return request.META.get("HTTP_X_API_TOKEN", "").strip() or super().plain_text(request)

    def authenticate(self, request):
        plain_text = self.plain_text(request)
        if not plain_text or plain_text == NO_TOKEN:
            raise exceptions.PermissionDenied(
                f"CodeCarbon sent no token. Set api_key to a token of your project ({PREFIX}…), made at {_start()}."
            )
        try:
            return super().authenticate(request)
        except exceptions.AuthenticationFailed:
            token = ApiToken.objects.issued(plain_text)
            why = why_unusable(token) if token and token.state != "active" else "This token is unknown or has ended."
            raise exceptions.PermissionDenied(f"{why} Tokens are made at {_start()}.") from None


class HookAuthentication(DoorAuthentication):
    """The token in the address, because CodeCarbon's `emissions_endpoint` sends no header. Logs mask it."""

    def plain_text(self, request) -> str | None:
        return request.parser_context["kwargs"]["token"]


def _start() -> str:
    return f"{settings.TRACEML_BASE_URL}/start/"


class CutText(Text):
    """Text that is cut to what fits, or empty: a long name is no reason to lose a run."""

    def __init__(self, **options):
        super().__init__(**{"required": False, "allow_blank": True, "allow_null": True, "default": ""} | options)

    def to_internal_value(self, data):
        return super().to_internal_value(data[: limits.MAX_TEXT] if isinstance(data, str) else str(data))

    def validate_empty_values(self, data):
        is_empty, value = super().validate_empty_values(data)
        return is_empty, "" if value is None else value


class AmountOrNone(Number):
    """A number, 0 or more, or nothing."""

    def __init__(self, **options):
        super().__init__(**{"required": False, "allow_null": True, "min_value": 0.0, "default": None} | options)


class When(serializers.Field):
    """The end of a report by the portal's clock: reports are sent at once, so a clock that is far off is not asked."""

    def to_internal_value(self, data) -> datetime:
        now = timezone.now()
        try:
            at = serializers.DateTimeField().to_internal_value(data)
        except (serializers.ValidationError, OverflowError):
            return now
        return at if abs(at - now) <= TOLERANCE else now


class LocalTime(serializers.Field):
    """A time without its zone, as totals have it: zones differ by quarters of an hour, and totals are sent at once."""

    def to_internal_value(self, data) -> datetime:
        now, quarter = timezone.now(), timedelta(minutes=15)
        try:
            at = datetime.fromisoformat(data).replace(tzinfo=UTC)
            return at - quarter * round((at - now) / quarter)
        except (TypeError, ValueError, OverflowError):
            return now


class RunId(serializers.UUIDField):
    """What was answered to the announcement; the client writes `None` where it has none."""

    def to_internal_value(self, data):
        return None if data == NO_RUN else super().to_internal_value(data)


class FactsSerializer(serializers.Serializer):
    experiment_id = CutText()
    os = CutText()
    python_version = CutText()
    codecarbon_version = CutText()
    tracking_mode = CutText()
    cpu_model = CutText()
    cpu_count = AmountOrNone(max_value=limits.DEVICE_RANGES["threads"][1])
    gpu_model = CutText()
    gpu_count = AmountOrNone()
    ram_total_size = AmountOrNone(max_value=limits.DEVICE_RANGES["memory_gb"][1])


class UsedSerializer(serializers.Serializer):
    """What was used, with energy in kWh; `emissions` may fall where the client followed a grid."""

    run_id = RunId()
    duration = Seconds()
    cpu_energy = AmountOrNone()
    gpu_energy = AmountOrNone()
    ram_energy = AmountOrNone()
    energy_consumed = AmountOrNone()
    cpu_utilization_percent = AmountOrNone(max_value=PERCENT)
    gpu_utilization_percent = AmountOrNone(max_value=PERCENT)
    ram_utilization_percent = AmountOrNone(max_value=PERCENT)

    def validate(self, attrs):
        most_kwh = estimation.energy_kwh(limits.MAX_POWER_W * max(attrs["duration"], 1.0))
        for name in ("cpu_energy", "gpu_energy", "ram_energy", "energy_consumed"):
            if (attrs[name] or 0.0) > most_kwh:
                raise serializers.ValidationError({name: "is more than 1 MW over the duration"})
        return attrs


class DifferenceSerializer(UsedSerializer):
    timestamp = When(required=False, default=timezone.now)
    emissions_sum = AmountOrNone(min_value=-MOST_KG, max_value=MOST_KG)


class TotalSerializer(UsedSerializer, FactsSerializer):
    run_id = RunId(required=False, allow_null=True, default=None)
    timestamp = LocalTime(required=False, default=timezone.now)
    project_name = CutText()
    emissions = AmountOrNone(min_value=-MOST_KG, max_value=MOST_KG)


def _report(data: dict, at: datetime, emissions: str, body_sha256: str) -> recording.Report:
    kinds = {Device.Kind.CPU: "cpu", Device.Kind.GPU: "gpu", Device.Kind.RAM: "ram"}
    energy_kwh = {kind: data[f"{name}_energy"] or 0.0 for kind, name in kinds.items()}
    busy = {kind: data[f"{name}_utilization_percent"] for kind, name in kinds.items()}
    return recording.Report(
        at=at,
        duration_s=data["duration"],
        energy_kwh={str(kind): kwh for kind, kwh in energy_kwh.items()},
        utilisation={str(kind): value / PERCENT for kind, value in busy.items() if value is not None},
        reported_kwh=sum(energy_kwh.values()) if data["energy_consumed"] is None else data["energy_consumed"],
        reported_kg=data[emissions] or 0.0,
        digest=body_sha256,
    )


class DoorView(WriteView):
    authentication_classes = [DoorAuthentication]
    scopes = {"POST": ApiToken.Scope.INGEST}

    def taken(self, run: Run) -> Response:
        return self.answer(run, "stored", 201)


@extend_schema(exclude=True)
class AnnounceView(DoorView):
    def post(self, request):
        """Announce a run of the model that `experiment_id` names."""
        facts = self.checked(FactsSerializer)
        facts["model"] = facts.pop("experiment_id")
        if facts["model"] in ("", NO_EXPERIMENT):
            raise exceptions.PermissionDenied(
                "CodeCarbon sent no experiment. Set experiment_id to the name of your model, such as resnet50."
            )
        end_silent_runs(request.auth.project)
        return Response({"id": str(recording.announce(request.auth.project, facts))}, status=201)


@extend_schema(exclude=True)
class EmissionsView(DoorView):
    def post(self, request):
        """Add what a run used since its last report."""
        data = self.checked(DifferenceSerializer)
        report = _report(data, data["timestamp"], "emissions_sum", request.body_sha256)
        run_id: UUID = data["run_id"] or UUID(int=0)
        try:
            return self.taken(recording.record_difference(request.auth.project, run_id, report, request.auth.member_id))
        except Run.DoesNotExist:
            raise RunUnknown("This project has no CodeCarbon run with this id.") from None


@extend_schema(exclude=True)
class HookView(DoorView):
    authentication_classes = [HookAuthentication]

    def post(self, request, token):
        """Store what a run used since its start."""
        data = self.checked(TotalSerializer)
        named = data["experiment_id"] if data["experiment_id"] != NO_EXPERIMENT else ""
        facts: Any = {name: data[name] for name in FactsSerializer().fields if name != "experiment_id"}
        facts["model"] = named or data["project_name"] or recording.SOURCE
        report = _report(data, data["timestamp"], "emissions", request.body_sha256)
        try:
            return self.taken(
                recording.record_total(request.auth.project, data["run_id"], facts, report, request.auth.member_id)
            )
        except Run.DoesNotExist:
            raise RunUnknown("The run with this id was not recorded by CodeCarbon.") from None


#: The client puts its own slash behind an address that ends with one.
urlpatterns = [
    re_path(r"^codecarbon/+runs/?\Z", AnnounceView.as_view(), name="codecarbon-runs"),
    re_path(r"^codecarbon/+emissions/?\Z", EmissionsView.as_view(), name="codecarbon-emissions"),
    path("hooks/codecarbon/<str:token>", HookView.as_view(), name="codecarbon-hook"),
    path("hooks/codecarbon/<str:token>/", HookView.as_view(), name="codecarbon-hook"),
]
