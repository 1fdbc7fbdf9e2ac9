"""`traceml-agent login`: save a portal's address and token, once the portal has accepted the token."""

from __future__ import annotations

import sys

from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Complaint
from traceml_agent.inputs import config

TEXT = "Save a portal's address and token for all your runs, once the portal has accepted the token."
EXAMPLE = "traceml-agent login https://traceml.example"
STATUSES = "0 saved; 1 the portal can't be reached or refuses the token, so nothing is saved; 2 no address or token"


def add_command(commands) -> None:
    """Add `login` to the command line's parsers."""
    parser = terminal.add(commands, "login", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("url", nargs="?", help="the portal's address (default: from the settings, or asked for)")
    parser.add_argument("--token-stdin", action="store_true", help="read the token from stdin instead of asking")


def command(options) -> int:
    """Ask for what is missing, try the token, and save both in a file that only this user can read."""
    from traceml_agent.delivery import client

    settings = config.load(url=options.url)
    if not settings.url:
        settings.take("url", _asked_address(options.token_stdin), "login")
    settings.take(config.SECRET, _token_of_stdin() if options.token_stdin else _asked_token(settings.url), "login")
    if settings.origins[config.SECRET] != "login" or not settings.token:
        raise Complaint("not a token: copy it as the portal shows it, starting with tml_", 2)
    portal = client.Client(settings)
    answer = portal.check_token()
    if answer.outcome != client.QUARANTINE:  # an invalid body is refused only after the token was accepted
        raise Complaint(f"{settings.url} did not accept the token, so nothing is saved: {answer.reason}")
    try:
        path = config.keep_login(settings.url, settings.token)
    except OSError as error:
        remedy = "set TRACEML_AGENT_URL and TRACEML_AGENT_TOKEN instead"
        raise Complaint(f"{config.user_file()} can't be written ({error.strerror}); {remedy}") from None
    print(f"{settings.url} accepts the token. Saved in {path}, which only you can read.")
    if portal.notice:
        print(portal.notice, file=sys.stderr)
    _say_what_overrides(settings)
    return 0


def _asked_address(is_scripted: bool) -> str:
    if is_scripted:
        raise Complaint(f"name the portal: {EXAMPLE} --token-stdin", 2)
    print("Portal address: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def _token_of_stdin() -> str:
    return sys.stdin.read(4096).strip()


def _asked_token(url: str) -> str:
    """The token, typed without being displayed."""
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would show the token, and continue
        try:
            return getpass.getpass(f"Token for {url} (not shown): ")
        except (getpass.GetPassWarning, EOFError):
            raise Complaint(f"no terminal to type the token on: {EXAMPLE} --token-stdin < FILE", 2) from None


def _say_what_overrides(kept: config.Settings) -> None:
    """Name settings that override the user's file with other values."""
    in_force = config.load()
    for name in ("url", config.SECRET):
        origin = in_force.origins[name]
        if getattr(in_force, name) != getattr(kept, name) and origin != "default":
            print(f"{origin} has a different {name} and overrides this one here.", file=sys.stderr)
