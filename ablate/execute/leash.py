"""Imported first by the fork server (Linux): it ends with its driver, also while it is still loading torch."""

from __future__ import annotations

import ctypes
import os
import signal

from .processes import DRIVER

_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that comes when the parent dies; processes forked later do not inherit it

ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(os.environ[DRIVER]):  # it died before that
    os._exit(1)
