"""Who a run is, and what it does not tell."""

import sys
import types
import uuid

import pytest

from traceml_agent import limits
from traceml_agent.host import identity
from traceml_agent.inputs import config


def test_a_run_id_is_a_random_uuid():
    ids = {identity.new_run_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(uuid.UUID(each).version == 4 for each in ids)


def test_a_uuid_from_the_settings_is_taken_as_it_is():
    given = str(uuid.uuid4())
    assert identity.run_id_of(given.upper()) == given


def test_a_jobs_name_is_always_the_same_run():
    assert identity.run_id_of("slurm-4711") == identity.run_id_of("slurm-4711") != identity.run_id_of("slurm-4712")
    assert uuid.UUID(identity.run_id_of("slurm-4711"))


def test_the_hosts_name_is_hidden_unless_the_settings_allow_it():
    import os

    name = os.uname().nodename
    mine, others = config.load(token="tml_a"), config.load(token="tml_b")
    assert name not in identity.host_label(mine)
    assert identity.host_label(mine) == identity.host_label(mine) != identity.host_label(others)
    assert identity.host_label(config.load(hostname=True)) == name


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://user:secret@example.org/team/code.git?x=1", "https://example.org/team/code.git"),
        ("git@example.org:team/code.git", "example.org:team/code.git"),
        ("https://example.org/team/code.git", "https://example.org/team/code.git"),
        ("/srv/git/code.git", "/srv/git/code.git"),
    ],
)
def test_a_remotes_credentials_are_left_out(address, told):
    assert identity.without_credentials(address) == told


def test_the_commit_is_read_from_the_checkouts_files(tmp_path):
    import subprocess

    def git(*words):
        given = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(["git", *given, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-b", "main")
    git("commit", "--allow-empty", "-m", "first")
    git("remote", "add", "origin", "https://me:secret@example.org/code.git")
    (tmp_path / "src").mkdir()
    head = git("rev-parse", "HEAD").strip()
    expected = {"git_commit": head, "git_branch": "main", "git_remote": "https://example.org/code.git"}
    assert identity.git(str(tmp_path / "src")) == expected
    git("pack-refs", "--all")
    assert identity.git(str(tmp_path))["git_commit"] == head


def test_no_checkout_is_no_commit(tmp_path):
    assert identity.git(str(tmp_path)) == {}


def module(name: str, **attributes) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(attributes)
    return made


@pytest.mark.parametrize("name", ["lightgbm", "optuna", "flax", "vllm", "datasets", "accelerate", "peft", "sklearn"])
def test_the_environment_names_the_packages_of_the_field_that_are_loaded(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, module(name, __version__="4.5.0"))
    assert identity.environment()[name] == "4.5.0"


def test_the_environment_imports_nothing_and_bears_modules_that_fail(monkeypatch):
    def fail(name):
        raise ImportError(name)

    for name in identity.FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "jax", module("jax", __getattr__=fail))
    monkeypatch.setitem(sys.modules, "optuna", module("optuna", __version__="4\x00\u202e.1"))
    before = set(sys.modules)
    found = identity.environment()
    assert set(sys.modules) - before == set()
    assert {name: found.get(name) for name in ("jax", "optuna", "torch")} == {
        "jax": None,
        "optuna": "4.1",
        "torch": None,
    }


def test_however_many_are_loaded_the_environment_has_no_more_keys_than_the_portal_takes(monkeypatch):
    for name in identity.FRAMEWORKS:
        monkeypatch.setitem(sys.modules, name, module(name, __version__="1.0"))
    assert len(identity.environment()) <= limits.MAX_KEYS
