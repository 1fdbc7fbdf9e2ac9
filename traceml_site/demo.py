"""`make run`: the whole system on this machine, from an empty folder to a real run in the browser.

It prepares the data folder, starts the portal, trains and uses a small real model with the agent in a separate
process, prints the address and the login, and serves until Ctrl-C, which stops everything it started.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "agent" / "examples" / "train_digits.py"
HOST = os.environ.get("HOST", "127.0.0.1")
PORT = os.environ.get("PORT", "8000")
VISIBLE_HOST = "127.0.0.1" if HOST in ("0.0.0.0", "::") else HOST  # noqa: S104
URL = f"http://{VISIBLE_HOST}:{PORT}"
DATA = Path(os.environ.get("TRACEML_DATA") or ROOT / "data").resolve()
EMAIL, TEAM, PROJECT = "demo@traceml.example", "Demo team", "Digits"
START_WITHIN_S = 60


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _refuse_taken_port()
    prepare_environment()
    password = prepare_database()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:traceml_site.serving.gunicorn", "traceml_site.wsgi"], cwd=ROOT
    )
    worker = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=ROOT)
    try:
        _wait_until_ready(server)
        run_url = digits_run()
        say(f"TraceML  {URL}/\nLogin    {EMAIL}  password {password}\nThe run  {run_url}\nPress Ctrl-C to stop.")
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for process in (worker, server):
            process.terminate()
        for process in (worker, server):
            process.wait()


def say(text: str) -> None:
    print(text, flush=True)


def prepare_environment() -> None:
    """Create a private data folder with its own key, and point the settings to both."""
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept("secret-key", lambda: secrets.token_urlsafe(48))
    os.environ.pop("SECRET_KEY", None)
    os.environ.update(TRACEML_DATA=str(DATA), HOST=HOST, PORT=PORT, DJANGO_SETTINGS_MODULE="traceml_site.settings")
    os.environ.update(TRACEML_TASKS="database")  # the worker runs beside the portal
    os.environ.setdefault("TRACEML_BASE_URL", URL)


def kept(name: str, make) -> str:
    """The text of a private file in the data folder, created if missing."""
    path = DATA / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text().strip()


def prepare_database() -> str:
    """Prepare migrations, catalogue, static files and the demo team; returns the demo account's password."""
    import django

    django.setup()
    from django.core.management import call_command

    say("Preparing the database, the catalogue and the static files …")
    call_command("migrate", verbosity=0)
    call_command("load_catalogue")
    call_command("collectstatic", interactive=False, verbosity=0)
    return _demo_account()


def _demo_account() -> str:
    from runs.management.commands.issue_token import named_team
    from runs.models import Membership, User

    password = kept("demo-password", lambda: secrets.token_urlsafe(12))
    user = User.objects.filter(email=EMAIL).first() or User.objects.create_superuser(EMAIL, password)
    Membership.objects.get_or_create(team=named_team(TEAM), user=user, defaults={"role": Membership.Role.OWNER})
    return password


def digits_run() -> str:
    """The address of the demo's training run; trains first if there is none yet."""
    if not (url := _finished_training()):
        say("Training and using a model on scikit-learn's digits, tracked by the agent (about half a minute) …")
        environment = os.environ | {
            "TRACEML_AGENT_URL": URL,
            "TRACEML_AGENT_TOKEN": _token(),
            "TRACEML_AGENT_SPOOL_DIR": str(DATA / "spool"),
            "TRACEML_AGENT_FLUSH_S": "20",
        }
        subprocess.run([sys.executable, str(EXAMPLE)], cwd=DATA, env=environment, check=True)
        url = _finished_training()
    return url or f"has not arrived yet; `traceml-agent sync` uploads what is in {DATA / 'spool'}"


def _token() -> str:
    from runs.management.commands.issue_token import named_project, named_team
    from runs.models import ApiToken

    project = named_project(named_team(TEAM), PROJECT)
    for old in ApiToken.objects.usable().filter(project=project, name="make run"):
        old.revoke()
    return ApiToken.issue(project, "make run", [ApiToken.Scope.INGEST])[1]


def _finished_training() -> str | None:
    from runs.models import Run

    runs = Run.objects.filter(project__name=PROJECT, project__team__name=TEAM, kind=Run.Kind.TRAINING)
    run = runs.filter(status=Run.Status.COMPLETED).order_by("-received_at").first()
    return f"{URL}/runs/{run.run_id}/" if run else None


def _refuse_taken_port() -> None:
    family = socket.AF_INET6 if ":" in HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(PORT)))
        except (OSError, ValueError) as error:
            sys.exit(f"traceml: can't serve on {HOST}:{PORT} ({error}); choose another port: PORT=8001 make run")


def _wait_until_ready(server: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{URL}/healthz", timeout=2):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("traceml: the portal did not start; see its output above")


if __name__ == "__main__":
    sys.exit(main())
