"""`python -m traceml_agent`: the command line, for when its script is not on the path."""

import sys

from traceml_agent.cli import main

sys.exit(main())
