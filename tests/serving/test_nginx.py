"""deploy/nginx.conf in front of a real portal: TLS, a path of its own, a proxy on another machine."""

import datetime
import http.client
import http.cookiejar
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.backup.places import ROOT, done
from tests.screens.html import Page
from tests.serving import servers
from tests.wire import header

SAMPLE = (ROOT / "deploy" / "nginx.conf").read_text()
WHOLE = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {sample}
}}
"""


@pytest.fixture(scope="session")
def nginx() -> str:
    if found := shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        return found
    if os.environ.get("CI"):
        pytest.fail("CI has to install nginx")
    pytest.skip("Left out: no nginx on this machine")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A folder with a self-signed certificate of lab.example and its key."""
    folder, key = tmp_path_factory.mktemp("certificate"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab.example")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("lab.example")])
    signed = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (folder / "lab.example.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "lab.example.key").write_bytes(key.private_bytes(*plain))
    return folder


class Site:
    """A person's browser at https://lab.example, wherever its proxy listens."""

    def __init__(self, base: str, https_port: int, http_port: int, certificate: Path):
        self.base, self.ports = base, {"https": https_port, "http": http_port}
        context = ssl.create_default_context(cafile=certificate / "lab.example.pem")
        self.cookies = http.cookiejar.CookieJar()
        ports = self.ports

        class ToTheProxy(urllib.request.HTTPSHandler):
            def https_open(self, request):
                return self.do_open(_at(http.client.HTTPSConnection, ports["https"]), request, context=context)

        class ByHttp(urllib.request.HTTPHandler):
            def http_open(self, request):
                return self.do_open(_at(http.client.HTTPConnection, ports["http"]), request)

        kinds = (ToTheProxy(), ByHttp(), urllib.request.HTTPCookieProcessor(self.cookies))
        self.opener = urllib.request.build_opener(*kinds)

    def open(self, address: str, data: bytes | None = None, method: str | None = None, **headers: str):
        """The answer, after redirects; an error status is an answer too."""
        request = urllib.request.Request(address, data, headers, method=method)
        try:
            return self.opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            return error

    def page(self, path: str) -> Page:
        return parsed(self.open(f"{self.base}{path}"))


def parsed(answer) -> Page:
    return Page(SimpleNamespace(status_code=answer.status, content=answer.read()))


def _at(kind, port: int):
    """A connection that goes to 127.0.0.1, whatever host the address names."""

    class Connection(kind):
        def connect(self):
            named, self._create_connection = self.host, lambda address, *rest: _dial(port, *rest)
            super().connect()
            self.host = named

    return Connection


def _dial(port: int, *rest):
    return socket.create_connection(("127.0.0.1", port), *rest)


@pytest.fixture(scope="module", params=["", "/traceml"], ids=["at the root", "under a path"])
def site(request, nginx, certificate, database_url, tmp_path_factory):
    folder, prefix = tmp_path_factory.mktemp("nginx"), request.param
    https_port, http_port = servers.free_port(), servers.free_port()
    base = f"https://lab.example{prefix}"
    with servers.portal(database_url, folder / "portal.log", TRACEML_BASE_URL=base) as port:
        changes = {
            "listen 80;": f"listen 127.0.0.1:{http_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{https_port} ssl;",
            "/etc/ssl/certs": str(certificate),
            "/etc/ssl/private": str(certificate),
            # An address that gunicorn doesn't trust by itself: a proxy on another machine.
            "proxy_pass http://127.0.0.1:8000;": f"proxy_bind 127.0.0.3; proxy_pass http://127.0.0.1:{port};",
            "location / {": f"location {prefix}/ {{",
        }
        sample = SAMPLE
        for old, new in changes.items():
            assert old in sample
            sample = sample.replace(old, new)
        (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, sample=sample))
        process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
        try:
            for listening in (https_port, http_port):
                _wait(listening, process, folder)
            yield Site(base, https_port, http_port, certificate)
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int, process: subprocess.Popen, folder: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return _dial(port).close()
        except OSError:
            time.sleep(0.05)
    raise AssertionError((folder / "error.log").read_text())


def test_a_stranger_comes_to_the_login_by_https(site):
    answer = site.open(site.base.replace("https:", "http:") + "/")
    assert answer.status == 200
    assert answer.url.startswith(f"{site.base}/accounts/login/")
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_styles_and_scripts_of_a_page_arrive(site):
    page = site.page("/accounts/login/")
    links = [link.attributes["href"] for link in page.root.all("link")]
    assert links
    for link in links:
        assert site.open(f"https://lab.example{link}").status == 200, link


def test_a_person_signs_in_and_finds_every_link_below_the_base(site, database_url):
    done(database_url, "shell", "-v0", "-c", ACCOUNT)
    page = site.page("/accounts/login/")
    token = next(field for field in page.root.all("input") if field.attributes.get("name") == "csrfmiddlewaretoken")
    form = {"csrfmiddlewaretoken": token.attributes["value"], "login": "root@example.org", "password": PASSWORD}
    sent = urllib.parse.urlencode(form).encode()
    answer = site.open(f"{site.base}/accounts/login/", sent, Referer=f"{site.base}/accounts/login/")
    assert (answer.status, answer.url) == (200, f"{site.base}/start/")  # who has no team yet makes one
    prefix = site.base.removeprefix("https://lab.example")
    links = [link for link in parsed(answer).links() if link.startswith("/")]
    assert links
    assert all(link.startswith(f"{prefix}/") for link in links)
    for link in dict.fromkeys(links[:8]):
        assert site.open(f"https://lab.example{link}").status == 200, link
    assert {(cookie.secure, cookie.path) for cookie in site.cookies} == {(True, f"{prefix}/")}


PASSWORD = "a long phrase of the root"
ACCOUNT = f"""
from runs.models import User
User.objects.filter(email="root@example.org").delete()
User.objects.create_superuser("root@example.org", "{PASSWORD}")
"""


def test_an_agent_sends_a_run(site, database_url):
    token = done(database_url, "issue_token", "--team", "Vision lab", "--project", "Digits").strip()
    run_id = uuid.uuid4()
    body = json.dumps(header()).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = site.open(f"{site.base}/api/v1/runs/{run_id}", body, "PUT", **headers)
    assert answer.status == 201
    assert json.load(answer)["url"] == f"{site.base}/runs/{run_id}/"


def test_an_address_of_the_api_that_is_not_there_answers_in_json(site):
    answer = site.open(f"{site.base}/api/v1/nowhere", Authorization="Bearer x")
    assert answer.headers["Content-Type"] == "application/problem+json"
