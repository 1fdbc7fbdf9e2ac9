"""Checked bodies have the keys that the serializers give them."""

import pytest
from rest_framework.serializers import empty

from runs.api import serializers
from runs.ingest import bodies

PAIRS = [
    (serializers.HeaderSerializer, bodies.HeaderBody),
    (serializers.BatchBodySerializer, bodies.BatchBody),
    (serializers.FinishSerializer, bodies.FinishBody),
    (serializers.DeviceFactsSerializer, bodies.DeviceBody),
    (serializers.StageFactsSerializer, bodies.StageBody),
    (serializers.MetricSerializer, bodies.MetricBody),
    (serializers.CallCountsSerializer, bodies.CallsBody),
    (serializers.OverlapSerializer, bodies.OverlapBody),
    (serializers.AboutSerializer, bodies.AboutBody),
]


def fields(serializer) -> dict:
    return {field.source: field for field in serializer().fields.values()}


@pytest.mark.parametrize(("serializer", "body"), PAIRS)
def test_a_body_has_the_keys_of_its_serializer(serializer, body):
    of_a_header = {"rank"}  # asked for whatever the upload, and there in a header alone
    assert set(body.__annotations__) - of_a_header == set(fields(serializer)) - of_a_header


@pytest.mark.parametrize(("serializer", "body"), PAIRS)
def test_what_a_body_promises_is_there_whatever_the_json_left_out(serializer, body):
    always = {name for name, field in fields(serializer).items() if field.required or field.default is not empty}
    assert set(body.__required_keys__) <= always
