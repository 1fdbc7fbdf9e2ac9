"""No form fills the disk or the memory of a server: what is too large is refused by its length."""

import pytest

from tests.serving import servers
from tests.serving.servers import dial, read_all

EDGE = b"--edge\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
HEAD = (
    b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n\r\n"
)
ADDRESSES = [b"/accounts/login/", b"/admin/hardware/hardwareprofile/import/", b"/runs/", b"/nowhere/"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def port(database_url, place, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "portal.log"
    with servers.portal(database_url, log, TMPDIR=str(place)) as port:
        yield port


def uploads(place) -> list:
    return [each for each in place.rglob("*") if "upload" in each.name]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("size", [2_200_000, 3_900_000])
def test_a_file_of_some_megabytes_is_refused_and_not_stored(port, place, address, size):
    body = EDGE + b"x" * size + b"\r\n--edge--\r\n"
    with dial(port, HEAD % (address, len(body)) + body) as sock:
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"The limit is 1 MB for a form and 2 MB for a file" in answer
    assert uploads(place) == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_one_of_a_hundred_megabytes_is_refused_before_it_is_sent(port, place, address):
    with dial(port, HEAD % (address, 100_000_000) + EDGE) as sock:
        assert read_all(sock).startswith(b"HTTP/1.1 413 ")
    assert uploads(place) == []


def test_a_form_that_fits_goes_no_way_by_the_disk(port, place):
    body = EDGE + b"x" * 1_000_000 + b"\r\n--edge--\r\n"
    with dial(port, HEAD % (b"/accounts/login/", len(body)) + body) as sock:
        assert read_all(sock).startswith(b"HTTP/1.1 403 ")  # understood: a form without its CSRF token
    assert uploads(place) == []
