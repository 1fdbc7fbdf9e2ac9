"""The agent that this portal hands out: the wheel of the folder `agent/` beside it.

Its own build backend makes it, in memory and from files alone: no index is asked, no tool is run, no folder has to be
writable, and the same sources give the same bytes on every worker and host.
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

#: Times of a checkout's files differ from host to host, and with them the wheel's digest would.
SAME_TIME = (2020, 1, 1, 0, 0, 0)
_building = threading.Lock()


@dataclass(frozen=True)
class Wheel:
    """A wheel with its file name, which pip takes version and platform from."""

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
    """The agent's wheel, built by the first call of a process in about 0.1 s."""
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
    """The line that installs the agent from this portal and from nowhere else.

    A direct address, for with a further index (`--extra-index-url`) pip takes the name from whichever has the higher
    version, and anybody may register a name that a public index doesn't have. Dependencies come from the usual index.
    With the digest pip installs again where another build of the same version is there already.
    """
    return f'pip install "traceml-agent @ {wheel().url}#sha256={wheel().sha256}"'
