"""The folder of the sockets through which processes are started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from ablate.commands.doctor_machine import sockets_check
from ablate.errors import AblateError
from ablate.execute import sockets

LONG = "d" * 90


@pytest.fixture
def long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a TMPDIR whose path is too long for a socket."""
    place = folder / LONG
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    return place


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.long)])
def test_runs_are_made_where_tmpdir_is_long_and_nothing_is_left_in_it(study: Path, long: Path, jobs: str) -> None:
    command = [sys.executable, "-m", "ablate", "run", str(study), "--device", "cpu", "--jobs", jobs]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [one for one in long.iterdir() if one.name.startswith(("pymp-", "ablate-"))]  # torch has a cache there


def test_sockets_are_below_tmpdir_where_that_is_short_enough(
    folder: Path, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert sockets.parent_folder() == Path("/tmp")
    runtime = Path("/tmp") if len(str(folder)) > 60 else folder
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert sockets.parent_folder() == runtime
    monkeypatch.setattr("tempfile.tempdir", "/var/tmp")
    assert sockets.parent_folder() == Path("/var/tmp")


@pytest.mark.parametrize(("bytes_", "fit"), [(61, True), (62, False)])
def test_the_longest_path_is_just_short_enough(bytes_: int, fit: bool) -> None:
    assert sockets.fits(Path("/" + "d" * (bytes_ - 1))) is fit
    assert sockets.fits(Path("/" + "ä" * ((bytes_ - 1) // 2))) is True


def test_the_folder_is_ours_alone_and_goes_with_its_process(folder: Path) -> None:
    code = (
        "import os, stat; from ablate.execute.sockets import use_own_folder\n"
        "from multiprocessing.util import get_temp_dir\n"
        "use_own_folder(); use_own_folder(); place = get_temp_dir()\n"
        "print(place, oct(stat.S_IMODE(os.stat(place).st_mode)), len(os.listdir(os.environ['TMPDIR'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)}
    )
    assert done.returncode == 0, done.stderr
    place, mode, _ = done.stdout.split()
    assert (mode, Path(place).exists()) == ("0o700", False)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from a server on Linux only")
def test_the_folder_goes_with_a_server_of_our_own(folder: Path) -> None:
    code = (
        "from pathlib import Path; from multiprocessing.util import get_temp_dir\n"
        "from ablate.execute.server import own_server, warm_up\n"
        "with own_server():\n"
        "    warm_up(); place = Path(get_temp_dir()); print(place.exists())\n"
        "print(place.exists())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False"]


def test_what_a_killed_command_left_is_removed_and_what_another_holds_is_not(folder: Path) -> None:
    left, held, young = (folder / f"ablate-sockets-{name}" for name in ("left", "held", "young"))
    for one in (left, held, young):
        one.mkdir()
        (one / "listener").touch()
    with FileLock(held / "lock"):
        for one in (left, held):
            os.utime(one, (0, 0))
        sockets.remove_leftovers(folder)
    assert [one.exists() for one in (left, held, young)] == [False, True, True]


def test_the_doctor_tells_where_sockets_go(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert sockets_check().found == f"TMPDIR={long} is too long a path for sockets; sockets go into /tmp"
    monkeypatch.setattr(sockets, "parent_folder", lambda: None)
    assert (sockets_check().state, sockets_check().remedy) == ("problem", sockets.SHORTER)
    monkeypatch.setattr("multiprocessing.process.current_process", lambda: type("P", (), {"_config": {}}))
    with pytest.raises(AblateError, match="short enough for a socket\n  name a shorter folder"):
        sockets.use_own_folder()
