"""What docs/deploy.md has people copy: the image, compose, units and samples fit this portal."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
GUIDE = (ROOT / "docs" / "deploy.md").read_text()


def test_the_lock_holds_what_is_chosen_and_a_hash_of_everything():
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==([^ \\;]+)", lock, re.MULTILINE))
    chosen = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {name: locked.get(name.lower().replace("_", "-")) for name, _ in chosen} == dict(chosen)
    entries = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) > len(chosen)


def test_no_file_names_a_registry():
    """Images are named as everybody names them, packages by their names."""
    for image in [*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), *(s.get("image", "") for s in services())]:
        assert "." not in image.partition("/")[0].partition(":")[0], image
    assert "://" not in re.sub(r"http://127\.0\.0\.1", "", DOCKERFILE)
    assert "://" not in (ROOT / "requirements.lock").read_text()


def services() -> list[dict]:
    return list(COMPOSE["services"].values())


def test_the_dockerfile_passes_its_linter():
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists() and not os.environ.get("CI"):
        pytest.skip("Left out: no hadolint here")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_image_copies_is_there():
    copied = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE)
    assert copied
    assert all((ROOT / path).exists() for path in copied)


def test_the_step_that_makes_static_files_works_without_secrets_or_database(tmp_path):
    (line,) = re.findall(r"^RUN (.*collectstatic.*)$", DOCKERFILE, re.MULTILINE)
    line = line.replace("/srv/static", f"{tmp_path}/static").replace("/tmp/build", f"{tmp_path}/build")
    line = line.replace("python ", f"{sys.executable} ")
    subprocess.run(["sh", "-c", line], cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=True, capture_output=True)
    assert (tmp_path / "static" / "staticfiles.json").exists()
    assert not (tmp_path / "build").exists()


def test_the_start_is_a_sound_script_and_passes_words_on_to_manage(tmp_path):
    start = ROOT / "deploy" / "start"
    assert os.access(start, os.X_OK)
    subprocess.run(["sh", "-n", start], check=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    settings = {"PATH": path, "SECRET_KEY": os.environ["SECRET_KEY"], "TRACEML_DATA": str(tmp_path)}
    done = subprocess.run([start, "check"], cwd=ROOT, env=settings, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[:3]) == (0, ["System", "check", "identified"]), done.stderr


def test_every_service_comes_back_and_is_watched():
    for name, service in COMPOSE["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or "HEALTHCHECK" in DOCKERFILE.split("FROM")[-1], name
    assert set(COMPOSE["services"]) == {"web", "worker", "database", "proxy"}


def test_nothing_but_the_proxy_is_reached_from_outside():
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["proxy"]


def test_data_lies_in_volumes():
    used = {str(volume).partition(":")[0] for service in services() for volume in service.get("volumes", ())}
    assert {name for name in used if not name.startswith(".")} == set(COMPOSE["volumes"])


def test_no_secret_has_a_value_in_a_file():
    text = (ROOT / "compose.yaml").read_text() + (ROOT / "deploy" / "environment.example").read_text()
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        given = set(re.findall(rf"^ *{name}[:=] *(\S*)", text, re.MULTILINE))
        assert all(value == "" or value.startswith("${" + name + ":?") for value in given), name


def test_compose_sets_only_what_the_portal_or_its_neighbours_know():
    known = (ROOT / "docs" / "settings.md").read_text()
    given = set(COMPOSE["x-portal"]["environment"])
    assert {name for name in given if f"`{name}`" not in known} == set()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_well_formed(path):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(path)
    assert unit["Unit"]["Description"]
    if path.suffix == ".timer":
        assert path.with_suffix(".service") in UNITS
        assert unit["Install"]["WantedBy"] == "timers.target"
    else:
        assert unit["Service"]["NoNewPrivileges"] == "yes"
        assert unit["Service"]["ExecStart"].startswith("/")
    if verify := shutil.which("systemd-analyze"):
        done = subprocess.run([verify, "verify", "--man=no", path], capture_output=True, text=True)
        said = [line for line in done.stderr.splitlines() if path.name in line and "not executable" not in line]
        assert said == []


def test_every_command_that_is_named_exists():
    texts = [GUIDE, DOCKERFILE, (ROOT / "deploy" / "start").read_text(), *(path.read_text() for path in UNITS)]
    named = {word for text in texts for word in re.findall(r"manage\.py ([a-z_]+)", text)}
    named |= {shlex.split(" ".join(service["command"]))[0] for service in services() if "command" in service}
    assert len(named) > 8
    assert named - set(get_commands()) == set()


def test_every_configuration_that_gunicorn_is_told_exists():
    texts = [(ROOT / "deploy" / "start").read_text(), *(path.read_text() for path in UNITS)]
    named = [name for text in texts for name in re.findall(r"-c python:(\S+)", text)]
    assert len(named) >= 2
    assert [name for name in named if find_spec(name) is None] == []


def test_every_file_that_the_guide_names_is_there():
    named = re.findall(r"\b(?:deploy/[\w./-]*\w|compose\.yaml|Dockerfile|requirements\.lock)", GUIDE)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_setting_that_the_guide_names_is_documented():
    known = (ROOT / "docs" / "settings.md").read_text() + (ROOT / "deploy" / "environment.example").read_text()
    named = set(re.findall(r"\b(?:TRACEML|DATABASE|SECRET|EMAIL|POSTGRES)_[A-Z_]+\b", GUIDE))
    assert {name for name in named if name not in known} == set()


def test_caddy_takes_its_sample():
    caddy = shutil.which("caddy")
    if not caddy:
        pytest.skip("Left out: no Caddy on this machine")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", ROOT / "deploy" / "Caddyfile"]
    assert subprocess.run(command, capture_output=True).returncode == 0
