"""The files of a report: written as one set, whatever ends their writing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ablate.errors import InputError
from ablate.files import only_writer
from ablate.report.content import report as report_of
from ablate.report.filters import change
from ablate.report.folders import folder_of, folder_of_two, why
from ablate.report.pages import write_files
from tests.reports import many
from tests.support import contents


@pytest.mark.parametrize("name", ["x", "x-pilot", "x-pilot-pilot", "x-and-y", "", "-pilot", "Größe", "a/b", ".."])
def test_no_two_reports_go_to_one_folder(name: str) -> None:
    others = ["x", "y", "x-pilot", "x-pilot-pilot", "x-and-y", "study", "", "-pilot", "y-pilot"]
    mine = [folder_of(name), folder_of(name, pilot=True), folder_of_two(name, "y"), folder_of_two(name, name)]
    taken = {folder for other in others if other != name for folder in (folder_of(other), folder_of(other, pilot=True))}
    taken |= {folder_of_two(one, other) for one in others for other in ("x-y", "z") if one != name}
    assert len(set(mine)) == 4
    assert not taken & set(mine)
    assert all(folder.parent == Path("reports") and folder.name.strip(".") for folder in mine)


def test_a_folder_that_is_called_otherwise_is_said_with_the_reason() -> None:
    assert why("digits") == ""
    assert why("x-pilot").startswith("the folder is called x-pilot-")
    assert why("x-pilot").endswith(", since the pilot of a study 'x' has that name")
    assert why("a/b").endswith("since not every file system has names such as 'a/b'")


KILLED = """
import os, signal, sys
from pathlib import Path
from ablate.report.pages import write_files
from tests.test_report_files import report

moves = 0

def end(event, arguments):
    global moves
    moves += event == "os.rename"
    if event == "os.rename" and moves == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(end)
write_files(report(Path(sys.argv[1]), b"new"))
"""


def report(folder: Path, content: bytes) -> dict[Path, bytes]:
    return {folder / name: content for name in ("report.html", "report.md", "figures/one.svg", "figures/two.svg")}


@pytest.mark.parametrize("move", [1, 3, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 4))])
def test_a_report_whose_writing_is_killed_has_files_missing_and_the_next_one_is_whole(
    tmp_path: Path, move: int
) -> None:
    folder = tmp_path / "a report"
    write_files(report(folder, b"old"))
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder, str(move)], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    there = contents(folder)
    assert there.pop("report.html") == b"old"  # one file, which is replaced in one step, and last
    whole = {name: text for name, text in there.items() if "/." not in f"/{name}"}
    assert set(whole.values()) <= {b"new"}
    assert len(whole) == move - 1
    assert len(there) > len(whole)  # what was written beside is left
    write_files(report(folder, b"newer"))
    assert contents(folder) == {str(path.relative_to(folder)): b"newer" for path in report(folder, b"")}


def test_what_another_process_is_writing_now_stays_until_it_has_ended(tmp_path: Path) -> None:
    write_files(report(tmp_path, b"old"))
    being_written, mine = tmp_path / ".report.html.0123abcd", tmp_path / ".notes.html"
    being_written.write_text("a part")
    mine.write_text("mine")
    writer = threading.Thread(target=write_files, args=(report(tmp_path, b"new"),))
    with only_writer(tmp_path) as alone:
        assert alone
        writer.start()
        writer.join(0.3)
        assert being_written.exists()
        assert (tmp_path / "report.html").read_bytes() == b"old"
    writer.join()
    assert not being_written.exists()
    assert mine.exists()
    assert (tmp_path / "report.html").read_bytes() == b"new"


def test_a_file_that_cannot_be_written_leaves_the_old_report_whole(tmp_path: Path) -> None:
    write_files(report(tmp_path, b"old"))
    (tmp_path / "figures" / "three.svg").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*figures/three.svg: Is a directory"):
        write_files({**report(tmp_path, b"new"), tmp_path / "figures" / "three.svg": b"new"})
    assert set(contents(tmp_path).values()) == {b"old"}
    assert len(contents(tmp_path)) == 4


def test_the_work_of_writing_differences_grows_with_the_rows_and_not_with_their_square() -> None:
    calls = {}
    for variants in (10, 40):
        table, counted = report_of(many(variants, seeds=2, epochs=1)).table, [0]
        sys.setprofile(lambda *_, counted=counted: counted.__setitem__(0, counted[0] + 1))
        for row in table.rows:
            change(row, table)
        sys.setprofile(None)
        calls[variants] = counted[0]
    assert calls[40] < 8 * calls[10]
