"""TraceML's agent: measures the energy and emissions of training and using AI models.

>>> from traceml_agent import track
>>> with track("resnet-50", kind="training") as run:
...     for epoch in run.epochs(range(90)):
...         run.log(loss=train_one_epoch())

No call of this package raises, waits for the network, or writes to stdout. Importing it loads almost nothing: the
modules that measure are loaded by the first run.
"""

from traceml_agent.track import current_run, start, track
from traceml_agent.version import __version__
from traceml_agent.watch import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceml_agent.integrations.mlflow_autolog import autolog
    from traceml_agent.outputs.card import push_to_card
    from traceml_agent.tracking.run import Run

__all__ = ["Run", "__version__", "autolog", "current_run", "push_to_card", "start", "track", "watch"]


def __getattr__(name: str):
    if name == "Run":
        from traceml_agent.tracking.run import Run

        return Run
    if name == "autolog":
        from traceml_agent.integrations.mlflow_autolog import autolog

        return autolog
    if name == "push_to_card":
        from traceml_agent.outputs.card import push_to_card

        return push_to_card
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell) -> None:
    """`%load_ext traceml_agent` in a notebook: adds the magic `%%traceml`."""
    from traceml_agent.integrations import ipython

    ipython.load(shell)
