"""Fields that refuse what may not be stored: text, finite numbers, times, metadata, samples."""

import json
from math import isfinite

from django.core.exceptions import ValidationError as ModelValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.ingest.clock import EARLIEST, MAX_AHEAD
from runs.text import clean_text

MAX_SAMPLES = 10_000
MAX_ITEMS = 2_000
MAX_DEVICES = 64
MAX_METADATA_KEYS = 50
MAX_METADATA_BYTES = 16 * 1024
MAX_POWER_W = 1e6
#: About 30 years: no counter of seconds is larger.
MAX_SECONDS = 1e9
KEY_PATTERN = r"^[A-Za-z0-9._:-]{1,64}\Z"


class Text(serializers.CharField):
    """1 to 200 characters (or empty where allowed) that are the same on both databases."""

    def to_internal_value(self, data):
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return clean_text(data, self.max_length or 200)
        except ModelValidationError as error:
            raise serializers.ValidationError(error.messages) from None


class Number(serializers.FloatField):
    """A finite JSON number; strings and booleans are refused."""

    def to_internal_value(self, data):
        if isinstance(data, bool) or not isinstance(data, (int, float)) or not isfinite(data):
            self.fail("invalid")
        return float(data)


class Seconds(Number):
    def __init__(self, **options):
        super().__init__(min_value=0.0, max_value=MAX_SECONDS, **options)


class Instant(serializers.DateTimeField):
    """A time between the year 2000 and a day from now."""

    def to_internal_value(self, data):
        at = super().to_internal_value(data)
        if not EARLIEST <= at <= timezone.now() + MAX_AHEAD:
            raise serializers.ValidationError("lies before 2000 or more than a day ahead; check the machine's clock")
        return at


@extend_schema_field({"type": "object", "additionalProperties": True})
class Metadata(serializers.Field):
    """A JSON object of at most 50 keys and 16 KiB with clean text throughout."""

    def to_internal_value(self, data):
        if not isinstance(data, dict) or len(data) > MAX_METADATA_KEYS:
            raise serializers.ValidationError(f"must be an object with at most {MAX_METADATA_KEYS} keys")
        try:
            clean = _clean(data)
        except ModelValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        if len(json.dumps(clean).encode()) > MAX_METADATA_BYTES:
            raise serializers.ValidationError("must have at most 16 KiB")
        return clean

    def to_representation(self, value):
        return value


def _clean(value):
    if isinstance(value, str):
        return clean_text(value, MAX_METADATA_BYTES, multiline=True)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    return value


SAMPLE_SCHEMA = {
    "type": "array",
    "maxItems": MAX_SAMPLES,
    "items": {
        "type": "object",
        "required": ["device", "t_s", "elapsed_s", "busy_s"],
        "properties": {
            "device": {"type": "string"},
            "t_s": {"type": "number", "minimum": 0},
            "elapsed_s": {"type": "number", "minimum": 0},
            "busy_s": {"type": "number", "minimum": 0},
            "energy_j": {"type": "number", "minimum": 0, "nullable": True},
        },
    },
}


@extend_schema_field(SAMPLE_SCHEMA)
class Samples(serializers.Field):
    """Cumulative counters, checked by hand: a serializer per sample would take 20 ms for a thousand of them."""

    def to_internal_value(self, data):
        if not isinstance(data, list) or len(data) > MAX_SAMPLES:
            raise serializers.ValidationError(f"must be a list of at most {MAX_SAMPLES} samples")
        last: dict[str, dict] = {}
        return [self._sample(index, sample, last) for index, sample in enumerate(data)]

    def _sample(self, index: int, sample, last: dict[str, dict]) -> dict:
        fault = _fault(sample)
        if fault is None:
            before = last.get(sample["device"])
            fault = _decrease(before, sample) if before else None
        if fault:
            field, message = fault
            raise serializers.ValidationError({index: {field: message} if field else message})
        last[sample["device"]] = sample
        sample.setdefault("energy_j", None)
        return sample


def _fault(sample) -> tuple[str, str] | None:
    """The first field of a sample that can't be right, and why."""
    if not isinstance(sample, dict):
        return "", "must be an object"
    if not isinstance(sample.get("device"), str):
        return "device", "must be the key of a device"
    for field in ("t_s", "elapsed_s", "busy_s"):
        if not _is_number(sample.get(field)) or not 0 <= sample[field] <= MAX_SECONDS:
            return field, "must be a number of seconds, 0 or more"
    if sample["busy_s"] > sample["elapsed_s"] * 1.001 + 0.001:
        return "busy_s", "must not exceed elapsed_s: it is utilisation (0 to 1) integrated over time"
    energy_j = sample.get("energy_j")
    if energy_j is not None and not (_is_number(energy_j) and energy_j >= 0):
        return "energy_j", "must be a number of joules, 0 or more, or null"
    if energy_j is not None and energy_j > MAX_POWER_W * max(sample["elapsed_s"], 1.0):
        return "energy_j", "is more than 1 MW would use in elapsed_s"
    return None


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _decrease(before: dict, sample: dict) -> tuple[str, str] | None:
    """The counter that ran backwards between two samples of one device, if any."""
    for field in ("t_s", "elapsed_s", "busy_s", "energy_j"):
        old, new = before.get(field), sample.get(field)
        if old is not None and new is not None and new < old:
            return field, "must not decrease within a batch: counters are cumulative"
    return None
