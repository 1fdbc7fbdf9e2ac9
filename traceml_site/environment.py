"""Settings from the environment, refused in one clear line where they can't be right."""

import os
from pathlib import Path
from typing import NoReturn


def refuse(message: str) -> NoReturn:
    """End the process with one line on stderr and exit code 1, before a traceback can hide the reason."""
    raise SystemExit(f"traceml: {message}")


def text(name: str, default: str = "") -> str:
    """The variable's text without surrounding white space."""
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool = False) -> bool:
    """A yes or no; anything else is refused."""
    value = text(name, str(int(default))).lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    refuse(f"{name} must be 0 or 1, not {value!r}")


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words; the first is the default."""
    value = text(name, allowed[0]).lower()
    if value not in allowed:
        refuse(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def whole_number(name: str, default: int) -> int:
    """A number of at least 0."""
    value = text(name, str(default))
    if not value.isdecimal():
        refuse(f"{name} must be a whole number, not {value!r}")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret_key(key_file: Path, debug: bool) -> str:
    """SECRET_KEY, else the key that `make run` generated beside the data; an empty variable counts as missing."""
    if "SECRET_KEY" not in os.environ and key_file.is_file():
        return key_file.read_text().strip()
    key = text("SECRET_KEY")
    if not key and debug:
        return "debug-only-" + "insecure-" * 6
    if not key:
        refuse("SECRET_KEY is missing; set it to at least 50 random characters, or DEBUG=1 on your own machine")
    return key
