"""Onboarding: a token made in place, lines that work, and the wait that ends with the run."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from django.utils import timezone

from runs.agent_wheel import wheel
from runs.ingest.removal import remove_project
from runs.models import ApiToken, Membership, Project, Refusal, Role, Run
from runs.start.view import TABS
from tests.documents import blocks
from tests.screens.html import Page
from tests.wire import Wire, header

SNIPPETS = Path(__file__).resolve().parents[3] / "templates" / "start" / "snippets"


def make_token(reader, project="digits") -> Page:
    return Page(reader.post(f"/start/{project}/token/", {"days": "90"}, follow=True))


def plain_text(page: Page) -> str:
    return re.search(r"TRACEML_AGENT_TOKEN=(tml_\w{12}_[\w-]{43})\b", page.by_id("install").text)[1]


def test_a_token_is_made_in_place_and_stands_in_the_lines_to_paste(alice, client, people):
    page = make_token(alice)
    wire = Wire(client, plain_text(page))
    assert wire.put("runs/7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11", header()).status_code == 201
    assert wire.get("runs").status_code == 403
    assert Run.objects.get().project == people.project


def test_the_token_is_gone_from_the_page_at_the_next_look(alice):
    secret = plain_text(make_token(alice))
    assert secret not in alice.get("/start/").content.decode()
    assert "tml_…" in alice.read("/start/").by_id("install").text


def test_the_lines_name_the_portal_by_its_own_address_and_not_by_the_requests(alice, settings):
    settings.TRACEML_BASE_URL = "https://traceml.example"
    page = Page(alice.get("/start/", headers={"Host": "localhost"}))
    assert "TRACEML_AGENT_URL=https://traceml.example " in page.by_id("install").text + " "
    assert "ALLOW_HTTP" not in page.text


def test_the_agent_comes_from_the_portal_itself(alice, settings):
    settings.TRACEML_BASE_URL = "https://traceml.example"
    line = alice.read("/start/").by_id("install").text
    address = f"https://traceml.example/agent/{wheel().name}#sha256={wheel().sha256}"
    assert line.startswith(f'pip install "traceml-agent @ {address}" export ')


@pytest.mark.parametrize(("url", "told"), [("http://gpu-portal:8000", True), ("http://127.0.0.1:8000", False)])
def test_plain_http_to_another_machine_is_told_to_the_agent(alice, settings, url, told):
    settings.TRACEML_BASE_URL = url
    assert ("TRACEML_AGENT_ALLOW_HTTP=1" in alice.read("/start/").by_id("install").text) == told


def test_it_takes_the_project_that_was_asked_for_and_no_other_teams(alice, people):
    Project.objects.create(team=people.project.team, name="Letters", slug="letters")
    assert "Letters" in alice.read("/start/", project="letters").by_id("step-token").text
    assert alice.get("/start/", {"project": "secrets"}).status_code == 404
    assert alice.get("/start/", {"project": "a\0b"}).status_code == 400


def test_a_viewer_is_told_whom_to_ask(bob, people):
    Membership.objects.filter(user=people.bob).update(role=Role.VIEWER)
    page = bob.read("/start/")
    assert "Ask an admin of the team" in page.text
    assert page.by_id("step-token").all("form") == []


def test_a_team_without_a_project_leads_to_making_one(alice, people):
    people.project.delete()
    assert "/settings/" in alice.read("/start/").one("main").all("a")[0].attributes["href"]


def news(reader, **query) -> dict:
    return reader.get("/start/digits/news", query).json()


def test_nothing_has_arrived_at_first(alice):
    assert news(alice) == {"run": None, "refusal": None}


def test_the_wait_ends_with_a_link_to_the_run(alice, wire):
    run_id = wire.start(name="first")
    assert news(alice)["run"] == {"url": f"/runs/{run_id}/", "name": "first"}
    assert f"/runs/{run_id}/" in alice.read("/start/digits/").links()


def test_a_project_with_runs_waits_for_the_next(alice, wire):
    wire.start(name="old")
    url = alice.read("/start/").by_id("waiting").attributes["data-news"]
    assert alice.get(url).json()["run"] is None
    run_id = wire.start(name="new")
    assert alice.get(url).json()["run"] == {"url": f"/runs/{run_id}/", "name": "new"}


@pytest.mark.parametrize("since", ["yesterday", "2026-01-31", "2026-13-31T12:00:00Z", "a\0b"])
def test_a_since_that_is_no_time_is_refused(alice, since):
    assert alice.get("/start/digits/news", {"since": since}).status_code == 400


def test_without_a_script_the_waiting_page_renews_itself_until_the_run_is_there(alice, wire):
    def renews() -> bool:
        return b'http-equiv="refresh"' in alice.get("/start/digits/").content

    assert renews()
    wire.start()
    assert not renews()


def test_what_was_refused_is_told_with_its_reason(alice, wire):
    wire.put("runs/7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11", header(kind="daydreaming"))
    told = news(alice)["refusal"]
    assert (told["status"], told["reason"]) == (422, "kind: this value is not allowed.")
    assert "kind: this value is not allowed." in alice.read("/start/").by_id("waiting").text


def test_what_was_refused_before_is_not_told_again(alice, wire):
    wire.put("runs/7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11", header(kind="daydreaming"))
    assert news(alice, since=timezone.now().isoformat())["refusal"] is None


def test_nobody_else_hears_of_it(alice, charlie, wire):
    wire.put("runs/7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11", {})
    assert charlie.get("/start/digits/news").status_code == 404
    assert charlie.get("/start/secrets/news").json()["refusal"] is None


def snippets(name: str) -> list[str]:
    """The blocks of code of a tab. A notebook has two, as it needs two cells."""
    found = re.findall(r"<pre[^>]*><code[^>]*>(.*?)</code></pre>", (SNIPPETS / f"{name}.html").read_text(), re.DOTALL)
    return [unescape(code).strip() for code in found]


@pytest.mark.parametrize("name", [name for name in TABS if name != "command"])
def test_the_lines_of_a_tab_are_the_first_of_its_document_which_a_test_runs(name):
    document = {"python": "pytorch", "sklearn": "scikit-learn", "notebook": "notebooks"}.get(name, name)
    shown, documented = snippets(name), blocks(f"docs/integrations/{document}.md", "python")
    assert shown
    assert shown == [code.strip() for code in documented[: len(shown)]]


def test_each_tab_shows_its_lines():
    """Without a script: by a rule of the style sheet for each."""
    rules = (SNIPPETS.parents[2] / "static" / "css" / "start.css").read_text()
    for number in range(1, len(TABS) + 1):
        assert f"input:nth-of-type({number}):checked ~ section:nth-of-type({number})" in rules


def export(tmp_path, code: str) -> dict:
    """The run that this code left in the spool, without a server."""
    environment = os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=60)
    words = [sys.executable, "-m", "traceml_agent", "export", "latest"]
    return json.loads(subprocess.run(words, env=environment, check=True, capture_output=True, timeout=60).stdout)


def test_the_snippet_for_python_runs_as_it_stands(tmp_path):
    run = export(tmp_path, "train_one_epoch = lambda: 0.5\n" + snippets("python")[0])
    assert [stage["name"] for stage in run["stages"]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert {metric["name"] for metric in run["metrics"]} == {"loss"}


def test_the_snippet_for_sklearn_runs_as_it_stands(tmp_path):
    data = """
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
x_train, y_train = load_iris(return_X_y=True)
x_test, y_test, model = x_train, y_train, DecisionTreeClassifier()
"""
    assert export(tmp_path, data + snippets("sklearn")[0])["summary"]["energy_kwh"] > 0


def test_tokens_expire_as_chosen(alice):
    make_token(alice)
    assert abs(ApiToken.objects.get().expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


def test_a_refusal_goes_with_its_project(people, wire):
    wire.put("runs/7b0f9c0e-3f5c-4f0a-9a53-0d2f6b1c1a11", {})
    remove_project(people.project)
    assert not Refusal.objects.exists()
