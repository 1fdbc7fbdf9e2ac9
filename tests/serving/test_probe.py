"""`/healthz` for probes, which know an address and no name."""

import pytest

from tests.serving import servers


@pytest.mark.parametrize("host", ["10.1.2.3", "10.1.2.3:8000", "[fd00::1]", "evil.example", "a b"])
def test_it_answers_under_any_host_and_writes_no_line(database_url, tmp_path, host):
    log = tmp_path / "log"
    with servers.portal(database_url, log, TRACEML_BASE_URL="https://lab.example/traceml", LOG_LEVEL="info") as port:
        servers.get(port, "/healthz")  # by then all that a start says is said
        before = log.read_text()
        for path in ("/healthz", "/traceml/healthz"):
            with servers.dial(
                port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            ) as sock:
                assert servers.read_all(sock).endswith(b"\r\n\r\nok")
        assert log.read_text() == before


def test_it_says_when_the_database_is_gone(database_url, tmp_path):
    nowhere = f"sqlite:///{tmp_path}/not/there.sqlite3"
    with servers.portal(nowhere, tmp_path / "log") as port, servers.dial(port, REQUEST) as sock:
        assert servers.read_all(sock).startswith(b"HTTP/1.1 503 ")


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
