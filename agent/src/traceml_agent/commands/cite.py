"""`traceml-agent cite`: figures as text for papers, model cards and forms, of a portal's model or of a run here."""

from __future__ import annotations

import sys

from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Complaint
from traceml_agent.inputs import config
from traceml_agent.portal import PortalError

TEXT = "Write a model's figures for papers, model cards and forms, as the portal words them; or those of a run here."
EXAMPLE = "traceml-agent cite resnet-50 --format tex\n  traceml-agent cite resnet-50 --card README.md"
STATUSES = "0 written; 1 there is nothing to cite, or a file can't be read or written"
FORMATS = ("yaml", "tex", "md", "bib", "eu", "sci", "json")
NOT_FOUND = 404
SCOPES = ("both", "training", "final", "life")


def add_command(commands) -> None:
    """Add `cite` to the command line's parsers."""
    parser = terminal.add(commands, "cite", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a model's slug on the portal")
    parser.add_argument("--run", metavar="RUN_ID", help="instead, a run in the spool: `latest`, or the start of its id")
    parser.add_argument("--format", choices=FORMATS, default="md", help="eu: the EU's Model Documentation Form")
    parser.add_argument("--of", choices=SCOPES, default="both", help="all attempts and the final run, or one of them")
    parser.add_argument("--card", metavar="README", help="write emissions into this model card's front matter instead")
    parser.add_argument("--output", metavar="FILE", help="write to FILE instead of stdout")


def command(options) -> int:
    """Write the text, or the card."""
    if bool(options.model) == bool(options.run):
        raise Complaint(f"name a model of the portal or a run{_known()}", 2)
    try:
        if options.card:
            _write_card(options)
            return 0
        text = _text_of_run(options) if options.run else _text_of_model(options)
    except PortalError as error:
        if error.status != NOT_FOUND:
            raise
        raise Complaint(f"the portal has no model {options.model}{_known()}") from None
    if options.output:
        with open(options.output, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0


def _known() -> str:
    """The models of the portal, if there is one."""
    from traceml_agent.portal import Portal

    try:
        slugs = [model["slug"] for model in Portal().models()]
    except PortalError:
        return ""
    return f"; models: {', '.join(slugs)}" if slugs else ""


def _text_of_model(options) -> str:
    from traceml_agent.portal import Portal

    return Portal().citation(options.model, options.format, options.of)


def _text_of_run(options) -> str:
    from traceml_agent.outputs import local

    summary, header = _spooled(options.run)
    model, kind = header.get("model", "?"), header.get("kind", "other")
    if options.format == "yaml":
        from traceml_agent.outputs.front_matter import with_emissions

        return with_emissions("", local.card(summary, kind))
    if options.format == "json":
        return local.as_json(summary, model, kind)
    if options.format == "md":
        return local.markdown(summary, model)
    raise Complaint(f"a run has no {options.format}; name its model on the portal, or use yaml, md or json", 2)


def _write_card(options) -> None:
    from traceml_agent.outputs import local
    from traceml_agent.outputs.card import of_model, write_card
    from traceml_agent.outputs.front_matter import CardRefused

    if options.run:
        summary, header = _spooled(options.run)
        about = local.card(summary, header.get("kind", "other"))
    else:
        about = of_model(options.model, options.of)
    try:
        path = write_card(options.card, about)
    except CardRefused as refusal:
        raise Complaint(f"{options.card} is unchanged: {refusal}") from None
    print(f"traceml-agent: wrote co2_eq_emissions into {path}", file=sys.stderr)


def _spooled(run: str) -> tuple[dict, dict]:
    """The summary and header of a run in the spool."""
    from traceml_agent.commands.export import files_of
    from traceml_agent.measuring.spooled import bodies, summary
    from traceml_agent.spool.files import spool_files
    from traceml_agent.spool.folder import folders

    files = files_of(run.lower(), [path for place in folders(config.load()) for path in spool_files(place)])
    if not files:
        raise Complaint(f"the spool has no run {run}; it may be delivered already: name its model on the portal")
    return summary(files), next(bodies(files[0], "header"), {})
