from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import StoreError
from ablate.execute import server
from ablate.execute.inline import Inline
from ablate.execute.jobs import (
    Damaged,
    EpochDone,
    Event,
    Executor,
    Failed,
    Finished,
    Job,
    Started,
    Stopped,
)
from ablate.execute.local import LocalProcesses
from ablate.execute.processes import died
from ablate.execute.rehearsals import HUNG
from ablate.execute.server import start
from ablate.store.store import Store
from ablate.study.spec import Limits
from ablate.training.checkpoint import read_checkpoint, write_checkpoint
from tests.support import jobs, run

ROOT = Path(__file__).parent.parent
Write = Callable[[str, str], Path]

BREAKS = '''
import ctypes
import os

import torch

from ablate import augmentation


@augmentation("breaks")
def breaks(*, how: str = "raise", after: int = 2):
    """Break after some batches."""
    calls = 0

    def transform(images, generator):
        nonlocal calls
        calls += 1
        if calls > after:
            if how == "raise":
                raise ValueError("no more\\nsecond line")
            if how == "exit":
                os._exit(3)
            if how == "segfault":
                ctypes.string_at(0)
            if how == "nan":
                return images * float("nan")
        return images[:, :, :4] if how == "shape" else images

    return transform
'''


EACH_STEP = Limits(checkpoint_seconds=0.0)


def ends(events: list[Event]) -> dict[str, str]:
    """Return how each variant's seed 0 ended: `done`, or the reason of its failure."""
    return {
        e.spec.variant: e.reason if isinstance(e, Failed) else "done"
        for e in events
        if isinstance(e, (Finished, Failed)) and e.spec.seed == 0
    }


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("segfault", "ended by SIGSEGV"),
        ("nan", "diverged: the training loss is nan in epoch 1"),
    ],
)
def test_a_run_that_breaks_costs_only_itself(study: Path, write: Write, how: str, reason: str) -> None:
    write("plugins/breaks.py", BREAKS)
    study.write_text(
        study.read_text()
        + f'[[variant]]\nname = "broken"\nadd = {{ augmentation = [{{ use = "breaks", how = "{how}" }}] }}\n'
        + '[[variant]]\nname = "after"\nset = { epochs = 1 }\n'
    )
    events = run(LocalProcesses(1), jobs(study))
    assert ends(events) == {"baseline": "done", "flipped": "done", "after": "done", "broken": ends(events)["broken"]}
    assert reason in ends(events)["broken"]
    broken = next(e.spec for e in events if isinstance(e, Failed))
    folder = Store(Path("store")).run(broken.key)
    assert folder.state() == "failed"
    assert (folder.failure() or {})["reason"] == ends(events)["broken"]


def test_a_failure_keeps_the_plugins_own_traceback(study: Path, write: Write) -> None:
    write("plugins/breaks.py", BREAKS)
    todo = jobs(study, 'flipped.augmentation=[{ use = "breaks" }]')
    (failed,) = [e for e in run(Inline(), todo[1:2]) if isinstance(e, Failed)]
    assert "breaks.py" in (Store(Path("store")).run(failed.spec.key).failure() or {})["traceback"]


UNKEPT = """
import torch
from ablate import scheduler

@scheduler("unkept", steps="epoch")
def unkept(optimizer, horizon):
    made = torch.optim.lr_scheduler.ConstantLR(optimizer)
    made.shape = lambda epoch: 1.0
    return made
"""


def test_a_state_that_cannot_be_saved_ends_no_run_and_is_reported_once(study: Path, write: Write) -> None:
    write("plugins/unkept.py", UNKEPT)
    todo = [replace(job, limits=EACH_STEP) for job in jobs(study, "baseline.scheduler.use=unkept")[:1]]
    events = run(Inline(), todo)
    (damaged,) = [event for event in events if isinstance(event, Damaged)]
    assert damaged.what.startswith("its state cannot be saved (")
    assert damaged.what.endswith("the run goes on, and starts over if it is interrupted")
    assert ends(events) == {"baseline": "done"}


def test_a_rehearsal_survives_a_crash_and_goes_on(study: Path, write: Write) -> None:
    write("plugins/breaks.py", BREAKS)
    todo = jobs(study, 'baseline.augmentation=[{ use = "breaks", how = "segfault", after = 0 }]')[:2]
    sound = jobs(study)[0]
    todo.append(replace(sound, spec=replace(sound.spec, variant="sound")))
    found = LocalProcesses(1).rehearse(todo)
    assert set(found.failed) == {"baseline", "flipped"}
    assert all("SIGSEGV" in reason for reason in found.failed.values())
    assert set(found.state_bytes) == {"sound"}


def test_a_run_is_made_with_the_plugins_as_they_were_when_it_was_planned(study: Path) -> None:
    todo = jobs(study)[:2]
    plugin = study.parent.parent / "plugins" / "tiny.py"
    (first,) = [e for e in run(LocalProcesses(1), todo[:1]) if isinstance(e, Finished)]
    (plugin.parent / "copy.py").write_text(plugin.read_text())
    plugin.write_text("half a fi(")
    other = replace(todo[0], store=Path("other").resolve())
    Store(other.store).make_writable()
    second, _ = [e for e in run(LocalProcesses(1), [other, todo[1]]) if isinstance(e, Finished)]
    assert first.result["weights"] == second.result["weights"]


def test_runs_end_with_their_driver(study: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from ablate.execute.local import LocalProcesses; from tests.support import jobs\n"
        "todo = jobs(Path(sys.argv[2]), 'baseline.epochs=1000000')[:1]\n"
        "LocalProcesses(1).run(todo, lambda e: print(type(e).__name__, flush=True))"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(study)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    with driver.stdout:
        while "EpochDone" not in driver.stdout.readline():
            pass
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        driver.stdout.read()  # the worker holds the other end of this pipe: this ends only when it is gone


@pytest.mark.parametrize(("code", "text"), [(-9, "SIGKILL; the system may have run out"), (7, "exit code 7")])
def test_how_a_process_ended_is_put_into_words(code: int, text: str) -> None:
    assert text in died(code)


@pytest.mark.slow
def test_a_users_script_without_a_main_guard_does_not_loop(study: Path, write: Write) -> None:
    script = write(
        "script.py",
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
        "from ablate.execute.local import LocalProcesses\nfrom tests.support import jobs, run\n"
        f"print(len(run(LocalProcesses(1), jobs(Path({str(study)!r}))[:1])))\n",
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "4"


def test_a_run_that_another_process_holds_is_waited_for_and_not_made_twice(study: Path) -> None:
    todo = jobs(study, "baseline.epochs=30")[:1]
    events: list[list[Event]] = [[], []]
    drivers = [threading.Thread(target=LocalProcesses(1).run, args=(todo, mine.append), daemon=True) for mine in events]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(60)
    assert sorted(sum(isinstance(e, Started) for e in mine) for mine in events) == [0, 1]
    assert all(isinstance(mine[-1], Finished) for mine in events)
    assert len(Store(todo[0].store).run(todo[0].spec.key).history()) == 30


def test_a_damaged_result_is_moved_aside_and_the_run_made_again(study: Path) -> None:
    todo = jobs(study)[:1]
    run(Inline(), todo)
    folder = Store(todo[0].store).run(todo[0].spec.key)
    (folder.path / "result.json").write_text("{}")
    assert folder.state() == "unfinished"
    assert isinstance(run(Inline(), todo)[-1], Finished)
    assert folder.state() == "stored"
    assert (folder.path / "result.damaged.json").exists()


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(study: Path) -> None:
    (job,) = jobs(study, "baseline.epochs=40", "baseline.dataset.images=300")[:1]
    job = replace(job, limits=EACH_STEP)
    seen: list[Event] = []

    def tell(event: Event) -> None:
        seen.append(event)
        if isinstance(event, EpochDone) and event.record["epoch"] == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalProcesses(1).run([job], tell)
    again = run(LocalProcesses(1), [job])
    first = next(e.record["epoch"] for e in again if isinstance(e, EpochDone))
    assert first >= 10
    folder = Store(job.store).run(job.spec.key)
    assert [record["epoch"] for record in folder.history()] == list(range(1, 41))
    assert not folder.checkpoint.exists()
    whole = Job(job.spec, Path("whole").resolve(), job.machine, job.code)
    Store(whole.store).make_writable()
    run(LocalProcesses(1), [whole])
    assert (folder.result() or {})["weights"] == (Store(whole.store).run(job.spec.key).result() or {})["weights"]


class _Ends:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (7,)


def test_a_rehearsal_whose_process_cannot_begin_ends(study: Path) -> None:
    todo = [replace(job, store=_Ends()) for job in jobs(study)[:2]]  # type: ignore[arg-type]
    failed = LocalProcesses(1).rehearse(todo).failed
    assert set(failed) == {"baseline", "flipped"}
    assert all("exit code 7" in reason for reason in failed.values())


def test_a_plugin_that_ends_every_process_but_the_driver_is_reported(study: Path) -> None:
    plugin = study.parent.parent / "plugins/tiny.py"
    plugin.write_text(f"import os\n\nif os.getpid() != {os.getpid()}:\n    os._exit(7)\n{plugin.read_text()}")
    failed = LocalProcesses(1).rehearse(jobs(study)[:2]).failed
    assert set(failed) == {"baseline", "flipped"}
    assert all("exit code 7" in reason for reason in failed.values())


def test_a_model_that_exits_is_reported_and_the_others_are_rehearsed(study: Path, write: Write) -> None:
    body = 'import sys\nfrom ablate import model\n\n\n@model("exits")\ndef exits(shape, classes):\n'
    write("plugins/exits.py", f'{body}    """Exit."""\n    sys.exit(0)\n')
    write("plugins/breaks.py", BREAKS)
    todo = jobs(study, "baseline.model.use=exits", 'flipped.augmentation=[{ use = "breaks", how = "shape" }]')[:1]
    todo.append(jobs(study, 'flipped.augmentation=[{ use = "breaks", how = "shape" }]')[1])
    failed = LocalProcesses(1).rehearse(todo).failed
    assert set(failed) == {"baseline", "flipped"}
    assert "SystemExit" in failed["baseline"]


def test_a_crash_with_children_left_ends_them_and_is_reported_at_once(study: Path, write: Write) -> None:
    forks = '''
import os
import time

from ablate import augmentation


@augmentation("forks")
def forks(*, after: int = 2):
    """Leave a child behind and crash."""
    calls = []

    def transform(images, generator):
        calls.append(1)
        if len(calls) > after:
            if os.fork() == 0:
                time.sleep(3600)  # longer than any test may take
                os._exit(0)
            os._exit(9)
        return images

    return transform
'''
    write("plugins/forks.py", forks)
    todo = jobs(study, 'flipped.augmentation=[{ use = "forks" }]')[1:2]
    (failed,) = [e for e in run(LocalProcesses(1), todo) if isinstance(e, Failed)]
    assert "exit code 9" in failed.reason


def test_a_result_is_kept_where_there_are_no_hard_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    store = Store(folder / "store")
    store.make_writable()
    mine = store.writer("k")
    mine.begin({"key": "k"})
    assert mine.commit_result({"test/accuracy": 0.5})
    assert not mine.commit_result({"test/accuracy": 0.9})
    assert (mine.result() or {})["test/accuracy"] == 0.5


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_stops_the_command_and_the_same_command_goes_on(study: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "ablate", "run", str(study), "--seeds", "1", "--jobs", "1"]
    long = [*command, "--set", "baseline.epochs=3000", "--set", "baseline.dataset.images=2000"]
    running = subprocess.Popen(long, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("start"):
            break
    time.sleep(3)
    running.send_signal(number)
    told = running.stderr.read()
    running.stderr.close()
    assert running.wait() == code
    assert "stopping: runs under way save their state" in told
    assert "stopped: 0 of 2 runs done, 1 with a checkpoint; run the same command again to continue" in told
    assert "Traceback" not in told


def test_a_study_may_go_on_after_its_loss_diverged(study: Path) -> None:
    todo = jobs(study, "baseline.optimizer.use=sgd", "baseline.optimizer.lr=1e30")[:1]
    (failed,) = [e for e in run(Inline(), todo) if isinstance(e, Failed)]
    assert "diverged: the training loss is nan in epoch 1, from step" in failed.reason
    events = run(Inline(), [replace(todo[0], limits=Limits(go_on=True), retry=True)])
    assert isinstance(events[-1], Finished)


HUNGRY = """
import torch

from ablate import model


class Hungry(torch.nn.Module):
    def __init__(self, classes, room):
        super().__init__()
        self.room, self.head = room, torch.nn.LazyLinear(classes)

    def forward(self, images):
        if len(images) > self.room:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return self.head(images.flatten(1))


@model("hungry")
def hungry(shape, classes, *, room: int):
    return Hungry(classes, room)
"""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("baseline.batch_size=8",), r" in evaluation: hungry on batches of 12; take smaller images, or choose"),
        (("baseline.batch_size=2",), r" in evaluation: hungry on batches of 12; take smaller images, or choose"),
        (("baseline.batch_size=16",), r": hungry with batch_size 16; raise accumulate, .*, lower batch_size, or"),
        (("baseline.batch_size=32", "baseline.accumulate=2"), r": hungry with batch_size 32 in 2 parts; raise accum"),
    ],
)
def test_out_of_memory_says_where_and_what_to_lower(
    study: Path, write: Write, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setattr("ablate.training.loop.FEW_PIXELS", 12 * 64)
    write("plugins/hungry.py", HUNGRY)
    use = 'baseline.model={ use = "hungry", room = 10 }'
    todo = jobs(study, use, 'baseline.optimizer={ use = "sgd", lr = 0.1 }', *settings)
    (failed,) = [e for e in run(Inline(), todo[:1]) if isinstance(e, Failed)]
    assert failed.out_of_memory
    assert re.match(f"out of memory{reason}", failed.reason)


def test_lowering_the_batch_is_advised_where_evaluation_follows_it(
    study: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablate.training.loop.FEW_PIXELS", 64)
    # In evaluation mode alone, as where a model keeps less in training.
    write("plugins/hungry.py", HUNGRY.replace("if len", "if not self.training and len"))
    use = 'baseline.model={ use = "hungry", room = 10 }'
    todo = jobs(study, use, 'baseline.optimizer={ use = "sgd", lr = 0.1 }')
    (failed,) = [e for e in run(Inline(), todo[:1]) if isinstance(e, Failed)]
    assert failed.reason == (
        "out of memory in evaluation: hungry on batches of 16; lower batch_size or raise accumulate, or choose a "
        "smaller model"
    )


ONCE = """
import os
import signal
from pathlib import Path

from ablate import model


@model("killed-once")
def killed_once(shape, classes):
    \"""Be killed from outside while it is built for the first time.\"""
    import torch

    if not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(classes))
"""


def test_a_rehearsal_that_was_killed_from_outside_is_tried_once_more(study: Path, write: Write) -> None:
    write("plugins/once.py", ONCE)
    todo = jobs(study, "baseline.model.use=killed-once")[:2]
    assert LocalProcesses(1).rehearse(todo).failed == {}


@pytest.mark.parametrize("executor", [Inline(), LocalProcesses(2)], ids=["inline", "processes"])
def test_a_full_disk_stops_the_study_with_one_error_and_it_goes_on_with_room(
    executor: Executor, study: Path, small_disk: Path
) -> None:
    todo = jobs(study, "baseline.model.hidden=1200")
    todo = [replace(job, store=small_disk / "store", limits=EACH_STEP) for job in todo]
    Store(small_disk / "store").make_writable()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 40_000))
    events: list[Event] = []
    with pytest.raises(StoreError, match=r"No space left on device\n  free some space"):
        executor.run(todo, events.append)
    assert not any(isinstance(e, (Failed, Finished)) for e in events)
    assert {Store(small_disk / "store").state(job.spec.key) for job in todo} <= {"new", "unfinished"}
    filler.unlink()
    assert set(ends(run(executor, todo)).values()) == {"done"}


def test_a_store_that_vanishes_stops_the_study_and_is_not_made_again(study: Path) -> None:
    todo = jobs(study)
    gone = Path("elsewhere")

    def tell(event: Event) -> None:
        if isinstance(event, Finished) and not gone.exists():
            Path("store").rename(gone)

    with pytest.raises(StoreError, match="is its disk still mounted"):
        LocalProcesses(1).run(todo, tell)
    assert not Path("store").exists()
    gone.rename("store")
    assert set(ends(run(LocalProcesses(1), todo)).values()) == {"done"}


def test_too_many_open_files_stop_the_study(study: Path, write: Write) -> None:
    opens = """
import os
import resource

from ablate import augmentation


@augmentation("opens")
def opens():
    \"""Open files until there are no more.\"""

    def transform(images, generator):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        for _ in range(100 if len(images) > 8 else 0):
            os.open("/dev/null", os.O_RDONLY)
        return images

    return transform
"""
    write("plugins/opens.py", opens)
    (job,) = jobs(study, "flipped.augmentation=[{ use = 'opens' }]", "baseline.epochs=30")[1:2]
    with pytest.raises(StoreError, match="allow more open files"):
        LocalProcesses(1).run([job], lambda _: None)
    assert Store(job.store).state(job.spec.key) == "unfinished"


def test_finished_runs_keep_their_weights_where_the_study_says_so(study: Path) -> None:
    keep, drop = jobs(study)[:2]
    run(Inline(), [replace(keep, limits=Limits(keep_checkpoints=True)), drop])
    kept = Store(keep.store).run(keep.spec.key)
    state = read_checkpoint(kept.checkpoint, keep.spec.key) or {}
    assert [record["epoch"] for record in state["records"]] == [1, 2]
    assert abs(kept.checkpoint.stat().st_size - (kept.result() or {})["state_bytes"]) < 64_000
    assert not Store(drop.store).run(drop.spec.key).checkpoint.exists()


def test_a_run_names_its_owner_while_it_is_made(study: Path) -> None:
    job = jobs(study, "baseline.epochs=40")[0]  # still under way when the driver looks
    folder = Store(job.store).run(job.spec.key)
    seen: list[str] = []
    LocalProcesses(1).run([job], lambda e: seen.append(str(folder.owner())) if isinstance(e, Started) else None)
    assert re.fullmatch(rf"process \d+ on {re.escape(platform.node())} since .+", seen[0])
    assert folder.owner() is None
    assert not (folder.path / "owner.json").exists()


def test_sigterm_before_the_first_run_says_so(study: Path, write: Write) -> None:
    write("plugins/slow.py", "import time\n\nprint('slow', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "ablate", "run", str(study)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr is not None
    assert running.stderr.readline() == "slow\n"  # no result, so not on standard output
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate()
    assert running.returncode == 143
    assert told == "\nstopped; finished runs are stored; run the same command again to continue\n"


def visible_gpus(_: None, pipe: Any) -> None:
    pipe.send(os.environ.get("CUDA_VISIBLE_DEVICES"))


def test_a_process_sees_the_gpus_of_its_starter_and_not_those_of_when_the_server_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for gpus in ("", "3", None):
        if gpus is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        process, pipe = start(visible_gpus, None)
        assert pipe.recv() == gpus
        process.join()


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")
def test_a_ctrl_c_while_the_fork_server_starts_is_not_for_it() -> None:
    # The driver goes on, and says at the end whether its server lives.
    code = (
        "import os, signal\nfrom multiprocessing.forkserver import _forkserver\n"
        "from ablate.execute.server import warm_up\nsignal.signal(signal.SIGINT, lambda *_: None)\n"
        "warm_up()\nprint('up', flush=True)\ninput()\n"
        "print(os.waitpid(_forkserver._forkserver_pid, os.WNOHANG))"
    )
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    driver = subprocess.Popen([sys.executable, "-c", code], **pipes, text=True, start_new_session=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "up\n"
    for _ in range(20):
        os.killpg(driver.pid, signal.SIGINT)
        time.sleep(0.02)
    assert driver.communicate("\n") == ("(0, 0)\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")
def test_a_driver_that_dies_while_the_fork_server_loads_leaves_nothing_behind(study: Path) -> None:
    code = "from ablate.execute.server import warm_up\nwarm_up()\nprint('up', flush=True)\ninput()"
    environment = {**os.environ, "ABLATE_TEST_MARK": str(study)}
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "up\n"
    wanted = f"ABLATE_TEST_MARK={study}".encode()

    def alive() -> list[str]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes() and int(folder.name) != driver.pid:
                    found.append((folder / "cmdline").read_bytes().decode())
        return [command for command in found if "forkserver" in command]

    for _ in range(200):  # until it has begun to load: before, there is nothing to end
        if alive():
            break
        time.sleep(0.01)
    time.sleep(0.7)
    driver.kill()
    driver.wait()
    time.sleep(0.3)
    left = alive()
    driver.communicate()  # waits for whatever holds its output
    assert left == []


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
def test_a_result_that_may_not_be_read_now_is_not_made_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs(study)[0]
    run(Inline(), [job])
    file = Store(job.store).run(job.spec.key).path / "result.json"
    before = file.read_bytes()
    opened = os.open

    def refused(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(StoreError, match="Permission denied"):
        run(Inline(), [job])
    monkeypatch.undo()
    assert file.read_bytes() == before


def test_damage_is_reported_and_the_run_made_again(study: Path) -> None:
    job, other = jobs(study)[:2]
    run(Inline(), [job, other])
    folder, foreign = (Store(j.store).run(j.spec.key) for j in (job, other))
    shutil.copy(foreign.path / "result.json", folder.path / "result.json")
    assert folder.state() == "unfinished"
    (damaged,) = [e for e in run(Inline(), [job]) if isinstance(e, Damaged)]
    assert "result.json: damaged; moved aside, and the run is made again" in damaged.what
    assert folder.state() == "stored"


@pytest.mark.parametrize("change", ["bit", "model"])
def test_a_checkpoint_that_cannot_be_used_is_reported_and_the_run_starts_over(study: Path, change: str) -> None:
    job = jobs(study)[0]
    run(Inline(), [replace(job, limits=Limits(keep_checkpoints=True))])
    folder = Store(job.store).run(job.spec.key)
    wanted = (folder.result() or {})["weights"]
    if change == "bit":
        content = bytearray(folder.checkpoint.read_bytes())
        content[-1000] ^= 1
        folder.checkpoint.write_bytes(content)
    else:
        state = read_checkpoint(folder.checkpoint, job.spec.key) or {}
        state["model"]["unknown"] = state["model"][next(iter(state["model"]))]
        write_checkpoint(
            folder.checkpoint, job.spec.key, {k: v for k, v in state.items() if k not in ("format", "key")}
        )
    (folder.path / "result.json").unlink()
    events = run(Inline(), [job])
    (damaged,) = [e for e in events if isinstance(e, Damaged)]
    assert "the run starts over" in damaged.what
    assert isinstance(events[-1], Finished)
    assert events[-1].result["weights"] == wanted


LINGERS = """
import os
import threading
import time

from ablate import model


@model("lingers")
def lingers(shape, classes, *, how: str = "thread"):
    \"""Leave something behind while it is built.\"""
    import torch

    if how == "thread":
        threading.Thread(target=time.sleep, args=(3600,)).start()  # longer than any test may take
    if how == "fork" and os.fork() == 0:
        time.sleep(3600)
    if how == "sleep":
        time.sleep(3600)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(classes))
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("how", "reason"), [("thread", ""), ("fork", ""), ("sleep", "took longer than 3 s")])
def test_a_rehearsal_ends_whatever_a_model_leaves_behind(study: Path, write: Write, how: str, reason: str) -> None:
    write("plugins/lingers.py", LINGERS)
    todo = jobs(study, f"baseline.model={{ use = 'lingers', how = '{how}' }}")[:2]
    found = LocalProcesses(1).rehearse([replace(job, limits=Limits(run_timeout=3)) for job in todo])
    assert set(found.failed) == ({"baseline", "flipped"} if reason else set())
    assert all(reason in text for text in found.failed.values())


HANGS = """
import time

from ablate import model


@model("hangs")
def hangs(shape, classes):
    \"""Take for ever in channels-last layout.\"""
    import torch

    class Hangs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Conv2d(shape.channels, 4, 3), torch.nn.Conv2d(4, 4, 3)
            self.head = torch.nn.Linear(64, classes)

        def forward(self, images):
            if not self.second.weight.is_contiguous():
                time.sleep(100)
            return self.head(self.second(self.first(images)).flatten(1))

    return Hangs()
"""


def test_a_rehearsal_that_hangs_in_channels_last_layout_is_tried_in_the_usual_one(study: Path, write: Write) -> None:
    write("plugins/hangs.py", HANGS)
    todo = [replace(job, limits=Limits(run_timeout=6)) for job in jobs(study, "baseline.model.use=hangs")[:1]]
    found = LocalProcesses(1).rehearse(todo)
    assert not found.failed
    assert found.usual_layout == {"baseline": HUNG}


def test_a_stop_during_an_evaluation_keeps_the_epoch(study: Path) -> None:
    job = jobs(study, "baseline.epochs=1")[0]
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 5  # the loop twice, and three steps: the evaluation asks next

    events: list[Event] = []
    Inline().run([job], events.append, stopping)
    assert isinstance(events[-1], Stopped)
    folder = Store(job.store).run(job.spec.key)
    assert (read_checkpoint(folder.checkpoint, job.spec.key) or {})["epoch"]["step"] == 3
    assert isinstance(run(Inline(), [job])[-1], Finished)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="process groups")
def test_sigterm_to_every_process_of_a_command_keeps_the_state(study: Path) -> None:
    command = [sys.executable, "-m", "ablate", "run", str(study), "--seeds", "1", "--jobs", "1"]
    long = [*command, "--set", "baseline.epochs=3000", "--set", "baseline.dataset.images=2000"]
    running = subprocess.Popen(
        long,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "ABLATE_MARK": str(study)},
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("start"):
            break
    time.sleep(3)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"ABLATE_MARK={study}".encode() in (folder / "environ").read_bytes():
                os.kill(int(folder.name), signal.SIGTERM)
    told = running.stderr.read()
    running.stderr.close()
    assert running.wait() == 143
    assert "1 with a checkpoint" in told
    assert "lost" not in told


def test_what_the_fork_server_preloads_is_there() -> None:
    for name in server.PRELOADED:
        assert find_spec(f"ablate.execute.{name}")


def test_a_process_ended_by_a_signal_without_a_name_is_reported() -> None:
    assert died(-40) == "the run's process was ended by signal 40"


def test_a_pool_of_processes_that_a_component_has_left_ends() -> None:
    code = (
        "import multiprocessing\nfrom ablate.execute.processes import _set_up\n"
        "ours, theirs = multiprocessing.Pipe()\n_set_up(theirs)\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n    found = pool.map(abs, [-1])\n"
        "raise SystemExit(found != [1])"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
