"""The portal hands out its own agent: a wheel and an index, to everybody who can reach it."""

import hashlib
import io
import os
import re
import shutil
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest

from runs import agent_wheel as agent
from tests.screens.html import Page
from traceml_site.checks import the_agent_is_here

ROOT = Path(__file__).resolve().parents[2]
INDEX = "/agent/simple/traceml-agent/"


@pytest.fixture
def link(client, db) -> str:
    """The one link of the index."""
    (found,) = Page(client.get(INDEX)).links()
    return urljoin(INDEX, found)


def test_the_index_leads_to_the_wheel_and_names_its_digest(client, link):
    address, _, digest = link.partition("#sha256=")
    answer = client.get(address)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == digest


def test_the_list_of_packages_holds_the_agent_alone(client, db):
    assert [urljoin("/agent/simple/", each) for each in Page(client.get("/agent/simple/")).links()] == [INDEX]


def test_the_wheel_is_the_checkouts_agent_with_all_it_needs(client, link):
    wheel = zipfile.ZipFile(io.BytesIO(client.get(link).content))
    version = re.search(r"[0-9][^-]*", link)[0]
    about = wheel.read(f"traceml_agent-{version}.dist-info/METADATA").decode()
    assert f'__version__ = "{version}"' in wheel.read("traceml_agent/version.py").decode()
    assert {"traceml_agent/catalogue/data/cpus.csv", "traceml_agent/py.typed"} <= set(wheel.namelist())
    assert {"Requires-Dist: requests>=2.31", "Provides-Extra: amd"} <= set(about.splitlines())


def test_pip_learns_which_python_it_needs_before_it_loads_the_wheel(client, db):
    (anchor,) = Page(client.get(INDEX)).root.all("a")
    assert anchor.attributes["data-requires-python"] == ">=3.10"


def test_every_worker_and_host_hands_out_the_same_bytes(settings, tmp_path):
    """Whatever the times of its checkout's files are."""
    copy = tmp_path / "agent"
    shutil.copytree(settings.AGENT_DIR, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1e9, 1e9))
    here = agent.wheel()
    settings.AGENT_DIR = copy
    assert agent._built.__wrapped__() == here


@pytest.mark.parametrize(
    "address", ["/agent/traceml_agent-0.0.9-py3-none-any.whl", "/agent/simple/requests/", "/agent/x"]
)
def test_it_hands_out_nothing_else(client, people, address):
    client.force_login(people.alice)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/agent/simple/", INDEX, "the wheel"])
def test_caches_ask_and_load_nothing_twice(client, link, address):
    address = link if address == "the wheel" else address
    first = client.get(address)
    assert first["Cache-Control"] == "public, no-cache"
    assert "Set-Cookie" not in first
    again = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_it_costs_the_database_nothing(client, link, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get(link)


def test_a_checkout_without_its_agent_is_told_at_the_start(settings, tmp_path):
    settings.AGENT_DIR = tmp_path
    assert "builds its agent download" in the_agent_is_here(None)[0].msg


def test_nobody_is_sent_to_an_index_where_anybody_may_take_the_name():
    """And the wheel that a text names is the one that is there."""
    texts = [ROOT / "README.md", ROOT / "agent" / "README.md", *(ROOT / "docs").glob("*.md")]
    texts += [*(ROOT / "templates").rglob("*.html"), *(ROOT / "agent" / "src").rglob("*.py")]
    by_name = re.compile(r"(?:install|add) [^\n@]*traceml-agent(?!\S* @ )")
    assert [path for path in texts if by_name.search(path.read_text())] == []
    named = {name for path in texts for name in re.findall(r"traceml_agent-[0-9]\S*?\.whl", path.read_text())}
    assert named == {agent.wheel().name}
