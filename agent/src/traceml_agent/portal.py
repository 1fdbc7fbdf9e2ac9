"""Read a portal's figures in your own scripts and notebooks.

>>> from traceml_agent.portal import Portal
>>> portal = Portal()
>>> for run in portal.runs(state="completed", tag="paper"):
...     print(run["model"], run["energy_kwh"])
>>> portal.usage(by=("day", "model")).frame()

Address and token are those of the agent's settings unless given; the token needs the scope `read`, and everything is
of its project. Unlike the rest of the agent, which must not disturb a training, this raises: PortalError.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from traceml_agent.inputs import config
from traceml_agent.inputs.config import Refused

#: Answers are read up to this size: a page of 200 runs with all of their parameters, a run's series.
MAX_BYTES = 256 * 1024 * 1024
#: A portal that is busy, or was asked too often, is asked again, as long after as it says.
MOST_TRIES, MOST_WAIT_S, WAIT_S = 6, 60.0, 5.0
BUSY = (429, 503)
LOGIN = "run `traceml-agent login`, or set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN"
READ_ACCESS = (
    "create a token with read access under API tokens in the portal's settings, and set TRACEML_AGENT_TOKEN to it"
)


class PortalError(Refused):
    """Why the portal gave no answer, in its words, with the remedy. `status` is that of HTTP, or None."""

    def __init__(self, text: str, status: int | None = None):
        super().__init__(text)
        self.status = status


class Rows:
    """Rows as dictionaries. Each iteration reads them anew, page by page, as far as it goes."""

    def __init__(self, read: Callable[[], Iterator[dict]]):
        self._read = read

    def __iter__(self) -> Iterator[dict]:
        return self._read()

    def frame(self):
        """All rows as a pandas data frame; nested values become columns such as `params.lr` and `metrics.loss`."""
        try:
            import pandas
        except ImportError:
            raise PortalError("a frame needs pandas: pip install pandas") from None
        found = pandas.DataFrame([_flat(row) for row in self])
        for name in found.columns:
            if name.endswith("_at") or name == "day":
                found[name] = pandas.to_datetime(found[name], utc=name != "day", format="ISO8601")
        return found


class Portal:
    """A portal's read API for one token. Raises PortalError without address or token; other settings by keyword.

    Filters are those of the API (docs/api.md). Times and dates may be Python's, several words may be a list.
    """

    def __init__(self, url: str | None = None, token: str | None = None, **settings):
        from traceml_agent.delivery import client

        found = config.load(url=url, token=token, **settings)
        if not (found.url and found.token):
            raise PortalError(f"no portal is set up here; {LOGIN}")
        try:
            self._client = client.Client(found, is_guest=True)
        except Refused as refusal:
            raise PortalError(str(refusal)) from None
        self.url = found.url

    def project(self) -> dict:
        """The project and team of the token, and what it may do."""
        return self._get("project")

    def runs(self, **filters) -> Rows:
        """The project's runs, the latest first. `include=("params", "metrics")` adds more of each."""
        return self._pages("runs", {"page_size": 200} | filters)

    def totals(self, by: str = "", **filters) -> dict:
        """Number, energy and emissions of the runs that match; with `by`, also by groups."""
        return self._get("runs/totals", {"by": by} | filters)

    def run(self, run: str | dict) -> dict:
        """A run with its devices, stages, calls and metrics, by its id or its row."""
        return self._get(f"runs/{_id_of(run)}")

    def series(self, run: str | dict) -> Rows:
        """The cumulative counters of a run's devices, a row per sample."""
        return Rows(lambda: _samples(self._get(f"runs/{_id_of(run)}/series")))

    def metrics(self, run: str | dict, name: str = "") -> Rows:
        """Every value that a run logged, in order of arrival."""
        return self._pages(f"runs/{_id_of(run)}/metrics", {"name": name})

    def stages(self, run: str | dict) -> Rows:
        """A run's stages, with the energy of each."""
        return self._pages(f"runs/{_id_of(run)}/stages")

    def compare(self, *runs: str | dict) -> dict:
        """Up to eight runs side by side; the first is the base."""
        return self._get("compare", {"run": [_id_of(run) for run in runs]})

    def models(self, **filters) -> Rows:
        """The project's models with the totals of their whole life."""
        return self._pages("models", {"page_size": 200} | filters)

    def model(self, slug: str | dict) -> dict:
        """A model's whole life: parts, final runs, waste, predictions, break-even."""
        return self._get(f"models/{_slug_of(slug)}")

    def citation(self, slug: str | dict, format: str = "json", of: str = "both") -> str:
        """A model's figures as text: `yaml`, `tex`, `md`, `bib`, `eu`, `sci` or `json`."""
        return self._ask(f"models/{_slug_of(slug)}/citation", {"format": format, "of": of}).decode()

    def summary(self, **filters) -> dict:
        """Totals of a period, by kind and by day, with what was wasted."""
        return self._get("summary", filters)

    def usage(self, by: str | tuple[str, ...] = "day", **filters) -> Rows:
        """Daily totals, added up by day, model, kind, member, hardware or tag, or several of them."""
        return self._pages("usage", {"by": ",".join([by] if isinstance(by, str) else by)} | filters)

    def hardware(self, slug: str = "", **filters) -> Any:
        """The profiles of the catalogue, as Rows; with a slug, that profile and the project's use of it."""
        return self._get(f"hardware/{slug}") if slug else self._pages("hardware", {"page_size": 200} | filters)

    def factor(self) -> dict:
        """The emission factor and the PUE in force."""
        return self._get("factor")

    def plan(self, hardware: str, **choice) -> list[dict]:
        """What hardware would use: `count`, `hours`, `utilisation`; or, with `run`, for the work of a past run."""
        return self._get("plan", {"hardware": hardware} | choice)["rows"]

    def _pages(self, path: str, query: dict | None = None) -> Rows:
        def rows():
            page = self._get(path, query)
            while True:
                yield from page["results"]
                if not page.get("next"):
                    return
                # Only the query: the token goes to no address that an answer names.
                page = self._get(f"{path}?{page['next'].partition('?')[2]}")

        return Rows(rows)

    def _get(self, path: str, query: dict | None = None) -> dict:
        return json.loads(self._ask(path, query))

    def _ask(self, path: str, query: dict | None = None) -> bytes:
        address = f"{path}?{_query(query)}" if query else path
        for tries_left in reversed(range(MOST_TRIES)):
            try:
                answer = self._client.ask(address, MAX_BYTES)
            except Refused as refusal:
                raise PortalError(f"{self.url}: {refusal}") from None
            if answer.status not in BUSY or not tries_left:
                break
            time.sleep(min(WAIT_S if answer.after_s is None else answer.after_s, MOST_WAIT_S))
        if answer.status != 200:
            remedy = f"; {READ_ACCESS}" if "scope" in answer.reason else ""
            raise PortalError(f"{self.url}: {answer.reason.rstrip('.')}{remedy}", answer.status)
        return answer.body


def _query(asked: dict) -> str:
    """A query string of these parameters; those that are None or empty are left out."""
    from urllib.parse import urlencode

    return urlencode([(name, one) for name, value in asked.items() for one in _words(name, value)])


def _words(name: str, value) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, dict):
        return [json.dumps(value)]
    if isinstance(value, (list, tuple, set)):
        return [str(each) for each in value] if name == "run" else [",".join(map(str, value))]
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return [text if "T" not in text or value.tzinfo else value.astimezone().isoformat()]
    return [str(value)]


def _id_of(run: str | dict) -> str:
    return run["run_id"] if isinstance(run, dict) else str(run)


def _slug_of(model: str | dict) -> str:
    return model["slug"] if isinstance(model, dict) else model


def _samples(series: dict) -> Iterator[dict]:
    """A row per sample, of columns by device; `device` is `writer/key`."""
    for columns in series["devices"]:
        writer, _, device = columns["device"].partition("/")
        names = [name for name in columns if name != "device"]
        for values in zip(*(columns[name] for name in names), strict=True):
            yield {"writer": writer, "device": device} | dict(zip(names, values, strict=True))


def _flat(row: dict, before: str = "") -> dict:
    flat: dict = {}
    for name, value in row.items():
        if name == "metrics" and isinstance(value, list):
            flat |= {f"metrics.{each['name']}": each["total"] or each["last"] for each in value}
        elif isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat
