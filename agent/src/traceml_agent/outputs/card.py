"""`push_to_card`: energy and emissions in the front matter of a model card."""

from __future__ import annotations

import contextlib
import os
import stat

from traceml_agent.inputs.config import Refused
from traceml_agent.messages import guarded, warn
from traceml_agent.outputs.front_matter import CardRefused, with_emissions

README = "README.md"


@guarded(default=False)
def push_to_card(path=README, run=None, *, model: str = "", of: str = "both", **settings) -> bool:
    """Write `co2_eq_emissions` into the front matter of a model card, and keep everything else of the file.

    The figures are those of `run`, by default the run in progress; or, with `model`, those of the model with this slug
    on the portal, with all attempts or what else `of` names (`training`, `final`, `life`). `path` is a README or its
    folder; a missing README is created. Returns whether it was written, and warns if not: it never raises, because it
    is called at the end of trainings.
    """
    try:
        write_card(path, of_model(model, of, **settings) if model else of_run(run))
        return True
    except (CardRefused, Refused, OSError) as error:
        warn(f"{os.fspath(path)} is unchanged: {error}")
        return False


def of_run(run) -> dict:
    """The card's entries for a run of this process. Raises CardRefused without one."""
    from traceml_agent.outputs import local
    from traceml_agent.tracking import current

    run = run or current.last()
    summary = getattr(run, "summary", None)
    if not summary or not summary.get("devices"):
        raise CardRefused("no run was measured here; pass a run, or name a model of the portal")
    return local.card(summary, run.kind)


def of_model(model: str, of: str = "both", **settings) -> dict:
    """The card's entries for a model of the portal. Raises Refused if it has none."""
    import json

    from traceml_agent.portal import Portal

    return json.loads(Portal(**settings).citation(model, "json", of))["co2_eq_emissions"]


def write_card(path, about: dict) -> str:
    """Write these entries; returns the file's path. Raises CardRefused or OSError, and leaves the file as it was."""
    path = os.path.realpath(os.path.join(path, README) if os.path.isdir(path) else path)
    before = b""
    if os.path.exists(path):
        if not os.path.isfile(path):  # a device or a pipe may never end
            raise CardRefused("it is no file")
        with open(path, "rb") as file:
            before = file.read()
    try:
        text = before.decode("utf-8")
    except UnicodeDecodeError:
        raise CardRefused("it is not UTF-8; save it as UTF-8 first") from None
    after = with_emissions(text, about).encode("utf-8")
    if after != before:
        _replace(path, after)
    return path


def _replace(path: str, content: bytes) -> None:
    """Replace a file at once, with the permissions that it had, so that a full disk does not cost the card."""
    draft = f"{path}.{os.urandom(4).hex()}"
    try:
        with open(draft, "wb") as file:
            file.write(content)
        if os.path.exists(path):
            os.chmod(draft, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
