from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate.data.download import Remote, fetch, obtain, unpack
from ablate.data.transfer import Patience
from ablate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
CONTENT = random.Random(0).randbytes(2_000_000)
HALF = len(CONTENT) // 2
FAST = Patience(stall_seconds=0.4, tries=3, pause_seconds=0.01)


def md5(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest()


class Host(ThreadingHTTPServer):
    """Serves one file, keeps the Range header of each request, and misbehaves as `faults` say.

    Each request takes the next of `faults`; `always` is used when they are used up.
    """

    daemon_threads = True

    def __init__(self, content: bytes = CONTENT) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.faults, self.always = content, list[str](), ""
        self.ranges: list[str | None] = []
        self.asked, self.gate = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up are part of the tests."""


class _Answer(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        host, asked = self.server, self.headers["Range"]
        fault = host.faults.pop(0) if host.faults else host.always
        host.ranges.append(asked)
        host.asked.set()
        if fault.isdigit():
            return self.send_error(int(fault))
        content = bytes(len(host.content)) if fault == "wrong" else host.content
        start = int(asked[6:-1]) if asked and fault not in ("whole", "whole-drop") else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        return self._body(fault, content[start:])

    def _body(self, fault: str, rest: bytes) -> None:
        if fault in ("drop", "whole-drop"):
            self.wfile.write(rest[: len(rest) // 2])
        elif fault in ("stall", "hold"):
            self.wfile.write(rest[: len(rest) // 2])
            self.server.gate.wait(20)
            if fault == "hold":
                self.wfile.write(rest[len(rest) // 2 :])
        elif fault == "slow":
            for start in range(0, len(rest), len(rest) // 10):
                time.sleep(0.3)
                self.wfile.write(rest[start : start + len(rest) // 10])
        else:
            self.wfile.write(rest)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def host() -> Iterator[Host]:
    with running(Host()) as server:
        yield server


@contextlib.contextmanager
def running(server: Host) -> Iterator[Host]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


def remote(*hosts: Host, name: str = "file.bin") -> Remote:
    return Remote(name, md5(CONTENT), tuple(h.url for h in hosts), len(CONTENT))


def begun(folder: Path, content: bytes) -> Path:
    part = folder / "file.bin.part"
    part.write_bytes(content)
    return part


def test_a_download_stands_under_its_name_and_leaves_no_part(host: Host, tmp_path: Path) -> None:
    path = fetch(remote(host), tmp_path / "new" / "folder", FAST)
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in path.parent.iterdir() if p.suffix != ".lock") == ["file.bin"]


def test_a_file_that_stands_there_is_not_asked_for(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    fetch(remote(host), tmp_path, FAST)
    assert host.ranges == []


def test_a_quick_download_prints_nothing(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(remote(host), tmp_path, FAST)
    assert capsys.readouterr() == ("", "")


def test_a_dropped_connection_goes_on_where_it_stopped(host: Host, tmp_path: Path) -> None:
    host.faults = ["drop"]
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert host.ranges == [None, f"bytes={HALF}-"]


def test_a_part_from_an_earlier_command_is_gone_on_with(host: Host, tmp_path: Path) -> None:
    begun(tmp_path, CONTENT[:1234])
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert host.ranges == ["bytes=1234-"]


def test_drops_do_not_count_while_each_connection_gets_further(host: Host, tmp_path: Path) -> None:
    host.faults = ["drop"] * 8
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT


def test_a_server_without_ranges_is_read_from_the_start(host: Host, tmp_path: Path) -> None:
    host.faults = ["drop", "whole"]
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT


def test_a_server_without_ranges_that_always_drops_is_given_up(host: Host, tmp_path: Path) -> None:
    host.always = "whole-drop"
    with pytest.raises(DataError, match=r"the connection closed after 1\.0 MB of 2\.0 MB \(3 tries\)"):
        fetch(remote(host), tmp_path, FAST)


def test_a_part_that_is_complete_is_taken(host: Host, tmp_path: Path) -> None:
    begun(tmp_path, CONTENT)
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert len(host.ranges) == 1


def test_a_part_longer_than_the_file_is_started_again(host: Host, tmp_path: Path) -> None:
    begun(tmp_path, CONTENT + b"more")
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert host.ranges[-1] is None


def test_a_damaged_part_is_deleted_and_the_address_asked_again(host: Host, tmp_path: Path) -> None:
    begun(tmp_path, bytes(100))
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert host.ranges == ["bytes=100-", None]


def test_wrong_content_is_reported_and_the_next_mirror_asked(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.always = "wrong"
    with running(Host()) as mirror:
        assert fetch(remote(host, mirror), tmp_path, FAST).read_bytes() == CONTENT
    assert f"{host.url}: its content has the md5 {md5(bytes(len(CONTENT)))}, expected {md5(CONTENT)}; deleted" in (
        capsys.readouterr().err
    )


def test_wrong_content_everywhere_leaves_nothing_behind(host: Host, tmp_path: Path) -> None:
    host.always = "wrong"
    with pytest.raises(DataError, match="its content has the md5"):
        fetch(remote(host), tmp_path, FAST)
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == []


def test_an_address_without_the_file_is_not_asked_twice(host: Host, tmp_path: Path) -> None:
    host.always = "404"
    with running(Host()) as mirror:
        fetch(remote(host, mirror), tmp_path, FAST)
    assert len(host.ranges) == 1


def test_a_busy_server_is_asked_again(host: Host, tmp_path: Path) -> None:
    host.faults = ["503", "429"]
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT


def test_a_stalled_connection_goes_on_where_it_stopped(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.faults = ["stall"]
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert host.ranges == [None, f"bytes={HALF}-"]
    assert "/file.bin: nothing came for 0.4 s; trying again (2 of 3)" in capsys.readouterr().err


def test_a_host_that_gives_nothing_ends_in_an_error_that_says_what_to_do(host: Host, tmp_path: Path) -> None:
    host.faults, host.always = ["stall"], "503"
    packed = Remote("in/a.tar.gz", "0" * 32, (host.url,), members={"in/a": "1" * 32})
    with pytest.raises(DataError) as caught:
        fetch(packed, tmp_path, FAST, wanted=[packed, Remote("b.mat", "2" * 32, ())])
    text = str(caught.value)
    assert f"in/a.tar.gz could not be downloaded to {tmp_path}" in text
    assert f"{host.url}: HTTP status 503 (3 tries)" in text
    assert "run the command again later to go on (1.0 MB are kept)" in text
    assert "--data-dir DIR or ABLATE_DATA_DIR=DIR" in text
    assert all(line in text for line in (f"in/a.tar.gz (md5 {'0' * 32})", f"in/a (md5 {'1' * 32})", "b.mat (md5 222"))


def test_a_host_that_refuses_connections_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file.bin"
        with pytest.raises(DataError, match=re.escape(f"{url}: Connection refused (3 tries)")):
            fetch(Remote("file.bin", md5(CONTENT), (url,)), tmp_path, FAST)


SCRIPT = """
import sys
from pathlib import Path
from ablate.data.download import Remote, fetch
url, md5, folder = sys.argv[1:]
fetch(Remote("file.bin", md5, (url,), 2_000_000), Path(folder))
"""


@contextlib.contextmanager
def process(host: Host, folder: Path, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", SCRIPT, host.url, md5(CONTENT), str(folder)]
    with subprocess.Popen(command, stderr=stderr, text=True, env=environment) as child:
        yield child


def test_several_processes_download_once_and_say_that_they_wait(host: Host, tmp_path: Path) -> None:
    host.always = "hold"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(process(host, tmp_path))
        assert host.asked.wait(30)
        others = [stack.enter_context(process(host, tmp_path)) for _ in range(3)]
        for other in others:
            assert other.stderr is not None
            assert other.stderr.readline() == "waiting for another process that downloads file.bin\n"
        host.gate.set()
        said = [child.communicate(timeout=60)[1] for child in (first, *others)]
    assert said == [""] * 4
    assert [child.returncode for child in (first, *others)] == [0] * 4
    assert host.ranges == [None]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_killed_download_leaves_no_lock_and_is_gone_on_with(host: Host, tmp_path: Path) -> None:
    host.faults = ["hold"]
    part = tmp_path / "file.bin.part"
    with process(host, tmp_path) as child:
        while child.poll() is None and not (part.exists() and part.stat().st_size >= HALF - (1 << 18)):
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    kept = part.stat().st_size
    assert kept > 0
    assert fetch(remote(host), tmp_path, FAST).read_bytes() == CONTENT
    assert host.ranges == [None, f"bytes={kept}-"]


def test_a_slow_download_prints_plain_lines_where_there_is_no_terminal(host: Host, tmp_path: Path) -> None:
    host.faults = ["slow"]
    with process(host, tmp_path) as child:
        said = child.communicate(timeout=60)[1].splitlines()
    assert 1 <= len(said) <= 6
    assert all(re.fullmatch(r"downloading file\.bin: [12]\.\d MB of 2\.0 MB \(\d+ %\)", line) for line in said)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_slow_download_draws_a_bar_on_a_terminal(host: Host, tmp_path: Path) -> None:
    host.faults = ["slow"]
    ours, theirs = os.openpty()
    seen = b""
    with process(host, tmp_path, theirs):
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux ends a pseudo-terminal with an error
            while block := os.read(ours, 4096):
                seen += block
    os.close(ours)
    assert b"downloading file.bin" in seen
    assert "━".encode() in seen


def test_a_file_in_place_of_the_data_folder_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataError, match=r"data: .*\n  a file stands where a folder should be: move it away, or name"):
        fetch(remote(host, name="raw/file.bin"), tmp_path / "data", FAST)


@contextlib.contextmanager
def folder_of_mode(mode: int) -> Iterator[Path]:
    """Make a folder of these permissions, and give up root's rights for a while, which none holds back."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(mode)
        importlib.import_module("filelock")  # while there is the right to read the environment's files
        if root:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)
            Path(name).chmod(0o700)


def test_a_read_only_data_folder_is_named(host: Host) -> None:
    denied = r": Permission denied\n  give yourself access"
    with folder_of_mode(0o555) as folder, pytest.raises(DataError, match=re.escape(str(folder)) + ".*" + denied):
        fetch(remote(host), folder, FAST)
    assert host.ranges == []


def test_a_data_folder_that_cannot_be_looked_into_is_named(host: Host) -> None:
    denied = r": Permission denied\n  give yourself access"
    with folder_of_mode(0o000) as folder, pytest.raises(DataError, match=re.escape(str(folder)) + ".*" + denied):
        fetch(remote(host), folder, FAST)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"No space left on device\n  free some space, or name another folder"):
        fetch(remote(host), tmp_path, FAST)


def test_a_damaged_file_is_named_and_left_for_its_owner_to_delete(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"file\.bin: damaged: its md5 is \w+, expected \w+\n  delete it"):
        fetch(remote(host), tmp_path, FAST)
    assert (tmp_path / "file.bin").read_bytes() == b"damaged"


def tar_of(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_only_the_named_members_are_unpacked(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", ("set/train", b"1"), ("set/other", b"2"), ("../escaped", b"3"))
    unpack(archive, tmp_path, {"set/train": md5(b"1")})
    assert sorted(p.name for p in tmp_path.rglob("*") if p.suffix != ".lock") == ["a.tar.gz", "set", "train"]
    assert not (tmp_path.parent / "escaped").exists()


def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", ("../escaped", b"3"))
    with pytest.raises(DataError, match="does not unpack"):
        unpack(archive, tmp_path, {"../escaped": md5(b"3")})
    assert not (tmp_path.parent / "escaped").exists()


def test_a_link_in_place_of_a_member_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("train")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataError, match="it lacks train"):
        unpack(archive, tmp_path, {"train": "0" * 32})


def test_a_damaged_member_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", ("train", b"1"), ("test", b"2"))
    with pytest.raises(DataError, match="test: damaged"):
        unpack(archive, tmp_path, {"train": md5(b"1"), "test": md5(b"3")})
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == ["a.tar.gz"]


def test_a_cut_archive_is_named(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", ("train", CONTENT))
    archive.write_bytes(archive.read_bytes()[:HALF])
    with pytest.raises(DataError, match=r"a\.tar\.gz: does not unpack"):
        unpack(archive, tmp_path, {"train": md5(CONTENT)})


def test_a_gz_is_unpacked_to_its_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"1"))
    unpack(tmp_path / "a.gz", tmp_path, {"raw/a": md5(b"1")})
    assert (tmp_path / "raw" / "a").read_bytes() == b"1"


def test_members_that_stand_there_need_no_archive(host: Host, tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"1")
    obtain([Remote("a.tar.gz", "0" * 32, (host.url,), members={"train": md5(b"1")})], tmp_path, FAST)
    assert host.ranges == []


def test_a_damaged_member_that_stands_there_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"damaged")
    with pytest.raises(DataError, match="train: damaged"):
        obtain([Remote("a.tar.gz", "0" * 32, (host.url,), members={"train": md5(b"1")})], tmp_path, FAST)


def test_an_archive_is_fetched_and_unpacked(tmp_path: Path) -> None:
    raw = tar_of(tmp_path / "made.tar.gz", ("set/train", b"1"), ("set/test", b"2")).read_bytes()
    with running(Host(raw)) as server:
        members = {"set/train": md5(b"1"), "set/test": md5(b"2")}
        obtain([Remote("a.tar.gz", md5(raw), (server.url,), members=members)], tmp_path / "data", FAST)
    assert (tmp_path / "data" / "set" / "test").read_bytes() == b"2"
