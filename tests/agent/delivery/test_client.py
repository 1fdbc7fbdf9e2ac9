"""The portal as the agent sees it: what an answer means, where the token goes, and that no server holds it up."""

import json
import os
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.agent.spooling import MIB, header, new_run_id
from tests.fakes.portal import TOKEN, FakePortal
from traceml_agent.delivery import client as portal_client
from traceml_agent.delivery.client import DELIVERED, GONE, QUARANTINE, RETRY, RUN_UNKNOWN, STOP, Client, judge
from traceml_agent.inputs import config

RUN = "6d0f5f5e-0000-4000-8000-000000000001"
SENT = (RUN, "b-1", "digest")
ECHO = {"run_id": RUN, "batch_id": "b-1", "sha256": "digest", "status": "stored"}
JSON = {"Content-Type": "application/json"}


def judged(status: int, body=b"{}", **headers) -> portal_client.Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(status, JSON | {name.replace("_", "-"): value for name, value in headers.items()}, data, SENT)


def announce(settings) -> portal_client.Answer:
    return Client(settings).put_run(new_run_id(), header())


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, RETRY) for status in (408, 425, 429, 500, 502, 503, 504)],
        *[(status, STOP) for status in (301, 302, 307, 308, 401, 403, 404)],
        *[(status, QUARANTINE) for status in (400, 409, 411, 413, 415, 422)],
        (410, GONE),
    ],
)
def test_the_retry_table(status, outcome):
    assert judged(status).outcome == outcome


@pytest.mark.parametrize("change", [{}, {"run_id": "x"}, {"batch_id": None}, {"sha256": "other"}])
def test_delivered_means_that_run_batch_and_digest_are_echoed(change):
    assert judged(201, ECHO | change).outcome == (DELIVERED if not change else RETRY)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"[" * 50_000, b"\xff\xfe", b'{"errors": 5, "detail": [1]}']
)
@pytest.mark.parametrize("status", [200, 204, 404, 422, 503])
def test_a_senseless_body_never_counts_as_delivered_and_never_raises(status, body):
    assert judged(status, body).outcome in (RETRY, STOP, QUARANTINE)


def test_an_unknown_run_is_no_refused_token():
    assert judged(404, {"type": "run-unknown"}).outcome == RUN_UNKNOWN


def test_refused_fields_are_named():
    answer = judged(422, {"detail": "Not right.", "errors": [{"field": "samples[3].busy_s", "message": "too large"}]})
    assert answer.reason == "samples[3].busy_s: too large"


@pytest.mark.parametrize(
    ("value", "after_s"), [("0", 0), ("120", 120), ("3600", 3600), ("3601", None), ("-1", None), ("soon", None)]
)
def test_retry_after_in_seconds_within_an_hour(value, after_s):
    assert judged(503, Retry_After=value).after_s == after_s


@pytest.mark.parametrize("value", ["nan", "inf", "1e3", "1_0", "²", "9" * 400, "Mon, 99 Foo 2026 99:99:99 GMT", ""])
def test_nonsense_in_retry_after_is_ignored(value):
    assert judged(503, Retry_After=value).after_s is None


def test_retry_after_as_a_date():
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < judged(503, Retry_After=at).after_s <= 90


def test_a_run_is_delivered_over_one_connection(settings, portal):
    client, run_id = Client(settings), new_run_id()
    answers = [
        client.put_run(run_id, header()),
        client.put_batch(run_id, "b-1", b'{"samples":[]}'),
        client.put_finish(run_id, {"status": "completed"}),
    ]
    assert [answer.outcome for answer in answers] == [DELIVERED] * 3
    assert len({request["connection"] for request in portal.requests()}) == 1


def test_large_batches_travel_zipped_and_keep_their_digest(settings, portal):
    client, run_id = Client(settings), new_run_id()
    client.put_run(run_id, header())
    body = json.dumps({"samples": [{"t": number} for number in range(5000)]}).encode()
    assert client.put_batch(run_id, "b-1", body).outcome == DELIVERED
    request = portal.requests()[-1]
    assert request["headers"]["content-encoding"] == "gzip"
    assert int(request["headers"]["content-length"]) < len(body) / 3


def test_a_batch_that_shrinks_further_than_the_portal_unzips_travels_plain(settings, portal):
    client, run_id = Client(settings), new_run_id()
    client.put_run(run_id, header())
    assert client.put_batch(run_id, "b-1", json.dumps({"metrics": [0] * 100_000}).encode()).outcome == DELIVERED
    assert "content-encoding" not in portal.requests()[-1]["headers"]


@pytest.mark.parametrize("mode", ["captive", "drop", "503"])
def test_what_did_not_arrive_for_certain_is_sent_again(settings, portal, mode):
    portal.mode(mode)
    assert announce(settings).outcome == RETRY


def test_nobody_there_is_a_reason_to_retry(settings, portal):
    portal.stop()
    assert announce(settings).outcome == RETRY
    portal.start()


@pytest.mark.parametrize("mode", ["hang", "drip", "drip-body"])
def test_the_total_deadline_holds_whatever_drips(settings, portal, monkeypatch, mode):
    monkeypatch.setattr(portal_client, "TOTAL_S", 0.7)
    portal.mode(mode)
    began = time.monotonic()
    assert announce(settings).outcome == RETRY
    assert time.monotonic() - began < 8.0


def test_the_deadline_holds_where_the_alarm_was_blocked_by_whoever_started_us(settings, portal, monkeypatch):
    monkeypatch.setattr(portal_client, "TOTAL_S", 0.7)
    portal.mode("drip")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    began = time.monotonic()
    assert announce(settings).outcome == RETRY
    assert time.monotonic() - began < 8.0


def test_after_a_deadline_the_next_request_goes_through(settings, portal, monkeypatch):
    client = Client(settings)
    portal.mode("drip", times=1)
    with monkeypatch.context() as short:
        short.setattr(portal_client, "TOTAL_S", 0.7)
        assert client.put_run(new_run_id(), header()).outcome == RETRY
    assert client.put_run(new_run_id(), header()).outcome == DELIVERED


def test_a_huge_reply_is_cut_off(settings, portal):
    client = Client(settings)
    client.put_run(new_run_id(), header())
    portal.mode("huge")
    before_bytes, began = _resident_bytes(), time.monotonic()
    assert client.put_run(new_run_id(), header()).outcome == RETRY
    assert time.monotonic() - began < 8.0, "and not read until the deadline"
    assert _resident_bytes() - before_bytes < 2 * MIB


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_redirect_is_not_followed(settings, portal, tmp_path):
    with FakePortal(tmp_path) as elsewhere:
        portal.mode(f"redirect:{elsewhere.url}")
        assert announce(settings).outcome == STOP
        assert elsewhere.requests() == []


def test_netrc_does_not_replace_the_token(settings, portal, home):
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password other\n")
    announce(settings)
    assert portal.requests()[0]["headers"]["authorization"] == f"Bearer {TOKEN}"


def test_what_the_portal_says_of_the_agents_version_is_kept_as_a_plain_line(settings, portal):
    client = Client(settings)
    assert (announce(settings).outcome, client.notice) == (DELIVERED, "")
    portal.mode(f"notice:too old\t{TOKEN}" + "x" * 300, times=1)
    run_id = new_run_id()
    client.put_run(run_id, header())
    client.put_batch(run_id, "b-1", b'{"samples":[]}')
    assert client.notice == ("too old …" + "x" * 300)[: portal_client.MAX_REASON]


@pytest.mark.parametrize("notice", [None, 5, [], {}, "\x00"])
def test_a_senseless_notice_harms_nothing(settings, notice, monkeypatch):
    monkeypatch.setattr(portal_client, "_json", lambda *_: {"notice": notice})
    client = Client(settings)
    client.check_token()
    assert client.notice.strip() in ("", "5", "[]", "{}")


def test_cookies_are_not_kept(settings, portal):
    client = Client(settings)
    for _ in range(2):
        client.put_run(new_run_id(), header())
    assert not any("cookie" in request["headers"] for request in portal.requests())


def test_a_token_that_the_server_echoes_stays_out_of_the_reason(settings, portal):
    portal.mode("echo-token")
    assert announce(settings).reason == "I was shown Bearer … and more"


def test_the_environments_proxy_is_used(settings, portal, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", portal.url)
    announce(config.load(url="http://portal.invalid", token=TOKEN, allow_http=True))
    assert portal.requests()[0]["path"].startswith("http://portal.invalid/api/v1/runs/")


def test_a_proxy_is_left_out_for_this_machine_itself(settings, portal, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert announce(settings).outcome == DELIVERED


def test_plain_http_to_another_machine_is_refused(home):
    with pytest.raises(config.Refused, match="TRACEML_AGENT_ALLOW_HTTP=1"):
        Client(config.load(url="http://portal.example", token=TOKEN))


def test_a_ca_file_that_is_missing_is_named(home):
    with pytest.raises(config.Refused, match="TRACEML_AGENT_CA_FILE"):
        Client(config.load(url="https://portal.example", token=TOKEN, ca_file="none.pem"))


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate of 127.0.0.1 with its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    key, certificate, both = (tmp_path / name for name in ("key.pem", "cert.pem", "both.pem"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=fake"
    alternative = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *alternative], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def test_an_own_ca_is_trusted_only_when_it_is_named(home, certificate, tmp_path):
    with FakePortal(tmp_path, cert=certificate) as portal:
        given = {"url": portal.url, "token": TOKEN}
        answer = announce(config.load(**given))
        assert answer.outcome == RETRY
        assert "not trusted here; set TRACEML_AGENT_CA_FILE to a file with its authority's certificate" in answer.reason
        assert announce(config.load(**given, ca_file=certificate)).outcome == DELIVERED


def test_check_token_tells_a_known_token_from_another(settings):
    known, other = (
        Client(settings).check_token(),
        Client(config.load(url=settings.url, token="tml_other")).check_token(),
    )
    assert (known.outcome, other.outcome) == (QUARANTINE, STOP)
