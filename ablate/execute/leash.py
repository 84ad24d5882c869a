"""Imported first by the fork server (Linux): it ends with its driver, also while it is still loading torch.

And it loads without the garbage collector, which would look through all that is loaded again and again and find
nothing; `warm` has it back.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal

from .server import DRIVER

gc.disable()
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that comes when the parent dies; processes forked later do not inherit it

# Ctrl-C in the terminal, and a scheduler's SIGTERM to every process of a job, are the driver's business alone.
for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, signal.SIG_IGN)
if DRIVER in os.environ:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[DRIVER]):  # it died before that
        os._exit(1)
