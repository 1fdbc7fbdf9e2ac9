"""What may come in: gates that refuse, and translate nothing. Their meaning: docs/wire.md."""

from rest_framework import serializers

from runs.api.fields import (
    KEY_PATTERN,
    MAX_DEVICES,
    MAX_ITEMS,
    Metadata,
    Number,
    Samples,
    Seconds,
    Text,
)
from runs.models import Device, Run

FINISHED = [Run.Status.COMPLETED, Run.Status.FAILED, Run.Status.CANCELLED, Run.Status.STOPPED]


class DeviceFacts(serializers.Serializer):
    key = serializers.RegexField(KEY_PATTERN)
    kind = serializers.ChoiceField(Device.Kind.choices)
    name = Text()
    uuid = Text(required=False, allow_blank=True, max_length=100)
    basis = serializers.ChoiceField(["counter", "sensor"], required=False, allow_blank=True, source="measured_by")
    cores = Number(required=False, allow_null=True, min_value=0.001, max_value=1e6)
    threads = Number(required=False, allow_null=True, min_value=0.001, max_value=1e6)
    memory_gb = Number(required=False, allow_null=True, min_value=0.0, max_value=1e7)
    share = Number(required=False, min_value=0.0, max_value=1.0)
    power_limit_w = Number(required=False, allow_null=True, min_value=0.0, max_value=1e6)
    method = Text(required=False, allow_blank=True)
    note = Text(required=False, allow_blank=True, max_length=500)


class FromWriter(serializers.Serializer):
    """What every write says of its sender."""

    writer = serializers.RegexField(KEY_PATTERN, required=False)
    # Times may be those of a wrong clock: runs.ingest.clock puts them right by sent_at, or refuses them.
    writer_started_at = serializers.DateTimeField(required=False)
    host = Text(required=False, allow_blank=True)
    sent_at = serializers.DateTimeField(required=False)
    devices = DeviceFacts(many=True, required=False, default=list, max_length=MAX_DEVICES)


class Header(FromWriter):
    model = Text()
    kind = serializers.ChoiceField(Run.Kind.choices, default=Run.Kind.TRAINING)
    name = Text(required=False, allow_blank=True)
    started_at = serializers.DateTimeField()
    rank = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**31 - 1)
    agent_version = Text(required=False, allow_blank=True, max_length=64)
    flush_s = Number(default=30.0, min_value=1.0, max_value=86_400.0)
    tags = serializers.ListField(child=Text(), required=False, max_length=50)
    params = Metadata(required=False)
    environment = Metadata(required=False)


class StageFacts(serializers.Serializer):
    id = serializers.RegexField(KEY_PATTERN)
    name = Text()
    parent = Text(allow_blank=True, default="", max_length=64)
    start_s = Seconds()
    end_s = Seconds(allow_null=True, default=None)
    total = serializers.IntegerField(allow_null=True, default=None, min_value=0, max_value=2**31 - 1)

    def validate(self, stage):
        if stage["end_s"] is not None and stage["end_s"] < stage["start_s"]:
            raise serializers.ValidationError({"end_s": "lies before start_s"})
        return stage


class Metric(serializers.Serializer):
    t_s = Seconds()
    name = Text()
    value = Number()


class CallCounts(serializers.Serializer):
    method = Text()
    calls = serializers.IntegerField(min_value=0, max_value=2**53)
    items = serializers.IntegerField(min_value=0, max_value=2**53, default=0)
    busy_s = Seconds(default=0.0)


class LeftOut(serializers.Serializer):
    what = Text()
    reason = Text()
    count = serializers.IntegerField(min_value=1, max_value=2**53)


class About(serializers.Serializer):
    model = Text(required=False)
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    name = Text(required=False, allow_blank=True)
    tags = serializers.ListField(child=Text(), required=False, max_length=50)
    params = Metadata(required=False)


class BatchBody(FromWriter):
    samples = Samples(default=list)
    stages = StageFacts(many=True, required=False, default=list, max_length=MAX_ITEMS)
    metrics = Metric(many=True, required=False, default=list, max_length=MAX_ITEMS)
    calls = CallCounts(many=True, required=False, default=list, max_length=MAX_ITEMS)
    left_out = LeftOut(many=True, required=False, max_length=MAX_ITEMS)
    about = About(required=False, allow_null=True)


class Finish(FromWriter):
    status = serializers.ChoiceField(FINISHED)
    ended_at = serializers.DateTimeField()
    exception = Text(allow_blank=True, default="")
    dropped_records = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    samples = Samples(default=list)
    left_out = LeftOut(many=True, required=False, max_length=MAX_ITEMS)


class WriteAnswer(serializers.Serializer):
    """What a client must find to take a write for delivered."""

    run_id = serializers.UUIDField()
    batch_id = serializers.CharField(allow_null=True)
    sha256 = serializers.CharField()
    status = serializers.ChoiceField(["created", "updated", "stored", "duplicate", "finished"])
    energy_kwh = serializers.FloatField()
    emissions_kg = serializers.FloatField()
    url = serializers.URLField()
