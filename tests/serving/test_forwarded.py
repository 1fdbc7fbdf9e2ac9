"""Headers of a proxy count where TRACEML_BEHIND_PROXY says that there is one, and nowhere else, not even from here."""

import pytest

from tests.serving import servers

CLAIMS = {
    "scheme": "X-Forwarded-Proto: https\r\n",
    "other words for it": "X-Forwarded-Ssl: on\r\nX-Forwarded-Protocol: ssl\r\nFront-End-Https: on\r\n",
    "RFC 7239": "Forwarded: for=203.0.113.7;proto=https;host=evil.example\r\n",
    "host": "X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 444\r\nX-Forwarded-Server: evil.example\r\n",
    "path": "SCRIPT_NAME: /evil\r\nX-Script-Name: /evil\r\nX-Forwarded-Prefix: /evil\r\n",
    "inner path": "PATH_INFO: /evil\r\n",
}


def ask(port: int, more: str, host: str = "127.0.0.1") -> bytes:
    """The head of an answer that redirects: it tells which scheme, host and path the portal takes for its own."""
    head = f"GET /settings/ HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"
    with servers.dial(port, head.encode()) as sock:
        return servers.read_all(sock).partition(b"\r\n\r\n")[0]


def plain(head: bytes) -> list[bytes]:
    return [line for line in head.splitlines() if not line.startswith((b"X-Request-ID", b"Date"))]


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_without_a_proxy_nothing_forwarded_is_believed(port, claim):
    assert plain(ask(port, claim)) == plain(ask(port, ""))
