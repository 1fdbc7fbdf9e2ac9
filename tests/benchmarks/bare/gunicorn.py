"""The portal's configuration of gunicorn, without the agent's wheel."""

from traceml_site.serving.gunicorn import *  # noqa: F403


def when_ready(server):
    """Nothing to build."""


def post_worker_init(worker):
    """There is nothing to fold."""
