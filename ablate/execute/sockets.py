"""The folder of the sockets through which processes are started.

multiprocessing makes it below TMPDIR, whose path may be too long for a socket, and leaves it behind when the command is
killed. TMPDIR itself is not changed, since components write there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from multiprocessing import process, util
from pathlib import Path

from ..errors import AblateError

LONGEST = 103
"""Bytes of a socket's path that every system takes: 104 on macOS, 108 on Linux, with a zero at the end."""
_PREFIX = "ablate-sockets-"
_made: dict[str, util.Finalize] = {}  # the folders of this process, with what removes each
_SOCKET = "/listener-12345678"
NO_FOLDER = "no temporary folder can be written whose path is short enough for a socket"
SHORTER = "name a shorter folder in TMPDIR, one that can be written"
LEFTOVER_SECONDS = 60.0
"""A folder that nobody has locked and that is older was left behind; a younger one may be just being made."""


def parent_folder() -> Path | None:
    """Return where to make the folder of sockets: TMPDIR, or another short one that can be written, or None."""
    with contextlib.suppress(OSError):  # not even TMPDIR can be written
        usual = Path(tempfile.gettempdir())
        if fits(usual):
            return usual
    others = [Path(other) for other in (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp") if other]  # noqa: S108
    return next((other for other in others if fits(other) and os.access(other, os.W_OK | os.X_OK)), None)


def fits(folder: Path) -> bool:
    """Tell whether a socket below a folder has a path that is short enough."""
    return _short(f"{folder}/{_PREFIX}12345678{_SOCKET}")


def use_own_folder() -> None:
    """Have multiprocessing put its sockets into a folder that only this user can open, and that goes with this process.

    Folders that killed commands have left are removed, too. Raises AblateError where none can be made.
    """
    config = process.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001  # get_temp_dir reads it
    if (known := config.get("tempdir")) and _short(f"{known}{_SOCKET}"):
        return
    from filelock import FileLock  # which `ablate doctor` does without

    base = parent_folder()
    if base is None:
        raise AblateError(f"{NO_FOLDER}\n  {SHORTER}")
    remove_leftovers(base)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
    held = FileLock(f"{folder}/lock")
    held.acquire()

    def remove() -> None:
        held.release()
        shutil.rmtree(folder, ignore_errors=True)

    _made[folder] = util.Finalize(None, remove, exitpriority=-100)  # as get_temp_dir does
    config["tempdir"] = folder


def remove_own_folder(folder: str) -> None:
    """Remove a folder of sockets now, if `use_own_folder` made it here."""
    if folder in _made:
        _made.pop(folder)()


def _short(path: str) -> bool:
    return len(os.fsencode(path)) <= LONGEST


def remove_leftovers(base: Path) -> None:
    """Remove folders of sockets whose command is gone."""
    from filelock import FileLock, Timeout

    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):  # of another user, or held
            if time.time() - folder.stat().st_mtime > LEFTOVER_SECONDS:
                with FileLock(folder / "lock", timeout=0):
                    shutil.rmtree(folder)
