from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.components.discover import discover
from ablate.execute.inline import Inline
from ablate.execute.jobs import EpochDone, Event, Executor, Failed, Finished, Job, Started
from ablate.execute.local import LocalProcesses, died
from ablate.store.store import Store
from ablate.study.plan import run_specs
from ablate.study.settle import settle
from ablate.study.toml import Changes, read_study
from ablate.training.machine import Machine

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


def jobs(study: Path, *settings: str) -> list[Job]:
    reading = read_study(study, Changes(settings))
    specs = run_specs(settle(reading, discover(study), Path("data"), {}), reading.study.seeds)
    return [Job(spec, Path("store").resolve(), Machine(Path("data"), "cpu", 1), study.resolve()) for spec in specs]


def run(executor: Executor, todo: list[Job]) -> list[Event]:
    events: list[Event] = []
    executor.run(todo, events.append)
    return events


def ends(events: list[Event]) -> dict[str, str]:
    """Return how each variant's seed 0 ended: `done`, or the reason of its failure."""
    return {
        e.spec.variant: e.reason if isinstance(e, Failed) else "done"
        for e in events
        if isinstance(e, (Finished, Failed)) and e.spec.seed == 0
    }


@pytest.mark.parametrize("executor", [Inline(), LocalProcesses(1), LocalProcesses(2)], ids=["inline", "one", "two"])
def test_every_job_starts_trains_and_is_stored(executor: Executor, study: Path) -> None:
    todo = jobs(study)
    events = run(executor, todo)
    for job in todo:
        mine = [type(e) for e in events if e.spec == job.spec]
        assert mine == [Started, EpochDone, EpochDone, Finished]
        assert Store(job.store).state(job.spec.key) == "stored"


def test_executors_give_the_same_numbers(study: Path) -> None:
    results = []
    for executor in (Inline(), LocalProcesses(2)):
        events = run(executor, jobs(study))
        found = {e.spec.key: e.result for e in events if isinstance(e, Finished)}
        results.append({key: {k: v for k, v in r.items() if "/" in k} for key, r in found.items()})
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "ValueError: no more"),
        ("exit", "ended by itself with exit code 3"),
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


@pytest.mark.parametrize("executor", [Inline(), LocalProcesses(1)], ids=["inline", "processes"])
def test_a_rehearsal_names_each_variant_that_cannot_be_trained(executor: Executor, study: Path, write: Write) -> None:
    write("plugins/breaks.py", BREAKS)
    todo = jobs(study, 'flipped.augmentation=[{ use = "breaks", how = "shape" }]')[:2]
    failed = executor.rehearse(todo)
    assert list(failed) == ["flipped"]
    assert "augmentation 'breaks' returns torch.float32 (2, 1, 4, 8)" in failed["flipped"]
    assert not Path("store").exists()


def test_a_rehearsal_survives_a_crash_and_goes_on(study: Path, write: Write) -> None:
    write("plugins/breaks.py", BREAKS)
    todo = jobs(study, 'baseline.augmentation=[{ use = "breaks", how = "segfault", after = 0 }]')[:2]
    todo.append(jobs(study)[0])
    failed = LocalProcesses(1).rehearse(todo)
    assert set(failed) == {"baseline", "flipped"}
    assert all("SIGSEGV" in reason for reason in failed.values())


def test_a_plugin_that_changes_after_planning_fails_its_run(study: Path) -> None:
    todo = jobs(study)[:1]
    plugin = study.parent.parent / "plugins" / "tiny.py"
    plugin.write_text(plugin.read_text().replace("30, pixels", "31, pixels"))
    (failed,) = [e for e in run(LocalProcesses(1), todo) if isinstance(e, Failed)]
    assert "the source of dataset 'tiny' changed after this run was planned" in failed.reason


def test_a_failed_run_that_is_made_again_leaves_no_failure(study: Path) -> None:
    todo = jobs(study)[:1]
    Store(todo[0].store).run(todo[0].spec.key).fail("broke before")
    run(Inline(), todo)
    assert Store(todo[0].store).run(todo[0].spec.key).failure() is None


def test_an_exception_in_the_driver_ends_its_processes(study: Path) -> None:
    seen: list[int] = []

    def tell(event: Event) -> None:
        seen.append(1)
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    todo = jobs(study, "baseline.epochs=100000")[:2]
    with pytest.raises(KeyboardInterrupt):
        LocalProcesses(2).run(todo, tell)
    assert {Store(job.store).state(job.spec.key) for job in todo} <= {"unfinished", "new"}


def test_runs_end_with_their_driver(study: Path) -> None:
    script = (
        "import sys, os; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from test_execute import *\n"
        "todo = jobs(Path(sys.argv[2]), 'baseline.epochs=1000000')[:1]\n"
        "LocalProcesses(1).run(todo, lambda e: print(type(e).__name__, flush=True))"
    )
    here = str(Path(__file__).parent)
    driver = subprocess.Popen([sys.executable, "-c", script, here, str(study)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    with driver.stdout:
        while "EpochDone" not in driver.stdout.readline():
            pass
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        # The worker holds the other end of this pipe: reading ends only when it is gone.
        began = time.monotonic()
        driver.stdout.read()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("code", "text"), [(-9, "SIGKILL; the system may have run out"), (7, "exit code 7")])
def test_a_silent_end_is_put_into_words(code: int, text: str) -> None:
    assert text in died(code)


def test_a_users_script_without_a_main_guard_does_not_loop(study: Path, write: Write) -> None:
    here = Path(__file__).parent
    script = write(
        "script.py",
        f"import sys; sys.path.insert(0, {str(here)!r})\nfrom pathlib import Path\nfrom test_execute import *\n"
        f"print(len(run(LocalProcesses(1), jobs(Path({str(study)!r}))[:1])))\n",
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "4"
