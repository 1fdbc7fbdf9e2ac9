"""Settings: which source wins, what is refused, and where a token may not go."""

import os
import pickle
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from traceml_agent.inputs import config

TOKEN = "tml_abc123def"
pytestmark = pytest.mark.usefixtures("home")


def log_in(text: str) -> None:
    path = Path(config.user_file())
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_argument_over_environment_over_project_file_over_user_file_over_default(monkeypatch):
    log_in('interval = 2\nflush_s = 2.5\nupload_s = 20\nspool_mb = 20\nscope = "machine"')
    Path(config.PROJECT_FILE).write_text("flush_s = 3\nupload_s = 30\nspool_mb = 30")
    monkeypatch.setenv("TRACEML_AGENT_UPLOAD_S", "40")
    monkeypatch.setenv("TRACEML_AGENT_SPOOL_MB", "40")
    found = config.load(spool_mb=50, run_id=None)
    assert (found.interval, found.flush_s, found.upload_s, found.spool_mb, found.run_id) == (2, 3, 40, 50, "")
    assert [found.origins[name] for name in ("upload_s", "spool_mb", "run_id", "scope")] == [
        "TRACEML_AGENT_UPLOAD_S",
        "argument",
        "default",
        config.user_file(),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interval", "often"),
        ("interval", "0"),
        ("interval", float("nan")),
        ("flush_s", 10**400),
        ("disabled", "perhaps"),
        ("url", b"http://x"),
        ("spool_dir", "a\0b"),
        ("scope", "galaxy"),
        ("token", "two words"),
    ],
)
def test_what_cannot_be_right_is_left_out_with_a_warning(caplog, name, value):
    assert getattr(config.load(**{name: value}), name) == config.FIELDS[name][0]
    assert f"the setting {name} from argument is ignored" in caplog.text


@pytest.mark.parametrize("value", ["tml_geheim\n\tx", "tml_geheim x", b"tml_geheim", "tml_geheimé"])
def test_a_token_that_is_refused_is_not_shown(caplog, value):
    assert config.load(token=value).token == ""
    assert "token" in caplog.text
    assert "geheim" not in caplog.text


def test_a_token_read_from_a_file_may_end_with_a_line_break():
    assert config.load(token=f"{TOKEN}\n").token == TOKEN


def test_the_token_is_not_in_the_repr():
    assert TOKEN not in repr(config.load(token=TOKEN))


def test_an_unknown_argument_is_named(caplog):
    config.load(intervall=3)
    assert "unknown argument 'intervall' is ignored" in caplog.text


def test_paths_are_absolute_for_the_uploader_works_elsewhere(home):
    found = config.load(spool_dir="here", ca_file="~/ca.pem")
    assert (found.spool_dir, found.ca_file) == (str(home / "here"), str(home / "ca.pem"))


def test_paths_in_a_file_are_relative_to_the_file(home, monkeypatch):
    (home / config.PROJECT_FILE).write_text('spool_dir = "spool"')
    (home / "below").mkdir()
    monkeypatch.chdir(home / "below")
    assert config.load().spool_dir == str(home / "spool")


def test_a_project_file_may_name_the_portal_that_the_token_is_for():
    log_in(f'url = "https://Traceml.example"\ntoken = "{TOKEN}"')
    Path(config.PROJECT_FILE).write_text('url = "https://traceml.example:443/"')
    assert config.load().token == TOKEN


def test_a_project_file_that_names_another_portal_does_not_get_the_token_of_login(caplog):
    log_in(f'url = "https://traceml.example"\ntoken = "{TOKEN}"')
    Path(config.PROJECT_FILE).write_text('url = "https://elsewhere.example"')
    found = config.load()
    assert (found.url, found.token) == ("https://elsewhere.example", "")
    assert "not logged in" in caplog.text


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make somebody else's file")
def test_a_file_that_somebody_else_laid_where_everybody_may_write_is_no_project_file(home):
    home.chmod(0o1777)
    (home / config.PROJECT_FILE).write_text('url = "https://elsewhere.example"')
    os.chown(home / config.PROJECT_FILE, 12345, 12345)
    assert config.load().url == ""


@pytest.mark.parametrize("content", [b"url = ", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_ignored_with_a_warning(caplog, content):
    Path(config.PROJECT_FILE).write_bytes(content)
    assert config.load().url == ""
    assert "settings file" in caplog.text


@pytest.mark.parametrize("python", ["with a reader of TOML", "3.10"])
def test_login_keeps_address_and_token_for_this_user_alone(monkeypatch, python):
    if python == "3.10":
        monkeypatch.setitem(sys.modules, "tomllib", None)
    log_in('interval = 3\nhostname = true\ntoken = "old"')
    path = Path(config.keep_login("https://traceml.example", TOKEN))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = config.load()
    assert (found.url, found.token, found.interval, found.hostname) == ("https://traceml.example", TOKEN, 3, True)


@pytest.mark.parametrize(
    "url",
    ["https://traceml.example", "https://x:8443/sub", "http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"],
)
def test_addresses_that_may_be_used(url):
    config.check_url(url, allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "traceml.example",
        "ftp://traceml.example",
        "https://",
        "https://x:port",
        "https://[::1",
        "https://user:tml_pw@x",
        "https://x?y",
        "https://x#y",
        "http://127.0.0.1\\@x",
        "http://0.0.0.0",
        "http://traceml.example",
        "http://127.0.0.1.example",
    ],
)
def test_addresses_that_are_refused(url):
    with pytest.raises(config.Refused) as refusal:
        config.check_url(url, allow_http=False)
    assert "tml_pw" not in str(refusal.value)


def test_plain_http_elsewhere_is_for_those_who_say_so():
    config.check_url("http://traceml.example", allow_http=True)


@given(
    st.dictionaries(
        st.sampled_from(sorted(config.FIELDS)),
        st.none() | st.text() | st.floats() | st.integers() | st.binary() | st.lists(st.text()) | st.booleans(),
    )
)
@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_argument_makes_loading_fail(arguments):
    found = config.load(**arguments)
    for name, (default, _) in config.FIELDS.items():
        assert type(getattr(found, name)) is type(default)


def test_pickled_settings_hold_no_token():
    settings = config.load(token="tml_secret", url="https://portal.example")
    again = pickle.loads(pickle.dumps(settings))
    assert (again.token, again.url) == ("", "https://portal.example")
    assert b"tml_secret" not in pickle.dumps(settings)
