"""The default model name for a command line: its script or module rather than its interpreter."""

from __future__ import annotations

import os
import re

SCRIPTS, EXECUTABLES = (".py", ".ipynb"), (".sh", ".exe", ".bat", ".jl", ".R", ".r")
SHELLS = re.compile(r"-?(ba|da|z|k|fi)?sh")
INTERPRETERS = re.compile(r"(python|pypy)[0-9.]*w?(\.exe)?|perl|ruby|node|julia|Rscript")
#: Python's options that take the next word.
TAKES_A_WORD = ("-W", "-X", "--check-hash-based-pycs")


def model_of(words: list[str]) -> str:
    """The name of the Python script or module in a command line, else of the program; empty for no words."""
    if not words:
        return ""
    script = next((word for word in _parts(words) if word.endswith(SCRIPTS)), None)
    if script is None and "-m" in words[1:-1]:
        return _bare(words[words.index("-m") + 1])
    return _bare(script or _started(words) or words[0])


def _parts(words: list[str]) -> list[str]:
    """The words, including those in a shell's -c argument."""
    is_shell = SHELLS.fullmatch(os.path.basename(words[0])) is not None
    code = next((at for at, word in enumerate(words) if is_shell and re.fullmatch(r"-[a-z]*c", word)), len(words))
    inside = [part for word in words[code + 1 : code + 2] for part in re.split(r"[\s;&|()<>'\"]+", word)]
    return [*words[1:code], *inside, *words[code + 2 :]] if is_shell else words


def _started(words: list[str]) -> str:
    """The file that an interpreter runs. A service's command, such as `uvicorn`, is a script without suffix."""
    if not INTERPRETERS.fullmatch(os.path.basename(words[0])):
        return ""
    rest = iter(words[1:])
    for word in rest:
        if word in TAKES_A_WORD:
            next(rest, None)
        elif word.startswith("-"):
            if not word.startswith("--") and word.endswith(("c", "e")):
                return ""  # its code follows
        else:
            return word
    return ""


def _bare(path: str) -> str:
    """A file's name without its folder and a script's suffix."""
    name = os.path.basename(path.rstrip("/")).lstrip("-")
    stem, suffix = os.path.splitext(name)
    return stem if suffix in SCRIPTS + EXECUTABLES and stem else name
