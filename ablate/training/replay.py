"""On an NVIDIA GPU: a step's forward and backward pass, recorded once as a CUDA graph, and replayed where that pays.

A small network's step is hundreds of kernels, and to launch one takes Python longer than many take to run. Whether a
recording gives the same gradients, and how much time it saves, is measured once for a model, batch size and GPU, and
remembered in the user's cache.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs (whole-network capture, without the optimizer).
"""

from __future__ import annotations

import contextlib
import json
import random
import time
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..study.plan import key_of
from .augment import augment, targets
from .loop import descend, steps_per_epoch
from .trace import no_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..study.spec import RunSpec
    from .loop import Ingredients

    Batch = tuple[Tensor, Tensor]
    Work = Callable[[], Tensor]
    Capture = Callable[[Work], tuple[Tensor, Callable[[], None]]]

TRIED_STEPS, TRIED_ROUNDS = 20, 3
# How far gradients may be apart, as a share of the largest: what the order of a sum makes of a precision's rounding.
APART = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 3e-2}


@dataclass
class Replay:
    """A recorded step: it reads `images` and `wanted`, and writes `loss` and the weights' gradients, where they are."""

    images: Tensor
    wanted: Tensor
    loss: Tensor
    gradients: Sequence[tuple[torch.nn.Parameter, Tensor]]
    again: Callable[[], None]

    def __call__(self, images: Tensor, wanted: Tensor) -> Tensor | None:
        """Give the weights the gradients of a batch and return its mean loss; None for one of another shape.

        The arguments are those of `descend`, the loss and the gradients hold until the next call.
        """
        if _form(images, wanted) != _form(self.images, self.wanted):
            return None
        self.images.copy_(images)
        self.wanted.copy_(wanted)
        self.again()
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        return self.loss


@dataclass(frozen=True)
class Measured:
    """What recording a step was measured to bring.

    step_seconds, replayed_seconds: of forward and backward pass as they are, and replayed. recording_seconds: what it
    takes to record them. refused: why they cannot be recorded, "" where they can.
    """

    step_seconds: float = 0.0
    replayed_seconds: float = 0.0
    recording_seconds: float = 0.0
    refused: str = ""

    def pays(self, steps: int) -> bool:
        """Tell whether a run of so many steps ends sooner."""
        return not self.refused and steps * (self.step_seconds - self.replayed_seconds) > self.recording_seconds


def with_replay(run: Ingredients, spec: RunSpec, folder: Path, capture: Capture | None = None) -> Ingredients:
    """Return a run whose steps are replayed, where that pays; it has the bits it had.

    folder: keeps what was measured. capture: records a step; on the run's GPU unless it is given.
    """
    capture = capture or cuda_graph
    if run.accumulate > 1 or len(run.data.train) < run.batch_size:
        return run
    steps = spec.recipe.epochs * steps_per_epoch(len(run.data.train), run.batch_size)
    file = folder / f"{_key(spec, run.data.mean.device)}.json"
    known, made = _read(file), None
    try:
        with no_trace(run):
            run.model.train()
            if known is None:
                _write(file, Measured(refused="the process ended while it was recorded"))  # should it do so
                known, made = _try_out(run, capture)
                _write(file, known)
            elif known.pays(steps):
                made = record(run, next(_batches(run)), capture)
    except torch.OutOfMemoryError:  # beside other runs, it may be
        with contextlib.suppress(OSError):
            file.unlink()
    return replace(run, replay=made) if made and known and known.pays(steps) else run


def record(run: Ingredients, batch: Batch, capture: Capture) -> Replay:
    """Record the step on a batch; it changes buffers and random states. Raises RuntimeError where it cannot be."""
    images, wanted = (part.clone() for part in batch)
    loss, again = capture(lambda: _step(run, (images, wanted)))
    gradients = [(p, p.grad) for p in run.model.parameters() if p.grad is not None]
    return Replay(images, wanted, loss, gradients, again)


def cuda_graph(work: Work) -> tuple[Tensor, Callable[[], None]]:
    """Record some work on the GPU; return its result, which keeps its place, and what does the work again."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # libraries set themselves up in their first calls, which cannot be recorded
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = work()
    return result, graph.replay


def _try_out(run: Ingredients, capture: Capture) -> tuple[Measured, Replay | None]:
    """Record a step, compare it with the step as it is on two batches, and time both."""
    batches = _batches(run)
    some = [next(batches), next(batches)]

    def as_it_is(batch: Batch) -> Tensor:
        return _step(run, batch)

    _outcome(run, as_it_is, some[0])  # a model may set itself up in its first step
    torch.manual_seed(0)  # as `_outcome` begins
    before = _host(run.model)
    wanted = [_outcome(run, as_it_is, batch) for batch in some]
    if _host(run.model) != before:
        return Measured(refused="the model draws or counts in Python, which a recording would not"), None
    try:
        began = time.perf_counter()
        made = record(run, some[0], capture)
        _wait(run)
        recording = time.perf_counter() - began
        found = [_outcome(run, lambda batch: made(*batch), batch) for batch in some]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        return Measured(refused=str(error).partition("\n")[0][:300]), None
    if not all(_near(a, b, APART[run.precision]) for a, b in zip(found, wanted, strict=True)):
        return Measured(refused="a recorded step has other gradients"), None
    rounds = [
        (_seconds(run, lambda: as_it_is(some[0])), _seconds(run, lambda: made(*some[0]))) for _ in range(TRIED_ROUNDS)
    ]
    plain, replayed = (min(times) for times in zip(*rounds, strict=True))
    return Measured(plain, replayed, recording), made


def _step(run: Ingredients, batch: Batch) -> Tensor:
    run.optimizer.zero_grad(set_to_none=True)
    return descend(run, *batch)


def _batches(run: Ingredients) -> Iterator[Batch]:
    """Yield batches as training has them."""
    train = run.data.train
    while True:
        images, labels = train.take(torch.randperm(len(train))[: run.batch_size].to(train.place))
        images, mixes = augment(images, run.transforms, run.noise)
        yield images, targets(labels, mixes, run.classes)


def _outcome(run: Ingredients, step: Callable[[Batch], Tensor | None], batch: Batch) -> list[Tensor]:
    """Return a step's loss and gradients, its dropout drawn from a fixed seed."""
    run.optimizer.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    loss = step(batch)
    assert loss is not None  # the batch has the usual shape
    return [loss.clone(), *(p.grad.clone() for p in run.model.parameters() if p.grad is not None)]


def _near(found: list[Tensor], wanted: list[Tensor], apart: float) -> bool:
    if len(found) != len(wanted):
        return False
    scales = [float(w.abs().max()) for w in wanted]
    largest = max(scales[1:], default=0.0)  # a gradient that is zero but for rounding has no scale of its own
    return all(
        torch.allclose(f, w, rtol=0.0, atol=apart * max(scale, 1e-3 * largest))
        for f, w, scale in zip(found, wanted, scales, strict=True)
    )


def _host(model: torch.nn.Module) -> list[object]:
    """Return what a step may change in Python: the processor's random states, and plain attributes of modules."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # a plugin may draw from it
    plain = [
        {name: value for name, value in vars(module).items() if isinstance(value, (bool, int, float, str))}
        for module in model.modules()
    ]
    return [random.getstate(), (kind, np.asarray(keys).tobytes(), *rest), torch.get_rng_state().tolist(), plain]


def _seconds(run: Ingredients, step: Callable[[], object]) -> float:
    """Return the seconds of one step, of some that follow each other."""
    _wait(run)
    began = time.perf_counter()
    for _ in range(TRIED_STEPS):
        step()
    _wait(run)
    return (time.perf_counter() - began) / TRIED_STEPS


def _wait(run: Ingredients) -> None:
    if run.data.mean.is_cuda:
        torch.cuda.synchronize(run.data.mean.device)


def _form(*tensors: Tensor) -> list[tuple[torch.Size, torch.dtype]]:
    return [(tensor.shape, tensor.dtype) for tensor in tensors]


def _key(spec: RunSpec, device: torch.device) -> str:
    """Return the hash of what decides how long a step takes, recorded or not."""
    parts = ("engine", "model", "augmentation", "batch_size", "precision", "live_taps", "label_smoothing")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    facts = {part: spec.identity[part] for part in parts} | {"torch": str(torch.__version__), "device": name}
    return key_of({**facts, "shape": spec.identity["dataset"]["shape"], "classes": spec.identity["dataset"]["classes"]})


def _read(file: Path) -> Measured | None:
    try:
        document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Measured(**document)
    except (OSError, ValueError, TypeError):
        return None


def _write(file: Path, measured: Measured) -> None:
    """Keep what was measured; a cache, without which the next run measures again."""
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(asdict(measured)), encoding="utf-8")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
