"""On an NVIDIA GPU: a step's forward and backward pass, recorded once as a CUDA graph, and replayed where that pays.

A small network's step is hundreds of kernels, and to launch one takes Python longer than many take to run. Whether a
recording gives the same gradients, and how much time it saves, is measured once for a model, batch size and GPU, and
remembered in the user's cache.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs (whole-network capture, without the optimizer).
"""

from __future__ import annotations

import contextlib
import copy
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
from .trace import containers, model_untouched, tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..study.spec import RunSpec
    from .loop import Ingredients

    Batch = tuple[Tensor, Tensor]
    Work = Callable[[], Tensor]
    Capture = Callable[[Work], tuple[Tensor, Callable[[], None]]]

FEWEST_STEPS = 1000
"""Of a run, for which it is worth to try: to do so takes the time of some 150."""
TRIED_STEPS, TRIED_SECONDS, TRIED_ROUNDS = 20, 0.5, 3
MOST_TRIES = 2
KEPT_SECONDS = 7 * 24 * 3600.0
"""After which it is measured anew: other runs may have been on the GPU."""
# How far gradients may be apart, as a share of the largest: what the order of a sum makes of a precision's rounding.
APART = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 3e-2}


@dataclass
class Replay:
    """A recorded step: it reads `images` and `wanted`, and writes `loss` and the weights' gradients, where they are.

    read: the model's tensors that it reads, each with the address that it had. held: what else it may read, a mask that
    the model keeps in a dict, say. Both are kept alive.
    """

    images: Tensor
    wanted: Tensor
    loss: Tensor
    gradients: Sequence[tuple[torch.nn.Parameter, Tensor]]
    read: Sequence[tuple[Tensor, int]]
    held: Sequence[object]
    again: Callable[[], None]

    def __call__(self, images: Tensor, wanted: Tensor) -> Tensor | None:
        """Give the weights the gradients of a batch and return its mean loss.

        None for a batch of another shape, and where weights were moved. The arguments are those of `descend`; the loss
        and the gradients hold until the next call.
        """
        if _form(images, wanted) != _form(self.images, self.wanted):
            return None
        if any(tensor.data_ptr() != place for tensor, place in self.read):
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
    takes to record them. refused: why they cannot be recorded, "" where they can. tries: how often that was begun and
    has not ended.
    """

    step_seconds: float = 0.0
    replayed_seconds: float = 0.0
    recording_seconds: float = 0.0
    refused: str = ""
    tries: int = 0

    def pays(self, steps: int) -> bool:
        """Tell whether a run of so many steps ends sooner."""
        return not self.refused and steps * (self.step_seconds - self.replayed_seconds) > self.recording_seconds


def with_replay(run: Ingredients, spec: RunSpec, folder: Path, capture: Capture | None = None) -> Ingredients:
    """Return a run whose steps are replayed, where that pays; it has the bits it had.

    folder: keeps what was measured. capture: records a step; on the run's GPU unless it is given.
    """
    steps = spec.recipe.epochs * steps_per_epoch(len(run.data.train), run.batch_size)
    if run.accumulate > 1 or len(run.data.train) < run.batch_size or steps < FEWEST_STEPS:
        return run
    file = folder / f"{_key(spec, run.data.mean.device)}.json"
    known, made = _read(file) or Measured(), None
    try:
        with model_untouched(run):
            run.model.train()
            if known.step_seconds or known.refused:
                made = record(run, next(_batches(run)), capture or cuda_graph) if known.pays(steps) else None
            elif known.tries < MOST_TRIES:
                _write(file, Measured(tries=known.tries + 1))  # it may end the process
                known, made = _try_out(run, capture or cuda_graph)
                _write(file, known)
    except torch.OutOfMemoryError:  # beside other runs, it may be
        with contextlib.suppress(OSError):
            file.unlink()
    except Exception as error:  # noqa: BLE001 - whatever it is, a run can do without
        _write(file, Measured(refused=f"{type(error).__name__}: {error}".partition("\n")[0][:300]))
    if run.data.mean.is_cuda:
        torch.cuda.empty_cache()  # for other runs
    return replace(run, replay=made) if made and known.pays(steps) else run


def record(run: Ingredients, batch: Batch, capture: Capture) -> Replay:
    """Record the step on a batch; it changes buffers and random states. Raises RuntimeError where it cannot be."""
    images, wanted = (part.clone() for part in batch)
    loss, again = capture(lambda: _step(run, (images, wanted)))
    gradients = [(p, p.grad) for p in run.model.parameters() if p.grad is not None]
    read = [(t, t.data_ptr()) for t in tensors(run.model)]
    held = [copy.copy(content) for content in containers(run.model)]
    return Replay(images, wanted, loss, gradients, read, held, again)


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

    wanted = [_outcome(run, as_it_is, batch) for batch in some]
    if not all(outcome.same for outcome in wanted):
        return Measured(
            refused="the model draws, counts or replaces tensors in Python, which a recording would not"
        ), None
    began = time.perf_counter()
    with model_untouched(run):
        made = record(run, some[0], capture)
        _wait(run)
        recording = time.perf_counter() - began
    found = [_outcome(run, lambda batch: made(*batch), batch) for batch in some]
    if not all(_near(a.tensors, b.tensors, APART[run.precision]) for a, b in zip(found, wanted, strict=True)):
        return Measured(refused="a recorded step has other gradients or leaves other buffers"), None
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


@dataclass(frozen=True)
class _Outcome:
    """A step's loss, gradients and buffers; whether Python was the same after it, as a recording takes for granted."""

    tensors: list[Tensor]
    same: bool


def _outcome(run: Ingredients, step: Callable[[Batch], Tensor | None], batch: Batch) -> _Outcome:
    """Take a step on a batch, its dropout drawn from a fixed seed, and leave the model as it was."""
    with model_untouched(run):
        torch.manual_seed(0)
        step(batch)  # a model may set itself up in its first step
        run.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(0)
        before = _host(run.model)
        loss = step(batch)
        if loss is None:
            raise RuntimeError("batches differ in their form")
        gradients = [p.grad for p in run.model.parameters() if p.grad is not None]
        found = [t.detach().clone() for t in (loss, *gradients, *run.model.buffers())]
        return _Outcome(found, _host(run.model) == before)


def _near(found: list[Tensor], wanted: list[Tensor], apart: float) -> bool:
    """Tell whether tensors are the same but for rounding, each on the scale of its own largest value."""
    pairs = [(f.double(), w.double()) for f, w in zip(found, wanted, strict=True) if w.numel()]
    # A gradient that is zero but for rounding has no scale of its own.
    least = 1e-3 * max(float(w.abs().max()) for _, w in pairs)
    return all(
        f.shape == w.shape and torch.allclose(f, w, rtol=0.0, atol=apart * max(float(w.abs().max()), least))
        for f, w in pairs
    )


def _host(model: torch.nn.Module) -> list[object]:
    """Return what a step may change in Python: random states, plain attributes, and which tensors there are."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # a plugin may draw from it
    plain = [
        {name: value for name, value in vars(module).items() if isinstance(value, (bool, int, float, str))}
        for module in model.modules()
    ]
    drawn = [random.getstate(), (kind, np.asarray(keys).tobytes(), *rest), torch.get_rng_state().tolist()]
    return [*drawn, plain, [t.data_ptr() for t in tensors(model)]]


def _seconds(run: Ingredients, step: Callable[[], object]) -> float:
    """Return the seconds of one step, of some that follow each other."""

    def timed(steps: int) -> float:
        _wait(run)
        began = time.perf_counter()
        for _ in range(steps):
            step()
        _wait(run)
        return (time.perf_counter() - began) / steps

    return timed(max(1, min(TRIED_STEPS, int(TRIED_SECONDS / timed(1)))))


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
        if time.time() - file.stat().st_mtime > KEPT_SECONDS:
            return None
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
