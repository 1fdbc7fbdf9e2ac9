"""Settings: argument over environment over project file over user file over default, each with its origin.

Cheap to import: the whole agent starts in milliseconds, so this module loads nothing heavy.
"""

from __future__ import annotations

import os

from traceml_agent.messages import warn

PREFIX = "TRACEML_AGENT_"
PROJECT_FILE = "traceml-agent.toml"
SECRET = "token"  # noqa: S105 (the name of a setting)
PORTS = {"http": 80, "https": 443}


class Refused(Exception):
    """The settings don't allow contacting this portal. The text names the remedy."""


def _text(value) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or any(c < " " or c == "\x7f" for c in value.strip()):
        raise ValueError("must be text on one line")
    return value.strip()


def _path(value) -> str:
    """An absolute path, because the uploader works in another folder."""
    text = _text(value)
    return os.path.abspath(os.path.expanduser(text)) if text else ""


def _secret(value) -> str:
    text = _text(value)
    if not text.isascii() or " " in text:
        raise ValueError("must be a token, copied as the portal shows it")
    return text


def _flag(value) -> bool:
    word = str(value).strip().lower()
    if word not in ("1", "0", "true", "false", "yes", "no", "on", "off", ""):
        raise ValueError("must be 0 or 1")
    return word in ("1", "true", "yes", "on")


def _between(low: float, high: float):
    def number(value) -> float:
        try:
            result = float(value)
        except OverflowError:
            result = float("inf")
        if not low <= result <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return result

    return number


def _one_of(*words: str):
    def word(value) -> str:
        if value not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return value

    return word


def _devices(value) -> list:
    """Accelerators that the user declares because nothing can measure them."""
    if not value:
        return []
    from traceml_agent.inputs.declared import declared

    return declared(value)


class Loggers(list):
    """Loggers to report to, as `integrations.reporting` takes them: names, paths and objects.

    A pickle has no objects: most can't be pickled, and none would report from another process.
    """

    @classmethod
    def of(cls, given) -> Loggers:
        """Those of a user: one, several, or names in a text, separated by commas."""
        if isinstance(given, str):
            given = [word.strip() for word in given.split(",") if word.strip()]
        return cls(given if isinstance(given, (list, tuple, set)) else [given])

    def __deepcopy__(self, memo) -> Loggers:
        return self

    def __reduce__(self):
        return Loggers, ([each for each in self if isinstance(each, (str, os.PathLike))],)


#: Every setting, with its default and the function that converts a value.
FIELDS = {
    "url": ("", lambda value: _text(value).rstrip("/")),
    "token": ("", _secret),
    "spool_dir": ("", _path),
    "disabled": (False, _flag),
    "interval": (1.0, _between(0.05, 300.0)),
    "scope": ("job", _one_of("job", "machine")),
    "run_id": ("", _text),
    "ca_file": ("", _path),
    "allow_http": (False, _flag),
    "strict": (False, _flag),
    "flush_s": (2.0, _between(0.0, 30.0)),
    "upload_s": (30.0, _between(1.0, 3600.0)),
    "spool_mb": (256.0, _between(1.0, 1e6)),
    "hostname": (False, _flag),
    "quiet": (False, _flag),
    "rotate_h": (24.0, _between(0.0, 8784.0)),
    "devices": ([], _devices),
    "report_to": (Loggers(), Loggers.of),
}
PATHS = {name for name, (_, convert) in FIELDS.items() if convert is _path}


class Settings:
    """The settings in force; `origins` names where each came from."""

    __slots__ = (*FIELDS, "origins")
    url: str
    token: str
    spool_dir: str
    disabled: bool
    interval: float
    scope: str
    run_id: str
    ca_file: str
    allow_http: bool
    strict: bool
    flush_s: float
    upload_s: float
    spool_mb: float
    hostname: bool
    quiet: bool
    rotate_h: float
    devices: list
    report_to: Loggers
    origins: dict[str, str]

    def __init__(self):
        self.origins = {}
        for name, (default, _) in FIELDS.items():
            setattr(self, name, default)
            self.origins[name] = "default"

    def take(self, name: str, value, origin: str) -> None:
        """Set one field; an invalid value is ignored with a warning."""
        try:
            setattr(self, name, FIELDS[name][1](value))
            self.origins[name] = origin
        except (ValueError, TypeError, OSError) as error:
            warn(f"the setting {name} from {origin} is ignored: {error}")

    def as_dict(self) -> dict:
        """The settings for another process. Loggers are objects of this one."""
        return {name: getattr(self, name) for name in FIELDS if name != "report_to"}

    def __reduce__(self):
        """Without the token, since a pickle may be stored anywhere."""
        return _restored, ({name: value for name, value in self.as_dict().items() if name != SECRET}, self.origins)

    def __repr__(self):
        shown = {name: "…" if name == SECRET and value else value for name, value in self.as_dict().items()}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _restored(values: dict, origins: dict[str, str]) -> Settings:
    settings = Settings()
    for name, value in values.items():
        setattr(settings, name, value)
    settings.origins |= origins
    return settings


def load(**arguments) -> Settings:
    """The settings in force. Never raises. An argument of None counts as not given."""
    settings = Settings()
    _take_file(settings, user_file())
    if path := _project_file():
        _take_project_file(settings, path)
    for name in FIELDS:
        if (value := os.environ.get(PREFIX + name.upper())) is not None:
            settings.take(name, value, PREFIX + name.upper())
    for name, value in arguments.items():
        if name not in FIELDS:
            warn(f"unknown argument {name!r} is ignored")
        elif value is not None:
            settings.take(name, value, "argument")
    return settings


def _take_file(settings: Settings, path: str) -> None:
    """Take the settings of a file; its paths are relative to the file."""
    for name, value in _read_toml(path).items():
        if name in PATHS and isinstance(value, str) and value:
            value = os.path.join(os.path.dirname(path), os.path.expanduser(value))
        if name in FIELDS:
            settings.take(name, value, path)


def _take_project_file(settings: Settings, path: str) -> None:
    """A project's file may name another portal, but the token that `login` saved is not sent there."""
    url, token = origin_of(settings.url), settings.token
    _take_file(settings, path)
    if token and settings.token == token and origin_of(settings.url) != url:
        settings.token, settings.origins[SECRET] = "", "default"
        warn(f"{path} names a portal that you are not logged in to; set {PREFIX}TOKEN or run `traceml-agent login`")


def user_file() -> str:
    """Where `traceml-agent login` saves address and token."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "traceml", "agent.toml")


def catalogue_folder() -> str:
    """Where `traceml-agent update-catalogue` saves its copy of the portal's catalogue."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(base, "traceml", "catalogue")


def catalogue():
    """The catalogue that this machine estimates with: its copy of the portal's, else the bundled one."""
    from traceml_agent import catalogue as found

    found.use(catalogue_folder())
    return found


def keep_login(url: str, token: str) -> str:
    """Write address and token to the user's file, which nobody else can read. Returns its path."""
    import json

    path = user_file()
    kept = {name: value for name, value in _read_toml(path).items() if name in FIELDS} | {"url": url, SECRET: token}
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = f"{path}.{os.urandom(4).hex()}"
    with open(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8"
    ) as file:
        file.writelines(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in kept.items())
    os.replace(draft, path)
    return path


def _project_file() -> str | None:
    """The nearest project file in this folder or above, unless another user put it where everybody can write."""
    try:
        folder = os.getcwd()
    except OSError:
        return None
    while True:
        path = os.path.join(folder, PROJECT_FILE)
        if os.path.isfile(path) and not _is_a_strangers(folder, path):
            return path
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return None


def _is_a_strangers(folder: str, path: str) -> bool:
    if not hasattr(os, "getuid"):
        return False
    try:
        return bool(os.stat(folder).st_mode & 0o002) and os.lstat(path).st_uid != os.getuid()
    except OSError:
        return True


def _read_toml(path: str) -> dict:
    """The file's settings; empty if it is missing or can't be read."""
    try:
        with open(path, "rb") as file:
            return _parsed(file.read().decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        warn(f"settings file {path} is ignored: {error}")
        return {}


def _parsed(text: str) -> dict:
    """The values of a TOML text. Python 3.10 can't read TOML, so there only plain `name = value` lines are read."""
    try:
        import tomllib
    except ImportError:
        import json

        pairs = (
            line.partition("=") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
        )
        return {name.strip(): json.loads(value) for name, _, value in pairs}
    return tomllib.loads(text)


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, to which a token may be sent; empty if it is not an address."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in PORTS or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{port or PORTS[parts.scheme]}"


def check_url(url: str, allow_http: bool) -> None:
    """Raise Refused for an invalid URL, or one that would send the token unencrypted to another machine."""
    from urllib.parse import urlsplit

    if not origin_of(url) or any(sign in url for sign in "@?#\\ "):
        raise Refused("the portal's address (TRACEML_AGENT_URL) must look like https://traceml.example")
    parts = urlsplit(url)
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        raise Refused(
            f"plain http to {parts.hostname} would send the token unencrypted; "
            "use https, or set TRACEML_AGENT_ALLOW_HTTP=1"
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
