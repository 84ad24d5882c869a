"""Imported last by the fork server (Linux): what every run would do anew is done once, before the first is forked."""

from __future__ import annotations

import gc

import torch

from ..components.contracts import KINDS
from ..components.discover import discover
from ..training.machine import environment

# What is read of the plugins' files stays known by path, size and time: a run reads anew what has changed.
_registry = discover()
for _kind in KINDS:
    for _entry in _registry.entries(_kind):
        _ = _entry.source
    for _library in _registry.libraries(_kind):
        _ = _library.source
environment(torch.device("cpu"), 1)
# A run's garbage collector would look through all that the server has loaded, and copy each page of it to do so.
gc.freeze()
gc.enable()
