"""The one place of the version: the package's metadata and the wheel that the portal hands out take it from here."""

__version__ = "0.1.0"
