"""The only reader of request bodies: strict UTF-8 JSON within bounds (docs/promises.md: PS4).

DRF's own parser honours any charset (`punycode` costs 30 s of CPU for 900 KB) and any depth (RecursionError).
"""

import hashlib
import json
import re
import zlib
from itertools import islice
from math import isfinite
from typing import Any

import msgspec
from rest_framework import exceptions, status
from rest_framework.parsers import BaseParser

from traceml_agent.limits import MAX_BODY_BYTES, MAX_DEPTH, MAX_INTEGER

MAX_UNZIPPED_BYTES = 8 * 1024 * 1024
MAX_UNZIP_RATIO = 100
#: As much is unzipped before its size and values are looked at.
CHUNK_BYTES = 64 * 1024
#: Values and keys of a body; one of 10,000 samples with all their counters and 2,000 of each row has 250,000.
MAX_VALUES = 300_000
#: One of these stands before or after each value and key but the first.
MARKS = (b",", b":", b"[", b"{")
#: What makes a value or key, outside of texts; possessive, so that a long text takes no memory.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[^\s"\[\]{},:]++', re.DOTALL)


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large. The limit is 1 MiB, and 8 MiB and 100:1 unzipped. Send smaller batches."


class TooManyValues(BodyTooLarge):
    default_detail = f"The body has more than {MAX_VALUES:,} values and keys. Send smaller batches."


class LengthRequired(exceptions.APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length instead of chunked encoding."


class StrictJSONParser(BaseParser):
    """Parses a JSON object; leaves the SHA-256 of the plain body on the request as `body_sha256`."""

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None):
        request = parser_context["request"]
        _check_charset(request)
        body = _read(stream, request)
        if request.META.get("HTTP_CONTENT_ENCODING"):
            body = _unzip(body, request, parser_context["view"])
        request.body_sha256 = hashlib.sha256(body).hexdigest()
        return parse_object(body)


def require_length(request) -> None:
    """Raise for a chunked body: behind gunicorn it reads as empty, and a naive view would accept it."""
    if request.META.get("HTTP_TRANSFER_ENCODING") or not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired
    if not request.META["CONTENT_LENGTH"].isdigit() or int(request.META["CONTENT_LENGTH"]) > MAX_BODY_BYTES:
        raise BodyTooLarge
    if not int(request.META["CONTENT_LENGTH"]):
        raise exceptions.ParseError("The body is empty. Send a JSON object.")


def _check_charset(request) -> None:
    charset = request.content_params.get("charset", "utf-8") if hasattr(request, "content_params") else "utf-8"
    charset = request._request.content_params.get("charset", charset)
    if charset.lower() not in ("utf-8", "utf8"):
        raise exceptions.UnsupportedMediaType(f"charset {charset}", detail="Send JSON in UTF-8.")


def _read(stream, request) -> bytes:
    body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge
    if len(body) < int(request.META["CONTENT_LENGTH"]):
        raise exceptions.ParseError("The body ended before its Content-Length.")
    return body


def _unzip(body: bytes, request, view) -> bytes:
    encoding = request.META["HTTP_CONTENT_ENCODING"].strip().lower()
    if encoding != "gzip" or not getattr(view, "accepts_gzip", False):
        raise exceptions.UnsupportedMediaType(encoding, detail="Only batches may be compressed, and only with gzip.")
    limit = min(MAX_UNZIPPED_BYTES, MAX_UNZIP_RATIO * len(body))
    unzip, plain = zlib.decompressobj(wbits=31), bytearray()
    try:
        while not unzip.eof and (chunk := unzip.decompress(body, CHUNK_BYTES)):
            plain += chunk
            body = unzip.unconsumed_tail
            if len(plain) > limit:
                raise BodyTooLarge
    except zlib.error:
        raise exceptions.ParseError("The body is not valid gzip.") from None
    if not unzip.eof or unzip.unused_data:
        raise exceptions.ParseError("The body is not one complete gzip stream.")
    return bytes(plain)


def parse_object(body: bytes) -> dict:
    """The JSON object in `body`; raises ParseError for anything else, NaN, huge numbers and deep nesting included.

    Values are counted before any object is created: a million empty lists are 3 MB of text but 200 MB of memory.
    """
    # Where even every comma, colon and bracket stood for one they would be few enough, there is nothing to count.
    if (
        len(body) >= MAX_VALUES
        and sum(map(body.count, MARKS)) >= MAX_VALUES
        and sum(1 for _ in islice(TOKEN.finditer(body), MAX_VALUES + 1)) > MAX_VALUES
    ):
        raise TooManyValues
    try:
        data = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        data = _parse_odd(body)
    if not isinstance(data, dict):
        raise exceptions.ParseError("The body must be a JSON object.")
    _check_values(data, MAX_DEPTH)
    return data


def _parse_odd(body: bytes) -> Any:
    """Read what the fast parser refuses: half a surrogate pair and huge numbers, of which others say where they are."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise exceptions.ParseError("The body is not valid JSON in UTF-8.") from None


def _refuse_constant(name: str):
    raise ValueError(name)


def _check_values(data: dict | list, depth: int) -> None:
    """Look at all values of containers: a call for each value would take as long as to parse them."""
    if data and not depth:
        raise exceptions.ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")
    for value in data.values() if type(data) is dict else data:
        kind = type(value)
        if kind is float:
            if not isfinite(value):
                raise exceptions.ParseError("Numbers must be finite.")
        elif kind is int:
            if abs(value) > MAX_INTEGER:
                raise exceptions.ParseError("Whole numbers must fit in 64 bits.")
        elif kind is dict or kind is list:
            _check_values(value, depth - 1)
