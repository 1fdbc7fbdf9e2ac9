"""Servers for all tests of this folder, with one portal's tables, and a portal under gunicorn as deployed."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.backup import places
from tests.postgres import servers
from tests.serving import servers as serving

METRICS_TOKEN = "of-prometheus"
#: Alice's session and two tokens of her project.
SETTLE = """
import json
from django.test import Client
from tests import people
alice, client = people.settle(), Client()
client.force_login(alice.alice)
print(json.dumps([client.cookies["sessionid"].value, people.token(alice.project), people.token(alice.project)]))
"""


class Cluster(NamedTuple):
    primary: servers.Server
    replica: servers.Server
    #: The URL of the primary through PgBouncer.
    bounced: str
    session: str
    token: str
    token_to_revoke: str


class Portal(NamedTuple):
    """What Alice gets from a portal, by her session and her token."""

    port: int
    cluster: Cluster

    def ask(self, path: str, data: bytes | None = None, token: str = "", **how) -> tuple[int, str]:
        """Status and text of what her browser gets, or her token if the path is the API's."""
        if path.startswith("/api/"):
            headers = {"Authorization": f"Bearer {token or self.cluster.token}", "Content-Type": "application/json"}
        else:
            headers = {"Cookie": f"sessionid={self.cluster.session}; csrftoken={'c' * 32}"}
        address = f"http://127.0.0.1:{self.port}"
        headers |= {"X-CSRFToken": "c" * 32, "Referer": address}
        request = urllib.request.Request(address + path, data, headers, **how)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def figures(self) -> dict[str, float]:
        """The samples of /metrics by name and labels."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics")
        request.add_header("Authorization", f"Bearer {METRICS_TOKEN}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", answer.read().decode(), re.M)}


def until(is_so: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with servers.primary() as primary, servers.bouncer(primary) as bounced:
        places.done(bounced, "migrate", "--verbosity", 0)
        made = json.loads(places.done(bounced, "shell", "--verbosity", 0, "--command", SETTLE))
        with servers.replica(primary) as replica:
            yield Cluster(primary, replica, bounced, *made)


@pytest.fixture(scope="session")
def portal(cluster, tmp_path_factory) -> Iterator[Portal]:
    """Through PgBouncer, with the replica; one process, so that it is known what it found out about the replica."""
    log = tmp_path_factory.mktemp("portal") / "log"
    settings = {"TRACEML_METRICS_TOKEN": METRICS_TOKEN, "WEB_CONCURRENCY": "1"}
    settings["DATABASE_REPLICA_URL"] = cluster.replica.url("traceml")
    with serving.portal(cluster.bounced, log, **settings) as port:
        yield Portal(port, cluster)
