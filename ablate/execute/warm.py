"""Imported last by the fork server (Linux): what every run would do anew is done once, before the first is forked."""

from __future__ import annotations

import gc

from ..components.discover import discover

discover()  # for what the shipped plugins import; each run reads the plugins' files itself
# A run's garbage collector would look through all that the server has loaded, and copy each page of it to do so.
gc.collect()
gc.freeze()
