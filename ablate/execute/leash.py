"""Imported first by the fork server (Linux): it ends with its driver, also while it is still loading torch."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that comes when the parent dies; processes forked later do not inherit it

ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
