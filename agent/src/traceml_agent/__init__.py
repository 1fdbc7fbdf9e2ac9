"""TraceML's agent: measures the energy and emissions of training and using AI models.

>>> from traceml_agent import track
>>> with track("resnet-50", kind="training") as run:
...     for epoch in run.epochs(range(90)):
...         run.log(loss=train_one_epoch())

No call of this package raises, waits for the network, or writes to stdout.
"""

from traceml_agent.run import Run
from traceml_agent.track import start, track
from traceml_agent.version import __version__
from traceml_agent.watch import watch

__all__ = ["Run", "__version__", "start", "track", "watch"]
