"""Readers of other tools' files: a module a tool, and how a file is recognised."""
