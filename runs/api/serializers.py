"""Validation of uploads: serializers that refuse invalid input. Meaning of the fields: docs/wire.md."""

from typing import ClassVar

from rest_framework import serializers

from runs.api.fields import Metadata, Number, Samples, Seconds, Tags, Text
from runs.models import Device, Run
from runs.models.run import SHARES
from traceml_agent import estimation
from traceml_agent.limits import (
    DEVICE_RANGES,
    KEY_PATTERN,
    MAX_COUNT,
    MAX_DEVICES,
    MAX_LEFT_OUT,
    MAX_NOTE,
    MAX_OVERLAPS,
    MAX_ROWS,
    MAX_TOTAL,
    MAX_UUID,
)

FINISHED = [Run.Status.COMPLETED, Run.Status.FAILED, Run.Status.CANCELLED, Run.Status.STOPPED]


def device_number(name: str, **options) -> Number:
    low, high = DEVICE_RANGES[name]
    return Number(required=False, min_value=low, max_value=high, **options)


class Descriptions(serializers.ListSerializer):
    """Descriptions of devices. Agents repeat them with each batch, and what was valid is valid again."""

    #: Descriptions by their text, how many are remembered, and how long a text may be.
    _valid: ClassVar[dict[str, list]] = {}
    MOST, LONGEST = 500, 20_000

    def run_validation(self, data=serializers.empty):
        if not data or data is serializers.empty:
            return super().run_validation(data)
        text = repr(data)
        found = self._valid.get(text)
        if found is None:
            found = super().run_validation(data)
            if len(self._valid) >= self.MOST:
                self._valid.clear()
            if len(text) <= self.LONGEST:
                self._valid[text] = found
        return found


class DeviceFactsSerializer(serializers.Serializer):
    key = serializers.RegexField(KEY_PATTERN)
    kind = serializers.ChoiceField(Device.Kind.choices)
    name = Text()
    uuid = Text(required=False, allow_blank=True, max_length=MAX_UUID)
    basis = serializers.ChoiceField(estimation.GIVEN, required=False, allow_blank=True, source="measured_by")
    cores = device_number("cores", allow_null=True)
    threads = device_number("threads", allow_null=True)
    host_cores = device_number("host_cores", allow_null=True)
    host_threads = device_number("host_threads", allow_null=True)
    memory_gb = device_number("memory_gb", allow_null=True)
    share = device_number("share")
    power_limit_w = device_number("power_limit_w", allow_null=True)
    range_low = device_number("range_low", allow_null=True)
    range_high = device_number("range_high", allow_null=True)
    method = Text(required=False, allow_blank=True)
    note = Text(required=False, allow_blank=True, max_length=MAX_NOTE)

    class Meta:
        list_serializer_class = Descriptions


class FromWriterSerializer(serializers.Serializer):
    """Fields about the sender in every upload."""

    writer = serializers.RegexField(KEY_PATTERN, required=False)
    # Times may be those of a wrong clock: runs.ingest.clock puts them right by sent_at, or refuses them.
    writer_started_at = serializers.DateTimeField(required=False)
    host = Text(required=False, allow_blank=True)
    sent_at = serializers.DateTimeField(required=False)
    devices = DeviceFactsSerializer(many=True, required=False, default=list, max_length=MAX_DEVICES)


class HeaderSerializer(FromWriterSerializer):
    model = Text()
    kind = serializers.ChoiceField(Run.Kind.choices, default=Run.Kind.TRAINING)
    name = Text(required=False, allow_blank=True)
    started_at = serializers.DateTimeField()
    rank = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**31 - 1)
    agent_version = Text(required=False, allow_blank=True, max_length=64)
    flush_s = Number(default=30.0, min_value=1.0, max_value=86_400.0)
    tags = Tags(required=False)
    params = Metadata(required=False)
    environment = Metadata(required=False)


class StageFactsSerializer(serializers.Serializer):
    id = serializers.RegexField(KEY_PATTERN)
    name = Text()
    parent = Text(allow_blank=True, default="", max_length=64)
    start_s = Seconds()
    end_s = Seconds(allow_null=True, default=None)
    total = serializers.IntegerField(allow_null=True, default=None, min_value=0, max_value=MAX_TOTAL)

    def validate(self, stage):
        if stage["end_s"] is not None and stage["end_s"] < stage["start_s"]:
            raise serializers.ValidationError({"end_s": "lies before start_s"})
        return stage


class MetricSerializer(serializers.Serializer):
    t_s = Seconds()
    name = Text()
    value = Number()


class CallCountsSerializer(serializers.Serializer):
    method = Text()
    calls = serializers.IntegerField(min_value=0, max_value=MAX_COUNT)
    items = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, default=0)
    busy_s = Seconds(default=0.0)


class LeftOutSerializer(serializers.Serializer):
    """What the writer has left out so far, why, and how often."""

    what = Text()
    reason = Text()
    count = serializers.IntegerField(min_value=1, max_value=MAX_COUNT)


class AboutSerializer(serializers.Serializer):
    model = Text(required=False)
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    name = Text(required=False, allow_blank=True)
    tags = Tags(required=False)
    params = Metadata(required=False)
    environment = Metadata(required=False)


class OverlapSerializer(serializers.Serializer):
    """Another run that measured the same thing at the same time, and what they share."""

    run = serializers.UUIDField()
    shares = serializers.ChoiceField(SHARES)


class BatchBodySerializer(FromWriterSerializer):
    samples = Samples(default=list)
    stages = StageFactsSerializer(many=True, required=False, default=list, max_length=MAX_ROWS)
    metrics = MetricSerializer(many=True, required=False, default=list, max_length=MAX_ROWS)
    calls = CallCountsSerializer(many=True, required=False, default=list, max_length=MAX_ROWS)
    left_out = LeftOutSerializer(many=True, required=False, max_length=MAX_LEFT_OUT)
    overlaps = OverlapSerializer(many=True, required=False, max_length=MAX_OVERLAPS)
    about = AboutSerializer(required=False, allow_null=True)


class FinishSerializer(FromWriterSerializer):
    status = serializers.ChoiceField(FINISHED)
    ended_at = serializers.DateTimeField()
    exception = Text(allow_blank=True, default="")
    dropped_records = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    samples = Samples(default=list)
    left_out = LeftOutSerializer(many=True, required=False, max_length=MAX_LEFT_OUT)
    overlaps = OverlapSerializer(many=True, required=False, max_length=MAX_OVERLAPS)


class WriteAnswerSerializer(serializers.Serializer):
    """The acknowledgement that a client must get to treat an upload as delivered."""

    run_id = serializers.UUIDField()
    batch_id = serializers.CharField(allow_null=True)
    sha256 = serializers.CharField()
    status = serializers.ChoiceField(["created", "updated", "stored", "duplicate", "finished"])
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()
    url = serializers.URLField()
    notice = serializers.CharField(required=False, max_length=200)
