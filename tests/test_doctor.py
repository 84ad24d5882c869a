"""`ablate doctor`: each fault is made for real, in a folder or a process, and found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner

from ablate import host
from ablate.cli import app
from ablate.commands import doctor, doctor_gpu, doctor_install, doctor_machine
from ablate.commands.doctor_install import Check
from ablate.host import granted_bytes, granted_cores
from ablate.training import machine

Write = Callable[[str, str], Path]
ROOT = Path(__file__).parent.parent


def install(site: Path, name: str, version: str, *requires: str) -> None:
    """Put the metadata of a distribution into a folder of imports, as pip leaves it."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")


def asked(call: str, site: Path) -> Check:
    """Return what one check finds in a fresh process that has a folder of imports before all others."""
    code = (
        "import dataclasses, json\nfrom pathlib import Path\n"
        f"from ablate.commands import doctor_install, doctor_machine\nprint(json.dumps(dataclasses.asdict({call})))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return Check(**json.loads(done.stdout))


def states(found: Iterator[Check]) -> dict[str, str]:
    return {check.name: check.state for check in found}


# The installation


def test_the_supported_versions_of_python_are_those_of_the_package() -> None:
    wanted = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    for minor in range(20):
        assert (doctor_install.python_check((3, minor, 1)).state == "ok") is (f"3.{minor}.1" in wanted)


def test_another_package_called_ablate_is_a_problem(tmp_path: Path) -> None:
    install(tmp_path, "ablate", "0.3.1")
    found = asked("doctor_install.ablate_check()", tmp_path)
    assert found.state == "problem"
    assert f"ablate 0.3.1 in {tmp_path}" in found.found
    assert found.remedy.startswith("pip uninstall ablate, then pip install ")
    assert "pip install ablate" not in found.remedy


@pytest.mark.parametrize("name", ["ablate/__init__.py", "ablate.py"])
def test_a_second_copy_among_the_imports_is_a_problem(write: Write, folder: Path, name: str) -> None:
    copy = write(f"elsewhere/{name}", "")
    found = doctor_install.ablate_check([*sys.path, str(folder / "elsewhere")])
    assert found.state == "problem"
    assert str(copy.parent if copy.stem == "__init__" else copy) in found.found


def test_a_folder_called_ablate_that_is_no_package_is_none_of_our_business(write: Write, folder: Path) -> None:
    write("ablate/notes.txt", "")
    assert doctor_install.ablate_check([*sys.path, str(folder)]).state == "ok"


def test_a_dependency_out_of_range_is_a_problem(tmp_path: Path) -> None:
    install(tmp_path, "filelock", "1.0")
    found = asked("doctor_install.dependencies_check()", tmp_path)
    assert (found.state, found.found) == ("problem", "filelock>=3.16: 1.0")
    assert found.remedy == "pip install 'filelock>=3.16'"


def test_an_absent_dependency_is_a_problem_and_one_for_elsewhere_is_not(tmp_path: Path) -> None:
    wanted = ["no-such-library>=2,<3", "nor-this; sys_platform == 'none'", "nor-that; extra == 'more'"]
    install(tmp_path, "ablate-studies", "0.1.0", "filelock", *wanted)
    found = asked("doctor_install.dependencies_check()", tmp_path)
    assert found.found == "no-such-library<3,>=2: not installed"


def test_all_pre_releases_and_builds_in_range_fit(tmp_path: Path) -> None:
    install(tmp_path, "ablate-studies", "0.1.0", "torch>=2.6")
    install(tmp_path, "torch", "2.7.0.dev20250101+cu128")
    assert asked("doctor_install.dependencies_check()", tmp_path).state == "ok"


# Libraries: fakes of them, imported as the real ones are


TORCH = """
__version__ = "2.9.0+cu128"
class version: cuda, hip = "12.8", None
class _Tensor:
    def numpy(self): return self
    def sum(self): return self
    def item(self): return 0.0
    def __matmul__(self, other): {compute}
def zeros(*shape, **how): return _Tensor()
ones = zeros
class _Card: name, total_memory = "NVIDIA H100", 80_000_000_000
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    get_device_properties = staticmethod(lambda number: _Card)
"""


@pytest.fixture
def fake(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Check]]:
    """Check with modules of the given sources in place of the libraries."""
    # The process that imports the libraries searches where this one does.
    monkeypatch.syspath_prepend(folder / "site")

    def put(seconds: float = 60.0, **sources: str) -> list[Check]:
        fine = {
            "torch": TORCH.format(compute="return self"),
            **dict.fromkeys(["torchvision", "timm"], "__version__ = '1'"),
        }
        for name, source in {**fine, **sources}.items():
            write(f"site/{name}.py", source)
        return list(doctor_install.library_checks(seconds))

    return put


def test_libraries_that_import_are_reported_with_build_and_devices(fake: Callable[..., list[Check]]) -> None:
    torch, devices, *_ = fake()
    assert torch == Check("torch", "ok", "2.9.0+cu128, built for CUDA 12.8")
    assert devices == Check("devices", "ok", "cuda:0 NVIDIA H100 (80 GB)")


def test_a_torch_that_does_not_import_is_one_problem_and_not_four(fake: Callable[..., list[Check]]) -> None:
    (found,) = fake(torch="raise OSError('libcudart.so.12: cannot open shared object file')")
    assert (found.name, found.state) == ("torch", "problem")
    assert "OSError: libcudart.so.12: cannot open" in found.found
    assert "pip install --upgrade --force-reinstall torch torchvision" in found.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_a_library_that_crashes_on_import_takes_nothing_with_it(fake: Callable[..., list[Check]]) -> None:
    *_, found = fake(torchvision="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (found.name, found.state, found.found) == ("torchvision", "problem", "crashed: SIGSEGV")


def test_a_library_that_hangs_on_import_is_given_up(fake: Callable[..., list[Check]]) -> None:
    *_, found = fake(seconds=3, timm="import time; time.sleep(3600)")
    assert (found.name, found.state, found.found) == ("timm", "problem", "gave no answer within 3 s")


def test_a_torchvision_for_another_torch_is_reinstalled_with_it(fake: Callable[..., list[Check]], folder: Path) -> None:
    install(folder / "site", "torch", "2.9.0+cu128")
    *_, found, _ = fake(torchvision="raise RuntimeError('operator torchvision::nms does not exist')")
    assert found.state == "problem"
    assert "beside torch 2.9.0+cu128: RuntimeError: operator torchvision::nms" in found.found
    assert found.remedy.endswith("torch torchvision --index-url https://download.pytorch.org/whl/cu128")


def test_a_torchvision_that_asks_for_another_torch_is_a_warning(fake: Callable[..., list[Check]], folder: Path) -> None:
    install(folder / "site", "torch", "2.9.0")
    install(folder / "site", "torchvision", "0.23.0", "torch==2.8.0")
    *_, found, _ = fake()
    assert (found.state, found.found) == ("warning", "1 is made for torch==2.8.0, not 2.9.0")


def test_a_gpu_that_does_not_compute_is_a_problem(fake: Callable[..., list[Check]]) -> None:
    compute = "raise RuntimeError('CUDA error: no kernel image is available')"
    _, found, *_ = fake(torch=TORCH.format(compute=compute))
    assert found.state == "problem"
    assert "does not compute: RuntimeError: CUDA error: no kernel image" in found.found
    assert "--device cpu goes without it" in found.remedy


def test_what_a_library_prints_does_not_stand_in_the_result(
    fake: Callable[..., list[Check]], capfd: pytest.CaptureFixture[str]
) -> None:
    fake(timm="import os; os.write(1, b'noise'); os.write(2, b'noise'); __version__ = '1'")
    assert capfd.readouterr() == ("", "")


# What a container grants


@pytest.mark.parametrize(
    ("own", "file", "text", "cores"),
    [
        ("0::/\n", "cpu.max", "250000 100000\n", 2.5),
        ("0::/\n", "cpu.max", "max 100000\n", None),
        ("0::/user/job\n", "user/cpu.max", "100000 100000\n", 1.0),
        ("4:cpu,cpuacct:/job\n", "cpu,cpuacct/job/cpu.cfs_quota_us", "50000\n", 0.5),
        ("4:cpu,cpuacct:/outside\n", "cpu,cpuacct/cpu.cfs_quota_us", "50000\n", 0.5),
        ("4:cpu:/\n", "cpu/cpu.cfs_quota_us", "-1\n", None),
    ],
)
def test_the_cores_of_a_container_are_read(write: Write, own: str, file: str, text: str, cores: float | None) -> None:
    limit = write(f"cgroup/{file}", text)
    (limit.parent / "cpu.cfs_period_us").write_text("100000\n")
    assert granted_cores(Path("cgroup"), write("own", own)) == cores


@pytest.mark.parametrize(
    ("own", "file", "text", "granted"),
    [
        ("0::/a/b\n", "a/memory.max", "2000000000\n", 2_000_000_000),
        ("0::/\n", "memory.max", "max\n", None),
        ("4:memory:/a\n", "memory/a/memory.limit_in_bytes", "1000\n", 1000),
        ("4:memory:/a\n", "memory/a/memory.limit_in_bytes", "9223372036854771712\n", None),
    ],
)
def test_the_memory_of_a_container_is_read(write: Write, own: str, file: str, text: str, granted: int | None) -> None:
    write(f"cgroup/{file}", text)
    assert granted_bytes(Path("cgroup"), write("own", own)) == granted


def test_the_least_of_nested_limits_counts(write: Write) -> None:
    write("cgroup/a/cpu.max", "100000 100000")
    write("cgroup/a/b/cpu.max", "300000 100000")
    assert granted_cores(Path("cgroup"), write("own", "0::/a/b\n")) == 1.0


def test_without_control_groups_there_is_no_limit(folder: Path) -> None:
    assert granted_cores(folder, folder / "none") is None
    assert granted_bytes(folder, folder / "none") is None


@pytest.mark.parametrize(("granted", "most"), [(None, 8), (2.5, 2), (0.5, 1), (16.0, 8)])
def test_runs_are_never_started_for_more_cores_than_are_granted(
    monkeypatch: pytest.MonkeyPatch, granted: float | None, most: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(host, "granted_cores", lambda: granted)
    assert host.cores() == most
    assert machine.default_jobs("cpu", 100) == min(most, machine.MOST_JOBS)


def test_the_cores_are_reported_with_what_a_container_grants() -> None:
    assert doctor_machine.cores_check(8, None).found == "8, no limit set by a container"
    assert doctor_machine.cores_check(2, 2.5).found == "2, the container grants 2.5"


def test_little_memory_is_a_warning_also_where_only_the_container_has_little() -> None:
    assert doctor_machine.memory_check(16 * 10**9, None).state == "ok"
    assert doctor_machine.memory_check(10**9, None).state == "warning"
    found = doctor_machine.memory_check(16 * 10**9, 10**9)
    assert (found.state, found.found) == ("warning", "16.0 GB, of which the container grants 1.0 GB")


@pytest.mark.parametrize(
    ("value", "state"),
    [("", "ok"), ("2", "ok"), ("2,1", "ok"), ("3", "warning"), ("many", "warning"), ("0", "warning")],
)
@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_threads_beyond_the_cores_are_a_warning(name: str, value: str, state: str) -> None:
    assert doctor_machine.threads_check({name: value}, 2).state == state


@pytest.mark.parametrize(("soft", "state"), [(None, "ok"), (1024, "ok"), (255, "warning")])
def test_few_open_files_are_a_warning(soft: int | None, state: str) -> None:
    assert doctor_machine.open_files_check(soft).state == state


@pytest.mark.parametrize(
    ("encoding", "state"), [("utf-8", "ok"), ("UTF8", "ok"), ("ascii", "warning"), (None, "warning")]
)
def test_output_that_is_not_utf8_is_a_warning(encoding: str | None, state: str) -> None:
    assert doctor_machine.output_check(encoding).state == state


# The store


def test_a_good_store_is_tried_and_left_as_it_was(folder: Path) -> None:
    (folder / "store" / "runs").mkdir(parents=True)
    found = states(doctor_machine.store_checks(folder / "store"))
    assert {found["store"], found["hard links"], found["file locks"]} == {"ok"}
    assert sorted(folder.rglob("*")) == [folder / "store", folder / "store" / "runs"]


def test_a_store_that_is_not_there_is_not_made(folder: Path) -> None:
    found = next(doctor_machine.store_checks(folder / "deep" / "store"))
    assert found.found.endswith("not there yet, can be made")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/store", "store"])
def test_a_file_in_place_of_a_folder_is_a_problem(write: Write, folder: Path, place: str) -> None:
    write("file", "")
    write("store/runs", "")
    (found,) = doctor_machine.store_checks(folder / place)
    assert found.state == "problem"
    assert "--store DIR or ABLATE_STORE" in found.remedy


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="has no folder in which nobody can write")
def test_a_store_that_cannot_be_written_is_a_problem() -> None:
    (found,) = doctor_machine.store_checks(Path("/proc/self/store"))
    assert (found.name, found.state) == ("store", "problem")
    assert found.found.startswith("/proc/self: cannot be written: ")


@pytest.mark.parametrize(("free", "state"), [(3e9, "ok"), (1e9, "warning"), (1e8, "problem")])
def test_a_store_without_room_is_reported(free: float, state: str) -> None:
    assert doctor_machine.space_check(free).state == state


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("acquire = lambda self, timeout: self", "two processes can hold one lock at a time"),
        ("def acquire(self, timeout): raise OSError(37, 'No locks available')", "No locks available"),
        ("def acquire(self, timeout): raise NotImplementedError('no flock here')", "no flock here"),
    ],
)
def test_locks_that_do_not_work_are_a_problem(write: Write, folder: Path, lock: str, text: str) -> None:
    source = f"""
class Timeout(Exception): pass
class FileLock:
    def __init__(self, path): self.path = path
    def __enter__(self): return self
    def __exit__(self, *error): pass
    {lock}
"""
    write("site/filelock.py", source)
    found = asked("doctor_machine._locks_check(Path('lock'))", folder / "site")
    assert found.state == "problem"
    assert text in found.found


def test_a_lock_that_outlives_its_killed_owner_is_a_problem(write: Write, folder: Path) -> None:
    source = """
import os
class Timeout(Exception): pass
class FileLock:
    def __init__(self, path): self.path = str(path)
    def acquire(self, timeout):
        try: os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
        except FileExistsError: raise Timeout from None
        return self
    def __enter__(self): return self
    def __exit__(self, *error): os.unlink(self.path)
"""
    write("site/filelock.py", source)
    found = asked("doctor_machine._locks_check(Path('lock'))", folder / "site")
    assert (found.state, found.found) == ("problem", "stay when their owner is killed")


# The data folder


def test_the_datasets_in_the_data_folder_are_reported(write: Write, folder: Path) -> None:
    for name in ("train", "test", "meta"):
        write(f"data/cifar-100-python/{name}", "")
    *_, found = doctor_machine.data_checks(folder / "data")
    assert found.state in ("ok", "warning")  # a warning on a full disk
    assert found.found.startswith("cifar100 here; fetched when a study names it: cifar10, mnist, fashion-mnist, svhn")


def test_a_file_in_place_of_the_data_folder_is_a_problem(write: Write) -> None:
    (found,) = doctor_machine.data_checks(write("data", ""))
    assert found.state == "problem"
    assert "--data-dir" in found.remedy


def test_a_data_folder_that_is_not_there_is_not_made(folder: Path) -> None:
    first, datasets = doctor_machine.data_checks(folder / "data")
    assert first.found.endswith("not there yet, made by the first download")
    assert datasets.found.startswith("none here")
    assert list(folder.iterdir()) == []


def test_a_plugin_that_does_not_import_is_a_problem(write: Write, folder: Path) -> None:
    write("plugins/broken.py", "import no_such_module\n")
    *_, found = doctor_machine.data_checks(folder / "data")
    assert found.state == "problem"
    assert found.found.startswith("plugins/broken.py:1: this plugin does not import")
    assert found.remedy == "mend the file, or move it out of the plugins folder"


# The command


def test_a_check_that_crashes_is_a_problem_and_no_traceback() -> None:
    def crash() -> Iterator[Check]:
        yield Check("store", "ok", "fine")
        raise ZeroDivisionError("odd\nmore")

    first, second = doctor_install.guarded("store", crash, "try another")
    assert first.state == "ok"
    assert second == Check("store", "problem", "could not be checked: ZeroDivisionError: odd", "try another")


def test_lines_are_aligned_and_the_remedy_stands_below(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._say(Check("cores", "warning", "8", "give --jobs 2"))
    doctor._say(Check("dependencies", "problem", "a\nb", "c"))
    assert capsys.readouterr().out.splitlines() == [
        "warning  cores         8",
        "                       give --jobs 2",
        "problem  dependencies  a",
        "                       b",
        "                       c",
    ]


def test_control_characters_of_a_path_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._say(Check("store", "ok", "a\x1b[31mb"))
    assert capsys.readouterr().out == "ok       store         a\\u001b[31mb\n"


def test_the_sum_counts_problems_and_warnings() -> None:
    problem, warning, ok = Check("a", "problem", ""), Check("b", "warning", ""), Check("c", "ok", "")
    assert doctor._sum([problem, warning, warning, ok]) == "1 problem, 2 warnings"
    assert doctor._sum([warning]) == "0 problems, 1 warning"
    assert doctor._sum([ok]) == "everything is in order"


def test_a_healthy_machine_passes(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "ablate", "doctor"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "problem  " not in done.stdout
    assert "\x1b" not in done.stdout
    names = [line[9:21].strip() for line in done.stdout.splitlines() if line.startswith(("ok ", "warning "))]
    assert names[:7] == ["python", "ablate", "dependencies", "torch", "devices", "torchvision", "timm"]
    assert names[-6:] == ["store", "hard links", "file locks", "store space", "data folder", "datasets"]


def test_json_is_a_list_of_records_and_a_problem_is_exit_code_1(write: Write, fake: Callable[..., list[Check]]) -> None:
    fake()
    done = CliRunner().invoke(app, ["doctor", "--json", "--store", str(write("file", "")), "--data-dir", "data"])
    assert done.exit_code == 1, done.output
    records = json.loads(done.stdout)
    assert all(list(record) == ["name", "state", "found", "remedy"] for record in records)
    assert [record["name"] for record in records if record["state"] == "problem"] == ["store"]


def test_an_output_that_holds_only_ascii_is_written_all_the_same(write: Write, folder: Path) -> None:
    write("site/torch.py", "raise ImportError('nö')")
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "ablate", "doctor", "--store", "störe"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stderr
    assert "st\\xf6re: not there yet" in done.stdout
    assert "written as ascii" in done.stdout
    assert done.stderr == ""


def test_a_missing_library_does_not_keep_the_doctor_from_starting(write: Write, folder: Path) -> None:
    for name in ("torch", "pandas", "numpy", "filelock"):
        write(f"site/{name}.py", f"raise ImportError('no {name} here')")
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    done = subprocess.run([sys.executable, "-m", "ablate", "doctor"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "could not be checked: ImportError: no filelock here" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGINT")
def test_ctrl_c_ends_it_with_the_process_it_started(write: Write, folder: Path) -> None:
    write(
        "site/torch.py", "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-m", "ablate", "doctor"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    while not (Path("pid").exists() and Path("pid").read_text()):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    assert running.returncode == 130
    assert "Traceback" not in out + err
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)


# The GPU


def crashes() -> Check:
    os.abort()


def fine() -> Check:
    return Check("fine", "ok", "")


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_a_trial_that_takes_its_process_down_is_reported_with_what_helps() -> None:
    found = list(doctor_install.checks_apart({"fine": fine, "crash": crashes}, 60.0, "leave it"))
    assert found == [fine(), Check("crash", "problem", "crashed: SIGABRT", "leave it")]


def test_without_a_gpu_nothing_is_tried(fake: Callable[..., list[Check]], folder: Path) -> None:
    none = TORCH.replace("is_available = staticmethod(lambda: True)", "is_available = staticmethod(lambda: False)")
    fake(torch=none.format(compute="return self") + "class backends:\n class mps: is_available = lambda: False\n")
    done = CliRunner().invoke(app, ["doctor", "--gpu", "--json"])
    assert done.exit_code == 1, done.output
    torch, devices = json.loads(done.stdout)
    assert (torch["state"], devices["state"]) == ("ok", "problem")
    assert devices["found"].endswith("torch has no NVIDIA GPU here, so nothing was tried")


def ended(*weights: str, accuracy: float = 0.5) -> list[dict[str, object]]:
    return [{"weights": one, "test/accuracy": accuracy} for one in weights]


@pytest.mark.parametrize(
    ("two", "again", "state", "text"),
    [
        (ended("a", "b"), ended("a"), "ok", "2 runs end with the same weights, bit by bit"),
        (ended("a", "c"), ended("a"), "problem", "other weights than one after the other"),
        (ended("a", "c", accuracy=0.51), ended("x"), "ok", "but for rounding, which this GPU has from one run to the"),
        (ended("a", "c", accuracy=0.6), ended("x", accuracy=0.52), "problem", "10.0 points apart, and 2.0 where"),
    ],
)
def test_runs_side_by_side_are_held_against_the_same_in_turn(
    two: list[dict[str, object]], again: list[dict[str, object]], state: str, text: str
) -> None:
    found = doctor_gpu.compared(ended("a", "b"), two, again)
    assert found.state == state
    assert text in found.found


def test_small_runs_are_made_side_by_side_and_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = doctor_gpu._STUDY.replace("epochs = 20", "epochs = 1").replace("width = 16, hidden = 64", "width = 4")
    monkeypatch.setattr(doctor_gpu, "_STUDY", small)
    found = doctor_gpu.side_by_side_check("cpu")
    assert (found.name, found.state) == ("side by side", "ok"), found
    assert found.found.startswith("4 runs end with the same weights, bit by bit\ntwo at a time take ")
    assert found.remedy


def test_a_run_that_fails_on_the_gpu_is_a_problem_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = doctor_gpu._STUDY.replace("lr = 1e-3", "lr = 1e30").replace("seeds = 4", "seeds = 1")
    monkeypatch.setattr(doctor_gpu, "_STUDY", broken)
    (found,) = doctor_install.guarded("side by side", lambda: [doctor_gpu.side_by_side_check("cpu")], "leave it")
    assert (found.state, found.remedy) == ("problem", "leave it")
    assert "diverged" in found.found
