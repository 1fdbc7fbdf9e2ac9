"""Fields that refuse what may not be stored: text, finite numbers, times, metadata, samples."""

from itertools import chain, islice
from math import isfinite
from operator import itemgetter, le

from django.core.exceptions import ValidationError as ModelValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.ingest.clock import EARLIEST, MAX_AHEAD
from runs.models.device import PARTS
from runs.text import clean_text
from traceml_agent import limits

#: The fields of a plain sample, and their numbers; true is none.
PLAIN = ("device", "t_s", "elapsed_s", "busy_s", "energy_j")
PLAIN_VALUES, NUMBERS = [itemgetter(field) for field in PLAIN[1:]], {int, float}
#: Faulty samples named in one answer: who sends a thousand of them takes these out and hears of the next.
MAX_FAULTS = 100


class Text(serializers.CharField):
    """1 to 200 characters (or empty where allowed) that are the same on both databases."""

    def to_internal_value(self, data):
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return clean_text(data, self.max_length or limits.MAX_TEXT)
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
        super().__init__(min_value=0.0, max_value=limits.MAX_SECONDS, **options)


class Instant(serializers.DateTimeField):
    """A time between the year 2000 and a day from now."""

    def to_internal_value(self, data):
        at = super().to_internal_value(data)
        if not EARLIEST <= at <= timezone.now() + MAX_AHEAD:
            raise serializers.ValidationError("is before 2000 or more than a day ahead; check the machine's clock")
        return at


class Tags(serializers.ListField):
    """At most 50 texts; errors name each invalid or extra one."""

    child = Text()

    def run_child_validation(self, data):
        tags = super().run_child_validation(data[: limits.MAX_TAGS])
        if len(data) > limits.MAX_TAGS:
            beyond = range(limits.MAX_TAGS, min(len(data), limits.MAX_TAGS + MAX_FAULTS))
            raise serializers.ValidationError(dict.fromkeys(beyond, f"a run has at most {limits.MAX_TAGS} tags"))
        return tags


@extend_schema_field({"type": "object", "additionalProperties": True})
class Metadata(serializers.Field):
    """A JSON object of at most 200 keys and 16 KiB with clean text; errors name each invalid key."""

    def to_internal_value(self, data):
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        faults: dict = {}
        clean = _clean_object(data, faults)
        for key in limits.excess_keys({key: value for key, value in data.items() if key not in faults}):
            faults[key] = f"exceeds the limit of {limits.MAX_KEYS} keys and {limits.MAX_METADATA_BYTES // 1024} KiB"
        if faults:
            raise serializers.ValidationError(faults)
        return clean

    def to_representation(self, value):
        return value


def _clean_object(data: dict, faults: dict) -> dict:
    """The object with clean keys and values; `faults` gets a message for each key that has no place in it."""
    clean: dict = {}
    for key, value in data.items():
        try:
            name = clean_text(key, limits.MAX_KEY)
            if name in clean:
                raise ModelValidationError("has the same name as another key")
            clean[name] = _clean(value)
        except (ModelValidationError, serializers.ValidationError) as error:
            faults[key] = _detail(error)
    return clean


def _clean_list(data: list, faults: dict) -> list:
    clean = []
    for index, item in enumerate(data):
        try:
            clean.append(_clean(item))
        except (ModelValidationError, serializers.ValidationError) as error:
            faults[index] = _detail(error)
    return clean


def _clean(value):
    if isinstance(value, str):
        return clean_text(value, limits.MAX_METADATA_BYTES, multiline=True)
    if not isinstance(value, (dict, list)):
        return value
    faults: dict = {}
    clean = _clean_object(value, faults) if isinstance(value, dict) else _clean_list(value, faults)
    if faults:
        raise serializers.ValidationError(faults)
    return clean


def _detail(error: ModelValidationError | serializers.ValidationError):
    return error.messages if isinstance(error, ModelValidationError) else error.detail


SAMPLE_SCHEMA = {
    "type": "array",
    "maxItems": limits.MAX_SAMPLES,
    "items": {
        "type": "object",
        "required": ["device", "t_s", "elapsed_s", "busy_s"],
        "properties": {
            "device": {"type": "string"},
            "t_s": {"type": "number", "minimum": 0},
            "elapsed_s": {"type": "number", "minimum": 0},
            "busy_s": {"type": "number", "minimum": 0, "nullable": True},
            "energy_j": {"type": "number", "minimum": 0, "nullable": True},
            **{name: {"type": "number", "minimum": 0} for name in PARTS},
        },
    },
}


@extend_schema_field(SAMPLE_SCHEMA)
class Samples(serializers.Field):
    """Cumulative counters, checked by hand: a serializer per sample would take 20 ms for a thousand of them.

    Errors name each invalid sample; the others are compared as if it were missing.
    """

    def to_internal_value(self, data):
        if not isinstance(data, list) or len(data) > limits.MAX_SAMPLES:
            raise serializers.ValidationError(f"must be a list of at most {limits.MAX_SAMPLES} samples")
        if _is_plain(data):
            return data
        last: dict[str, dict] = {}
        faults: dict[int, dict | str] = {}
        for index, sample in enumerate(data):
            fault = _fault(sample) or _decrease(last.get(sample["device"], {}), sample)
            if fault is None:
                last[sample["device"]] = sample
                sample.setdefault("energy_j", None)
                continue
            field, message = fault
            faults[index] = {field: message} if field else message
            if len(faults) == MAX_FAULTS:
                break
        if faults:
            raise serializers.ValidationError(faults)
        return data


def _is_plain(samples: list) -> bool:
    """Whether these are valid samples that say `energy_j` and no shared parts, as nearly all are.

    Checked by column, which takes a quarter of the time of a look at each sample. Others are looked at one by one.
    """
    by_device: dict[str, list[dict]] = {}
    try:
        for sample in samples:
            by_device.setdefault(sample["device"], []).append(sample)
        return all(_are_plain(device, rows) for device, rows in by_device.items())
    except (KeyError, TypeError, AttributeError):
        return False


def _are_plain(device: str, rows: list[dict]) -> bool:
    if type(device) is not str or max(map(len, rows)) > len(PLAIN):  # a plain sample has no further fields
        return False
    times, elapsed, *untold = (list(map(field, rows)) for field in PLAIN_VALUES)
    busy, energy = ([] if column.count(None) == len(column) else column for column in untold)
    if not NUMBERS.issuperset(map(type, chain(times, elapsed, busy, energy))):
        return False
    if not all(all(map(le, column, islice(column, 1, None))) for column in (times, elapsed, busy, energy)):
        return False
    # As none decreases, the first are the least, and the last the most.
    if min(times[0], elapsed[0], *busy[:1], *energy[:1]) < 0 or max(times[-1], elapsed[-1]) > limits.MAX_SECONDS:
        return False
    # Each is first compared with what is quickly known to be possible; the rest is for the rare.
    is_busy_possible = all(map(le, busy, elapsed)) or all(map(le, busy, [s * 1.001 + 0.001 for s in elapsed]))
    if not energy or energy[-1] <= limits.MAX_POWER_W * max(elapsed[0], 1.0):
        return is_busy_possible
    return is_busy_possible and all(map(le, energy, [limits.MAX_POWER_W * max(s, 1.0) for s in elapsed]))


def _fault(sample) -> tuple[str, str] | None:
    """The first invalid field of a sample, and why."""
    if not isinstance(sample, dict):
        return "", "must be an object"
    if not isinstance(sample.get("device"), str):
        return "device", "must be the key of a device"
    for field in ("t_s", "elapsed_s", "busy_s"):
        if field == "busy_s" and sample.get(field, 0) is None:
            continue  # the device tells no utilisation
        if not _is_number(sample.get(field)) or not 0 <= sample[field] <= limits.MAX_SECONDS:
            return field, "must be a number of seconds, 0 or more"
    if (sample["busy_s"] or 0.0) > sample["elapsed_s"] * 1.001 + 0.001:
        return "busy_s", "must not exceed elapsed_s: it is utilisation (0 to 1) integrated over time"
    energy_j = sample.get("energy_j")
    if energy_j is not None and not (_is_number(energy_j) and energy_j >= 0):
        return "energy_j", "must be a number of joules, 0 or more, or null"
    if energy_j is not None and energy_j > limits.MAX_POWER_W * max(sample["elapsed_s"], 1.0):
        return "energy_j", "is more than 1 MW over elapsed_s"
    return _fault_of_parts(sample) if any(name in sample for name in PARTS) else None


def _fault_of_parts(sample: dict) -> tuple[str, str] | None:
    """The first invalid counter of the shared parts: they are sent together, and none exceeds its whole."""
    wholes = (sample["elapsed_s"], sample.get("held_s"), sample["busy_s"], sample.get("energy_j"))
    for field, whole in zip(PARTS, wholes, strict=True):
        if not _is_number(sample.get(field)) or sample[field] < 0:
            return field, f"must be a number, 0 or more; {', '.join(PARTS)} must be sent together"
        if sample[field] > (whole or 0.0) * 1.001 + 0.001:
            return field, "must not exceed the counter of which it is a part"
    return None


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _decrease(before: dict, sample: dict) -> tuple[str, str] | None:
    """The counter that decreased between two samples of one device, if any."""
    for field in ("t_s", "elapsed_s", "busy_s", "energy_j", *PARTS):
        old, new = before.get(field), sample.get(field)
        if old is not None and new is not None and new < old:
            return field, "must not decrease within a batch: counters are cumulative"
    return None
