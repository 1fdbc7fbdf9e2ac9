"""Promise PS20: what the portal refuses to start with, in one line."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SOUND = {"SECRET_KEY": "k3y-" + "0123456789abcdefghij" * 3, "DEBUG": "0", "ALLOWED_HOSTS": "traceml.example"}


def start(tmp_path, **changes):
    (tmp_path / "static").mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "TRACEML_DATA": str(tmp_path)} | SOUND | changes
    return subprocess.run(
        [sys.executable, "-c", "import traceml_site.wsgi"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_starts_with_sound_settings(tmp_path):
    result = start(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too short or publicly known"),
        ({"SECRET_KEY": "django-insecure-" + "x7" * 40}, "SECRET_KEY is too short or publicly known"),
        ({"DEBUG": "1", "HOST": "0.0.0.0"}, "DEBUG"),
        ({"DEBUG": "1", "TRACEML_BASE_URL": "https://traceml.example"}, "DEBUG"),
        ({"SECRET_KEY": "debug-only-" + "insecure-" * 6}, "SECRET_KEY is too short or publicly known"),
        ({"SECRET_KEY": "tests-only-" + "0123456789abcdef" * 4}, "SECRET_KEY is too short or publicly known"),
        ({"TRACEML_BASE_URL": "https://traceml.example/a b"}, "TRACEML_BASE_URL"),
        ({"TRACEML_BASE_URL": "https://traceml.example/?a=1"}, "TRACEML_BASE_URL"),
        ({"DEBUG": "maybe"}, "DEBUG must be 0 or 1"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL"),
        ({"DATABASE_REPLICA_URL": "postgres://a@b/c"}, "DATABASE_REPLICA_URL"),
        ({"DATABASE_URL": "postgres://a@b/c", "DATABASE_REPLICA_URL": "sqlite:///x"}, "DATABASE_REPLICA_URL"),
        ({"DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE"),
        ({"TRACEML_BASE_URL": "traceml.example"}, "TRACEML_BASE_URL"),
        ({"TRACEML_SIGNUP": "everyone"}, "TRACEML_SIGNUP"),
        ({"TRACEML_TASKS": "celery"}, "TRACEML_TASKS"),
        ({"EMAIL_URL": "mail.example"}, "EMAIL_URL must look like"),
        ({"EMAIL_URL": "smtp://me:secret@mail.example:port"}, "EMAIL_URL must look like"),
        ({"OIDC_URL": "https://id.example"}, "OIDC_CLIENT_ID and OIDC_CLIENT_SECRET"),
        ({"OIDC_URL": "http://id.example", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b"}, "https"),
        ({"TRACEML_AUDIT_DAYS": "-1"}, "TRACEML_AUDIT_DAYS"),
    ],
)
def test_it_refuses_an_unsafe_setting_in_one_line(tmp_path, changes, word):
    result = start(tmp_path, **changes)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert word in result.stderr


@pytest.mark.parametrize("name", ["traceml.sqlite3", "secret-key"])
def test_it_refuses_data_that_every_account_of_the_machine_can_read(tmp_path, name):
    path = tmp_path / name
    path.touch()
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    assert f"chmod o-rwx {path}" in start(tmp_path).stderr
    path.chmod(0o640)
    assert start(tmp_path).returncode == 0


def test_a_folder_that_is_private_protects_what_is_in_it(tmp_path):
    (tmp_path / "traceml.sqlite3").touch(mode=0o644)
    tmp_path.chmod(0o700)
    assert start(tmp_path).returncode == 0


def test_the_first_command_by_hand_makes_a_private_database(tmp_path):
    """In a folder that is not there yet."""
    environment = {"PATH": os.environ["PATH"], "TRACEML_DATA": str(tmp_path / "new" / "data")} | SOUND
    command = [sys.executable, "manage.py", "migrate", "contenttypes", "-v0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    database = tmp_path / "new" / "data" / "traceml.sqlite3"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700


def test_django_finds_nothing_to_warn_of_in_a_deployment_by_https(tmp_path):
    environment = {"PATH": os.environ["PATH"], "TRACEML_DATA": str(tmp_path)} | SOUND
    result = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment | {"TRACEML_BASE_URL": "https://traceml.example"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_a_refusal_does_not_repeat_the_mail_servers_password(tmp_path):
    assert "secret" not in start(tmp_path, EMAIL_URL="smtp://me:secret@mail.example:port").stderr


@pytest.mark.parametrize(("command", "limit_ms"), [("restore", 0), ("housekeeping", 5000), ("worker", 5000)])
def test_a_statement_ends_after_five_seconds_but_in_a_restore(command, limit_ms, tmp_path):
    code = f"import sys; sys.argv = ['manage.py', '{command}']; from traceml_site import settings; "
    code += "print(settings.DATABASES['default']['OPTIONS']['options'])"
    environment = {
        "PATH": os.environ["PATH"],
        "TRACEML_DATA": str(tmp_path),
        "DATABASE_URL": "postgres://a@b/c",
    } | SOUND
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().startswith(f"-c statement_timeout={limit_ms} ")
