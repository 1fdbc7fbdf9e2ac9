"""The agent's version, from which the package's metadata and the portal's wheel take theirs."""

__version__ = "0.1.0"
