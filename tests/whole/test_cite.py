"""`traceml-agent cite` and `push_to_card(model=…)`: the portal's own texts, and cards made of its figures."""

import json
import re

import pytest

from tests.api.test_reads import logged_run
from tests.people import token
from traceml_agent import cli, push_to_card

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cite(live_server, people, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder, with a token that may read; its status, stdout and stderr."""
    settings = {"URL": live_server.url, "TOKEN": token(people.project, "read"), "SPOOL_DIR": str(tmp_path / "spool")}
    for name, value in settings.items():
        monkeypatch.setenv(f"TRACEML_AGENT_{name}", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            status = cli.main(["cite", *words])
        except SystemExit as stopped:
            status = stopped.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.mark.parametrize("form", ["yaml", "tex", "md", "bib", "eu", "sci", "json"])
def test_a_models_text_is_the_one_of_its_page(cite, wire, client, people, form):
    logged_run(wire)
    client.force_login(people.alice)
    page = client.get(f"/models/digits/resnet-50/cite.{form}").content.decode()
    assert cite("resnet-50", "--format", form) == (0, page, "")
    assert wire.get("models/resnet-50/citation", format=form).content.decode() == page


def test_a_scope_is_chosen_and_a_file_written(cite, wire, tmp_path):
    logged_run(wire)
    assert cite("resnet-50", "--of", "final", "--output", "said.md")[0] == 0
    assert (tmp_path / "said.md").read_text().startswith("The final training run of resnet")


def test_a_card_gets_the_models_figures(cite, wire, tmp_path):
    logged_run(wire)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nText\n")
    status, out, err = cite("resnet-50", "--card", "README.md")
    assert (status, out) == (0, "")
    assert "wrote co2_eq_emissions into" in err
    by_command = (tmp_path / "README.md").read_text()
    facts = json.loads(cite("resnet-50", "--format", "json")[1])
    grams = float(re.search(r"emissions: ([\d.e+-]+)", by_command)[1])
    assert grams == pytest.approx(1000 * facts["emissions_kg"], rel=1e-5)
    assert push_to_card(tmp_path, model="resnet-50")
    assert (tmp_path / "README.md").read_text() == by_command


@pytest.mark.parametrize("more", [(), ("--card", "README.md")])
def test_a_model_that_there_is_not_is_one_sentence_with_those_that_there_are(cite, wire, more):
    logged_run(wire)
    status, out, err = cite("ResNet 50", *more)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "no model ResNet 50; models: resnet-50" in err


def test_without_a_name_the_models_are_told(cite, wire):
    logged_run(wire)
    status, _, err = cite()
    assert (status, "resnet-50" in err) == (2, True)


def test_a_run_of_the_spool_is_cited_without_a_portal(cite, monkeypatch):
    import traceml_agent

    monkeypatch.delenv("TRACEML_AGENT_URL")
    run = traceml_agent.start("digits", kind="training")
    sum(number * number for number in range(300_000))
    run.stop()
    card = cite("--run", "latest", "--format", "yaml")[1]
    grams = float(re.search(r"emissions: ([\d.e+-]+)", card)[1])
    assert grams == pytest.approx(1000 * run.summary.emissions_kg, rel=1e-3)
    assert cite("--run", run.run_id[:8])[1].startswith("A run of digits used ")
    assert json.loads(cite("--run", "latest", "--format", "json")[1])["kind"] == "training"
    assert cite("--run", "latest", "--format", "tex")[0] == 2
    assert cite("--run", "ffffffff")[0] == 1
