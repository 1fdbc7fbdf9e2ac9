"""Promise PS34: slow, idle and half-open clients stop nobody, in the way that `make run` serves.

Whoever is stopped waits for the deadline of those who hold, ten seconds at least; these clients give up after five.
"""

import socket
import time
from contextlib import ExitStack

import pytest

from tests.serving.servers import dial, get, read_all

LINE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FORM = b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HELD = {
    "idle": b"",
    "half a line": b"GET /hea",
    "half a head": LINE,
    "empty lines": b"\r\n\r\n\r\n",
    "half a form": FORM + b"Content-Length: 1000\r\n\r\nlogin=a",
    "no byte of a form": FORM + b"Content-Length: 1000\r\n\r\n",
    "half a chunk": FORM + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "a form of 100 MB": FORM + b"Content-Length: 100000000\r\n\r\nlogin=a",
    "an upload": b"PUT /api/v1/runs/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n{",
    "a second request, half": LINE + b"\r\n" + LINE,
    "answered, and kept open": LINE + b"Connection: close\r\n\r\n",
    "two lengths": FORM + b"Content-Length: 5\r\nContent-Length: 1000\r\n\r\nabc",
}


@pytest.mark.parametrize("data", HELD.values(), ids=HELD)
def test_a_hundred_of_them_leave_a_page_and_the_probe_as_they_are(port, data):
    get(port, "/accounts/login/")  # loads templates, which is not what is asked here
    with ExitStack() as held:
        for _ in range(100):
            held.enter_context(dial(port, data))
        assert get(port, "/healthz") == (200, b"ok")
        assert get(port, "/accounts/login/")[0] == 200


def test_readers_that_take_nothing_hold_no_thread(port):
    """Each asks for more than a small window takes, forty times over, and reads none of it."""
    asked = b"GET /static/vendor/chartjs/chart.umd.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 40
    with ExitStack() as held:
        for _ in range(40):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", port))
            sock.sendall(asked)
            held.enter_context(sock)
        for _ in range(3):
            assert get(port, "/healthz") == (200, b"ok")


def test_a_half_request_ends_after_its_deadline(port):
    with dial(port, LINE) as sock:
        assert read_all(sock).startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_ends_after_its_deadline(port):
    with dial(port) as sock:
        assert read_all(sock) == b""


def test_a_request_that_comes_in_pieces_is_answered(port):
    with dial(port) as sock:
        for byte in LINE + b"Connection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert read_all(sock).endswith(b"ok")


def test_requests_on_one_connection_are_answered_in_turn(port):
    with dial(port, (LINE + b"\r\n") * 5 + LINE + b"Connection: close\r\n\r\n") as sock:
        assert read_all(sock).count(b"HTTP/1.1 200 OK") == 6


def test_a_body_in_pieces_arrives_whole(port):
    body = b"login=nobody%40example.org&password=x"
    with dial(port, FORM + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)) as sock:
        for first in range(0, len(body), 5):
            time.sleep(0.01)
            sock.sendall(body[first : first + 5])
        assert b"403 Forbidden" in read_all(sock)  # understood: a form without its CSRF token


def test_who_waits_to_be_asked_for_a_body_is_asked(port):
    with dial(port, FORM + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 7\r\n\r\n") as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"login=a")
        assert b"403 Forbidden" in read_all(sock)


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nContent-Length: 50\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ],
)
def test_no_part_of_a_body_is_taken_for_a_request(port, lengths):
    """Whatever two readers might make of its length: the connection ends with the first answer."""
    with dial(port, FORM + lengths + b"\r\n" + LINE + b"\r\n" + LINE + b"\r\n") as sock:
        assert read_all(sock).count(b"HTTP/1.1 ") <= 1


def test_an_endless_head_is_refused(port):
    with dial(port, LINE + b"X: " + b"a" * 70_000) as sock:
        assert read_all(sock).startswith(b"HTTP/1.1 431 ")


def test_a_large_answer_arrives_whole(port):
    status, body = get(port, "/static/vendor/chartjs/chart.umd.min.js")
    assert status == 200
    assert len(body) > 150_000


def test_a_thousand_connections_leave_room_for_honest_ones(port):
    with ExitStack() as held:
        for _ in range(1000):
            held.enter_context(dial(port))
        assert get(port, "/healthz") == (200, b"ok")
