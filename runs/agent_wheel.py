"""The agent that this portal offers for download: a wheel built from the folder `agent/`.

The agent's own build backend builds it in memory, from files only: no package index, no external tool and no writable
folder is needed, and the same sources give the same bytes on every worker and host.
"""

import functools
import io
import threading
from dataclasses import dataclass
from hashlib import sha256

from django.conf import settings
from django.urls import reverse
from flit_core.wheel import WheelBuilder

from runs.addresses import origin

#: File times of a checkout differ between hosts, and would change the wheel's digest.
SAME_TIME = (2020, 1, 1, 0, 0, 0)
_building = threading.Lock()


@dataclass(frozen=True)
class Wheel:
    """A wheel with its file name, from which pip reads version and platform."""

    name: str
    version: str
    requires_python: str
    content: bytes
    sha256: str

    @property
    def url(self) -> str:
        """The address below TRACEML_BASE_URL."""
        return origin() + reverse("agent_wheel", args=[self.name])


def wheel() -> Wheel:
    """The agent's wheel; the first call in a process builds it in about 0.1 s."""
    with _building:
        return _built()


@functools.cache
def _built() -> Wheel:
    target = io.BytesIO()
    builder = WheelBuilder.from_ini_path(settings.AGENT_DIR / "pyproject.toml", target)
    builder.source_time_stamp = SAME_TIME
    builder.build()
    content, metadata = target.getvalue(), builder.metadata
    digest = sha256(content).hexdigest()
    return Wheel(builder.wheel_filename, metadata.version, metadata.requires_python, content, digest)


def install_command() -> str:
    """The command that installs the agent from this portal and from nowhere else.

    It is a direct address: with an extra index (`--extra-index-url`), pip takes the package from the index with the
    higher version, and anyone may register a name that a public index lacks. Dependencies come from the usual index.
    The digest makes pip reinstall if another build of the same version is already installed.
    """
    return f'pip install "traceml-agent @ {wheel().url}#sha256={wheel().sha256}"'
