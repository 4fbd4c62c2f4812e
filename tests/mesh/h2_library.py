"""Debian's python3-h2, whichever interpreter runs: it and what it needs are plain Python."""
import sys

DEBIAN = "/usr/lib/python3/dist-packages"
if DEBIAN not in sys.path:
    sys.path.append(DEBIAN)
# pylint: disable=wrong-import-position,unused-import
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
