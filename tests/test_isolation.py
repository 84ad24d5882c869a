"""A run in the caller's own process: it trains as in a new one, and leaves no trace."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablate.commands import lr_find
from ablate.components.import_hook import FINDER
from ablate.execute.inline import Inline
from ablate.execute.jobs import Event, Failed, Finished, Job
from ablate.execute.local import LocalProcesses
from ablate.launch.study import Options
from ablate.study.toml import Changes
from ablate.training.isolation import isolated
from tests.support import jobs

MEDDLES = '''
import contextlib
import os
import random
import sys
import warnings

import torch

import _beside
from ablate import augmentation

torch.set_float32_matmul_precision("medium")
sys.path.append("/nowhere")


@augmentation("meddles")
def meddles(*, how: str = "quietly"):
    """Change all that a process shares, once a batch to train on comes."""

    def transform(images, generator):
        if len(images) > 8:
            _beside.meddle()
            torch.set_num_threads(1)
            torch.backends.cudnn.benchmark = True
            torch.use_deterministic_algorithms(True, warn_only=True)
            random.random()
            warnings.simplefilter("error", UserWarning)
            os.environ["MEDDLED"] = "yes"
            os.environ.pop("UNUSUAL", None)
            os.chdir("/")
            if how == "raise":
                raise ValueError("no more")
            if how == "interrupt":
                raise KeyboardInterrupt
        return images

    return transform
'''
BESIDE = '''
import numpy as np


def meddle():
    """Draw from NumPy's own generator."""
    np.random.rand()
'''
Write = Callable[[str, str], Path]


DRAWN = '''
import random

import torch

from ablate import scheduler


@scheduler("drawn", steps="epoch")
def drawn(optimizer, horizon):
    """Draw from the process's own generators, which a schedule should not."""
    torch.rand(1), random.random()
    return torch.optim.lr_scheduler.ConstantLR(optimizer)
'''


def state() -> dict[str, Any]:
    """Return all that a process shares and a run might change."""
    backends: Any = torch.backends
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            backends.cudnn.deterministic,
            backends.cudnn.benchmark,
        ),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "precision": torch.get_float32_matmul_precision(),
        "tf32": (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32),
        "autograd": (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state(legacy=False)["state"]["key"].tolist(),
        "numpy position": np.random.get_state(legacy=False)["state"]["pos"],
        "python": random.getstate(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "path": list(sys.path),
        "finders": list(sys.meta_path),
        "modules": {
            name: id(module)
            for name, module in sys.modules.items()
            if name.startswith("ablate_plugin_") or name == "_beside"
        },
        "code": id(FINDER.code),
    }


@pytest.fixture
def unusual(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give this process settings that few have."""
    monkeypatch.setenv("UNUSUAL", "yes")
    with isolated():  # which puts the test's own changes back
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("high")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = True
        torch.set_grad_enabled(False)
        torch.set_autocast_enabled("cpu", True)
        torch.manual_seed(7)
        np.random.seed(7)
        random.seed(7)
        yield


def meddling(study: Path, write: Write, how: str) -> list[Job]:
    write("plugins/meddles.py", MEDDLES)
    write("plugins/_beside.py", BESIDE)
    return jobs(study, f'flipped.augmentation=[{{ use = "meddles", how = "{how}" }}]')[1:2]


@pytest.mark.usefixtures("unusual")
@pytest.mark.parametrize("how", ["quietly", "raise", "interrupt"])
def test_a_run_in_this_process_leaves_no_trace(study: Path, write: Write, how: str) -> None:
    todo = meddling(study, write, how)
    before, events = state(), list[Event]()
    try:
        Inline().run(todo, events.append)
    except KeyboardInterrupt:
        assert how == "interrupt"
    after = state()
    assert {name for name in before if before[name] != after[name]} == set()
    assert [type(e) for e in events if isinstance(e, (Failed, Finished))] == {
        "quietly": [Finished],
        "raise": [Failed],
        "interrupt": [],
    }[how]


@pytest.mark.usefixtures("unusual")
def test_a_rehearsal_in_this_process_leaves_no_trace(study: Path, write: Write) -> None:
    todo = meddling(study, write, "quietly")
    before = state()
    assert "draws from the process's own generator (numpy, python)" in Inline().rehearse(todo).failed["flipped"]
    after = state()
    assert {name for name in before if before[name] != after[name]} == set()


@pytest.mark.usefixtures("unusual")
def test_a_run_has_the_same_bits_whatever_the_process_has_set(study: Path, write: Write) -> None:
    found = []
    for executor in (Inline(), LocalProcesses(1)):
        events: list[Event] = []
        executor.run(meddling(study, write, "quietly"), events.append)
        (end,) = [e for e in events if isinstance(e, Finished)]
        found.append(end.result["weights"])
        Path("store").rename(f"store-{len(found)}")
    assert found[0] == found[1]


@pytest.mark.usefixtures("unusual")
def test_a_range_test_and_a_walked_schedule_leave_no_trace(study: Path) -> None:
    study.write_text(study.read_text().replace("[[variant]]", 'scheduler = { use = "drawn" }\n[[variant]]', 1))
    (study.parent.parent / "plugins" / "drawn.py").write_text(DRAWN)
    options = Options(study, Path("store").resolve(), Path("data").resolve(), Changes(), (), "cpu")
    before = state()
    assert lr_find.find_rates(options, lr_find.LrFindOptions({"steps": 20})) in (0, 1)
    after = state()
    opened = {"modules", "code", "finders"}  # which opening a study leaves
    assert {name for name in before if before[name] != after[name]} <= opened


def test_precisions_that_were_set_backend_by_backend_come_back() -> None:
    matmul: Any = torch.backends.cuda.matmul
    if not hasattr(matmul, "fp32_precision"):
        pytest.skip("torch has had them since 2.9")
    with isolated():
        matmul.fp32_precision = "tf32"  # now the one for all cannot be read
        with isolated():
            assert torch.get_float32_matmul_precision() == "highest"
        assert matmul.fp32_precision == "tf32"


def test_a_default_device_holds_for_the_caller_alone_and_a_runs_for_the_run() -> None:
    torch.set_default_device("meta")
    try:
        with isolated():
            assert torch.ones(1).device.type == "cpu"
        assert torch.ones(1).device.type == "meta"
    finally:
        torch.set_default_device(None)
    with contextlib.suppress(ZeroDivisionError), isolated():
        torch.set_default_device("meta")
        raise ZeroDivisionError
    assert torch.ones(1).device.type == "cpu"


def test_runs_train_inside_of_inference_mode(study: Path) -> None:
    events: list[Event] = []
    with torch.inference_mode():
        Inline().run(jobs(study)[:1], events.append)
        assert torch.is_inference_mode_enabled()
    assert isinstance(events[-1], Finished)
