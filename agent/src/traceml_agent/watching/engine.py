"""Tokens and requests of a server for language models, from the counters that it offers to Prometheus.

The counters belong to the server's life. What counts is how far they have come since the watching began, and if the
server starts again, from zero on. Names after the sources of vLLM, SGLang, Text Generation Inference and llama.cpp.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from traceml_agent.messages import warn

MOST_BYTES, MOST_SERIES = 16 * 1024 * 1024, 10_000
#: Seconds for a whole answer; a server that is slower is asked again later.
PATIENCE_S = 3.0
#: What each counter counts. Histograms of the same have their sum and their count here.
COUNTERS = {
    "vllm:generation_tokens_total": "tokens",
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:request_success_total": "requests",
    "sglang:generation_tokens_total": "tokens",
    "sglang:prompt_tokens_total": "prompt_tokens",
    "sglang:num_requests_total": "requests",
    "tgi_request_generated_tokens_sum": "tokens",
    "tgi_request_input_length_sum": "prompt_tokens",
    "tgi_request_success": "requests",
    "tgi_request_success_total": "requests",
    "llamacpp:tokens_predicted_total": "tokens",
    "llamacpp:prompt_tokens_total": "prompt_tokens",
}
#: Labels that name the model that a counter belongs to.
MODEL_LABELS = ("model_name", "model", "name")
#: When the server's process began; another value means another life, even if its counters are higher by now.
BEGAN = "process_start_time_seconds"
#: What every answer for Prometheus has.
_TYPED = "# TYPE "
_LINE = re.compile(r"([A-Za-z_:][\w:]*)(\{.*\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?\s*")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Counter(NamedTuple):
    """One series of a counter: its name and labels as the server writes them."""

    name: str
    labels: str
    value: float

    def is_of(self, model: str) -> bool:
        labels = dict(_LABEL.findall(self.labels))
        named = [labels[label] for label in MODEL_LABELS if label in labels]
        return not model or model in named


def counters(text: str) -> Iterator[Counter]:
    """The counters in an answer that are known here, with the start of the process. What can't be read is left out."""
    for line in text.splitlines():
        match = _LINE.fullmatch(line) if line[:1] != "#" else None
        if match is not None and (match[1] in COUNTERS or match[1] == BEGAN):
            try:
                value = float(match[3])
            except ValueError:
                continue
            if 0 <= value < 1e18:
                yield Counter(match[1], match[2] or "", value)


class Engine:
    """A server's counters at `url`; only those of `model` if it serves several. `token` is sent as a Bearer token."""

    def __init__(self, url: str, model: str = "", token: str = "", ca_file: str = ""):
        self._url, self._model, self._token, self._ca_file = url, model, token, ca_file
        self._last: dict[tuple[str, str], float] | None = None
        self._began: float | None = None
        #: Why nothing has been read so far; empty once something was.
        self.trouble = "it was not asked yet"

    def read(self) -> dict[str, float]:
        """How many tokens, prompt tokens and requests there were since the last call. Never raises.

        Nothing before the first answer counts, unless the server was not up yet when it was asked first.
        """
        try:
            text = self._answer()
        except Exception as error:  # noqa: BLE001 (it may be down, or be anything)
            reason = getattr(error, "reason", error)
            is_down = isinstance(reason, ConnectionRefusedError)
            return self._failed(
                f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else f"{error}", is_down
            )
        found = list(counters(text))
        began = next((each.value for each in found if each.name == BEGAN), None)
        now = {(each.name, each.labels): each.value for each in found if each.name != BEGAN and each.is_of(self._model)}
        if not now or len(now) > MOST_SERIES:
            of_model = f" of the model {self._model!r}" if self._model else ""
            # Those with labels appear with the first request, and begin at zero then.
            return self._failed(f"there are no known counters{of_model}", _TYPED in text)
        self.trouble = ""
        if self._last is None:
            self._last, self._began = now, began
            return {}
        is_another = began is not None and self._began is not None and began != self._began
        last, self._last, self._began = {} if is_another else self._last, now, began
        done: dict[str, float] = {}
        for series, value in now.items():
            before = last.get(series, 0.0)
            unit = COUNTERS[series[0]]
            done[unit] = done.get(unit, 0.0) + (value - before if value >= before else value)
        return {unit: amount for unit, amount in done.items() if amount > 0}

    def _failed(self, why: str, is_new: bool) -> dict[str, float]:
        if self._last is None:
            self.trouble = why
            if is_new:
                self._last = {}  # whatever it counts later happens while it is watched
        warn(f"the server's counters can't be read: {why}")
        return {}

    def _answer(self) -> str:
        """The text at the address, within the time and the size that a server may take. Raises OSError, ValueError."""
        import ssl
        import urllib.request

        class NoRedirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *asked):  # the token is for this address only
                return None

        context = ssl.create_default_context(cafile=self._ca_file or None)
        handlers = (NoRedirect(), urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        asked = urllib.request.Request(self._url, headers=headers)  # noqa: S310 (checked by the command)
        ends_at = time.monotonic() + PATIENCE_S
        parts, size = [], 0
        with urllib.request.build_opener(*handlers).open(asked, timeout=PATIENCE_S) as answer:
            while part := answer.read1(65536):
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise ValueError(f"its answer is larger than {MOST_BYTES // 1024**2} MiB")
                if time.monotonic() > ends_at:
                    raise ValueError(f"its answer takes longer than {PATIENCE_S:g} s")
        return b"".join(parts).decode(errors="replace")
