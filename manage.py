#!/usr/bin/env python
"""Django's command line for the portal."""

import os
import sys

if __name__ == "__main__":
    os.umask(0o077)  # a database, key or backup that a command makes is its owner's alone
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "traceml_site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
