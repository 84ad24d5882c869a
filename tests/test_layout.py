"""A layer whose kernel is wrong in channels-last layout runs in the usual one, and a model that is not right there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from ablate.components.discover import discover
from ablate.execute.inline import Inline
from ablate.execute.jobs import Event, Finished, Job
from ablate.execute.local import LocalProcesses
from ablate.execute.rehearsals import CRASHED
from ablate.store.store import Store
from ablate.training.layout import as_usual, lay_out, narrow_strided
from ablate.training.rehearsal import rehearse
from tests.support import jobs

if TYPE_CHECKING:
    from ablate.study.spec import RunSpec

Write = Callable[[str, str], Path]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("conv", "narrow"),
    [
        (nn.Conv2d(3, 48, 1, stride=2), True),  # RepVGG, MobileOne, FastViT
        (nn.Conv2d(15, 48, 1, stride=(1, 3)), True),
        (nn.Conv2d(32, 32, 1, stride=2, groups=32), True),
        (nn.Conv2d(16, 48, 1, stride=2), False),
        (nn.Conv2d(3, 48, 1), False),
        (nn.Conv2d(3, 48, 3, stride=2), False),
    ],
)
def test_a_narrow_strided_layer_is_known_by_what_it_is(conv: nn.Conv2d, narrow: bool) -> None:
    assert list(narrow_strided(nn.Sequential(conv))) == [conv] * narrow


@pytest.mark.parametrize("channels", [1, 3])
def test_a_narrow_strided_layer_sees_the_usual_layout_between_others(channels: int) -> None:
    seen: list[Tensor] = []

    class Looks(nn.Conv2d):
        def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002
            seen.extend((input, weight))
            made: Tensor = super()._conv_forward(input, weight, bias)
            return made

    first, second = Looks(channels, 8, 1, stride=2), nn.Conv2d(8, 8, 3)
    lay_out(nn.Sequential(first, second), CPU, torch.channels_last)
    images = torch.randn(2, channels, 8, 8)
    made = first(images.contiguous(memory_format=torch.channels_last))
    for tensor in seen:
        assert tensor.stride() == torch.empty(tensor.shape).stride()  # also where either layout would do
    assert made.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made, nn.functional.conv2d(images, first.weight, first.bias, 2))
    assert second.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_usual_layout_is_told_apart_where_a_side_is_one() -> None:
    one = torch.randn(4, 1, 5, 6).to(memory_format=torch.channels_last)
    assert one.is_contiguous()  # to torch it is both, and convolutions take it for channels last
    assert as_usual(one).stride() == (30, 30, 6, 1)
    assert torch.equal(as_usual(one), one)


GRADIENTS = """
from itertools import product

import torch
from torch import nn
from ablate.training.layout import lay_out


def gradient(kind, images, channels, side, outputs):
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(channels, outputs, 1, stride=2, bias=False)).to(kind)
    pixels = torch.randn(images, channels, side, side).to(kind)
    if kind == torch.float32:
        lay_out(layer, pixels.device, torch.channels_last)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    made = layer(pixels)
    made.backward(torch.linspace(-1, 1, made.numel(), dtype=kind).view(made.shape))
    return layer[0].weight.grad.double()


cases = ((64, 6, 16, 12), (3, 3, 32, 48), (128, 3, 32, 64), (32, 4, 32, 8), (32, 13, 16, 48), (16, 1, 8, 4))
for threads, case in product((1, 2), cases):
    torch.set_num_threads(threads)
    exact = gradient(torch.float64, *case)
    assert (gradient(torch.float32, *case) - exact).norm() <= 1e-5 * exact.norm(), (threads, case)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the kernels are those of x86 processors")
@pytest.mark.parametrize("instructions", ["AVX2", "ALL"])
def test_the_gradient_of_a_narrow_strided_layer_is_right(instructions: str) -> None:
    """In a process of its own: what this is about crashes or hangs there."""
    code = [sys.executable, "-c", GRADIENTS]
    done = subprocess.run(
        code, env={**os.environ, "ONEDNN_MAX_CPU_ISA": instructions}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


WRONG = '''
import os
import signal

import torch
from torch import nn

from ablate import model


class Kernel(torch.autograd.Function):
    """A product whose gradient by the weight is wrong where the images' channels come last, by `factor`."""

    @staticmethod
    def forward(context, images, weight, factor):
        context.save_for_backward(images, weight)
        context.factor = factor
        return images.flatten(1) @ weight

    @staticmethod
    def backward(context, gradient):
        images, weight = context.saved_tensors
        last = images.stride(1) == 1
        if last and context.factor == 0.0:
            os.kill(os.getpid(), signal.SIGABRT)
        factor = context.factor if last else 1.0
        return (gradient @ weight.T).view(images.shape), factor * images.flatten(1).T @ gradient, None


class Wrong(nn.Module):
    def __init__(self, classes, factor, draws):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.weight = nn.Parameter(torch.randn(4 * 36, classes) / 12)
        self.factor, self.draws = factor, draws

    def forward(self, images):
        scores = Kernel.apply(self.first(images).float(), self.weight, self.factor)
        return scores + torch.randn_like(scores) * torch.seed() % 2 if self.draws else scores


@model("wrong")
def wrong(shape, classes, *, factor: float = 1.0, draws: bool = False):
    """A network whose gradient is off by a factor in channels-last layout."""
    return Wrong(classes, factor, draws)
'''
WHY = "its first gradients in channels-last layout are wrong on this machine"


def wrong_jobs(study: Path, write: Write, settings: str) -> list[Job]:
    write("plugins/wrong.py", WRONG)
    return jobs(study, f'baseline.model={{ use = "wrong", {settings} }}')


@pytest.mark.parametrize(("factor", "why"), [("1.0", ""), ("1.001", ""), ("1.5", WHY), ("nan", WHY)])
def test_a_rehearsal_proves_a_models_layout(study: Path, write: Write, factor: str, why: str) -> None:
    job, other, *_ = wrong_jobs(study, write, f"factor = {factor}")
    assert rehearse(job.spec, discover(study), job.machine).usual_layout == why
    assert Inline().rehearse([job, other]).usual_layout == {j.spec.variant: why for j in (job, other) if why}


def test_a_model_is_proven_once(study: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(spec: RunSpec, *_: object) -> str:
        looked.append(spec.variant)
        return ""

    monkeypatch.setattr("ablate.training.rehearsal.layout_doubt", look)
    Inline().rehearse(wrong_jobs(study, write, "factor = 1.0")[:2])
    assert looked == ["baseline"]  # the other has its model


def test_a_crash_in_channels_last_layout_falls_back_on_the_usual_one(study: Path, write: Write) -> None:
    found = LocalProcesses(1).rehearse(wrong_jobs(study, write, "factor = 0.0")[:2])
    assert found.failed == {}
    assert found.usual_layout == {"baseline": CRASHED, "flipped": CRASHED}


def test_a_run_records_the_usual_layout_and_trains_in_it(study: Path, write: Write) -> None:
    right, wrong = (wrong_jobs(study, write, f"factor = {factor}")[0] for factor in ("1.0", "1.5"))
    wrong = replace(wrong, machine=replace(wrong.machine, usual_layout=WHY))
    events: list[Event] = []
    Inline().run([right, wrong], events.append)
    one, other = (e.result for e in events if isinstance(e, Finished))
    assert other["test/loss"] == pytest.approx(one["test/loss"], rel=1e-4)
    told = [(Store(job.store).run(job.spec.key).spec() or {})["environment"] for job in (right, wrong)]
    assert [environment.get("usual_layout") for environment in told] == [None, WHY]
