"""`push_to_card`: a run's energy in a model card's file, which is never left half written."""

import json
import os
import subprocess
import sys

import pytest

import traceml_agent
from traceml_agent.outputs.card import push_to_card


@pytest.fixture
def run(home, tmp_path, monkeypatch):
    """A run that was stopped, of a process that is busy."""
    monkeypatch.setenv("TRACEML_AGENT_SPOOL_DIR", str(tmp_path / "spool"))
    run = traceml_agent.start("digits", kind="finetuning")
    sum(number * number for number in range(300_000))
    run.stop()
    return run


def test_a_card_gets_the_emissions_of_the_run_in_grams(run, tmp_path):
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\n---\n# Digits\n")
    assert push_to_card(card, run)
    head, _, rest = card.read_text().removeprefix("---\n").partition("\n---\n")
    lines = dict(line.strip().split(": ", 1) for line in head.splitlines() if ": " in line)
    assert (lines["license"], rest) == ("mit", "# Digits\n")
    assert float(lines["emissions"]) == pytest.approx(1000 * run.summary.emissions_kg, rel=1e-5)
    assert json.loads(lines["training_type"]) == "fine-tuning"
    assert "world average" in lines["source"]
    assert "geographical_location" not in lines


def test_a_folder_gets_a_readme_and_a_link_stays_a_link(run, tmp_path):
    assert push_to_card(tmp_path, run)
    assert (tmp_path / "README.md").read_text().startswith("---\nco2_eq_emissions:\n")
    (tmp_path / "link.md").symlink_to(tmp_path / "README.md")
    (tmp_path / "README.md").chmod(0o640)
    (tmp_path / "README.md").write_text("text")
    assert push_to_card(tmp_path / "link.md", run)
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "README.md").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "README.md").read_text().endswith("text")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"---\nco2_eq_emissions: {a: 1}\n---\n"])
def test_a_card_that_can_not_be_edited_is_unchanged_and_the_log_says_why(run, tmp_path, content, caplog):
    card = tmp_path / "README.md"
    card.write_bytes(content)
    assert not push_to_card(card, run)
    assert card.read_bytes() == content
    assert "is unchanged" in caplog.text
    assert [each.name for each in tmp_path.glob("README*")] == ["README.md"]


def test_a_pipe_is_no_card_and_nobody_waits_for_its_writer(run, tmp_path, caplog):
    os.mkfifo(tmp_path / "README.md")
    assert not push_to_card(tmp_path, run)
    assert "it is no file" in caplog.text


def test_a_full_disk_costs_neither_the_card_nor_leaves_anything(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "README.md").write_text("text")
    monkeypatch.setattr("os.replace", full)
    assert not push_to_card(tmp_path / "README.md", run)
    assert [each.name for each in tmp_path.glob("README*")] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "text"


def test_without_a_run_or_a_portal_nothing_is_written_and_nothing_raised(home, tmp_path, caplog):
    assert not push_to_card(tmp_path / "README.md")
    assert not push_to_card(tmp_path / "README.md", model="resnet-50")
    assert not push_to_card(tmp_path / "no" / "README.md", object())
    assert not (tmp_path / "README.md").exists()


def test_the_agent_offers_it_without_loading_it():
    code = "import sys, traceml_agent as t; print('traceml_agent.outputs.card' in sys.modules, t.push_to_card.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "push_to_card"]
