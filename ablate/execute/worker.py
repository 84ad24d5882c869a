"""The worker: joins one job's training to the store. The same for every executor."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch._dynamo  # the first optimizer imports it, for a second: so it is done once for all runs

from ..components.discover import discover
from ..errors import AblateError, DivergedError, RunError, StoppedError, StoreError
from ..paths import shown
from ..store.files import TOO_MANY_FILES, refusal, store_errors
from ..store.store import Ending, RunFolder, Store
from ..study.settle import parts
from ..training.checkpoint import NoCheckpointError, read_checkpoint, write_checkpoint
from ..training.machine import gpu_uuid
from ..training.rates import Found
from ..training.run import rehearse, train_run
from .jobs import (
    Busy,
    Damaged,
    EpochDone,
    Failed,
    Finished,
    Halted,
    Job,
    Started,
    Stopped,
    Stopping,
    Tell,
    Tryout,
    UnderWay,
    never,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..components.registry import Registry
    from ..training.checkpoint import State


OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""What errors say that are of no type of their own: the CPU's allocator, a GPU's context, its libraries."""


def work(job: Job, tell: Tell, stopping: Stopping = never) -> None:
    """Make one run: train it, record it, tell of it. Never raises for what the run itself does wrong."""
    folder = Store(job.store).run(job.spec.key)
    try:
        with folder.lock() as mine:
            _work(job, folder, tell, stopping) if mine else tell(Busy(job.spec, str(folder.owner() or "")))
    except StoreError as error:
        tell(Halted(job.spec, str(error)))


def _work(job: Job, folder: RunFolder, tell: Tell, stopping: Stopping) -> None:
    """Make a run that is ours to make, unless another process finished it since it was planned. Raises StoreError."""
    result = folder.result()
    if result is not None:
        tell(Finished(job.spec, result))
        return
    damage = folder.damage()
    failure = folder.failure()
    if failure is not None and not job.retry:
        tell(Failed(job.spec, str(failure.get("reason", ""))))
        return
    with folder.owned():
        tell(Started(job.spec, len(folder.history()) if folder.checkpoint.exists() else 0))
        if damage:
            tell(Damaged(job.spec, damage))
        try:
            result = train_run(
                job.spec, _registry(job), job.machine, _Recorder(job, folder, tell, stopping), job.limits
            )
        except StoreError:
            raise
        except StoppedError:
            tell(Stopped(job.spec))
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in TOO_MANY_FILES:
                raise StoreError(refusal(Path(error.filename or folder.path), error)) from error
            tell(_failed(job, folder, error))
        else:
            folder.finish({**result, "checkpoint_kept": job.limits.keep_checkpoints})
            if not job.limits.keep_checkpoints:
                folder.drop_checkpoint()
            tell(Finished(job.spec, result))


def _failed(job: Job, folder: RunFolder, error: BaseException) -> Failed:
    """Record why a run failed."""
    kind: Ending = "diverged" if isinstance(error, DivergedError) else "failed"
    reason = reason_of(error)
    of_memory = isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OF_MEMORY)
    if of_memory:
        kind, reason = "out of memory", _out_of_memory(job)
    folder.fail(kind, reason, traceback.format_exc())
    return Failed(job.spec, reason, of_memory)


def rehearse_all(jobs: Sequence[Job], tell: Callable[[Tryout], None]) -> None:
    """Rehearse jobs one by one, telling before and after each."""
    for job in jobs:
        tell(Tryout(job.spec.variant))
        registry = None
        try:
            registry = _registry(job)
            state_bytes = rehearse(job.spec, registry, job.machine)
            tell(Tryout(job.spec.variant, state_bytes=state_bytes, gpu=gpu_uuid(job.machine.device)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            place = _plugin_line(error, registry) if registry else ""
            tell(Tryout(job.spec.variant, reason_of(error, place)))


def reason_of(error: BaseException, place: str = "") -> str:
    """Say in one line why a run failed."""
    text = str(error).strip() or "no message"
    if isinstance(error, AblateError):
        return text
    first = text.splitlines()[0]
    about = "; ".join([*getattr(error, "__notes__", []), *([place] if place else [])])
    return f"{type(error).__name__}: {first}" + (f"  ({about})" if about else "")


def _out_of_memory(job: Job) -> str:
    """Say what to lower where memory ran out."""
    recipe = job.spec.recipe
    peak = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GB at its peak" if torch.cuda.is_available() else ""
    return (
        f"out of memory: {recipe.model.use} with batch_size {recipe.batch_size}{peak}; "
        "lower batch_size, choose a smaller model, or make fewer runs at a time (--jobs)"
    )


def _plugin_line(error: BaseException, registry: Registry) -> str:
    """Return file:line of the last frame of a plugin, where one is in the traceback."""
    files = {str(file) for file in registry.files}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    return f"{shown(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _registry(job: Job) -> Registry:
    """Load the job's plugins; RunError where one has changed since the run was planned."""
    registry = discover(job.study, job.plugins)
    for kind, choice in parts(job.spec.recipe):
        written = job.spec.identity[kind]
        sources = [w["source"] for w in (written if isinstance(written, list) else [written]) if w["use"] == choice.use]
        library = registry.library(kind, choice.use)
        found = library.source if library else registry.get(kind, choice.use).source
        if found not in sources:
            raise RunError(
                f"the source of {kind} '{choice.use}' changed after this run was planned; run the study again"
            )
    return registry


class _Recorder:
    """Writes a run's folder and tells its driver."""

    def __init__(self, job: Job, folder: RunFolder, tell: Tell, stopping: Stopping) -> None:
        self._job, self._folder, self._tell, self.stopping = job, folder, tell, stopping

    def resume(self) -> State | None:
        try:
            return read_checkpoint(self._folder.checkpoint, self._job.spec.key)
        except NoCheckpointError as error:
            self.unusable(str(error))
            return None

    def unusable(self, why: str) -> None:
        self._tell(Damaged(self._job.spec, f"{shown(self._folder.checkpoint)}: {why}; the run begins anew"))

    def keep(self, state: State) -> None:
        with store_errors(self._folder.checkpoint):
            write_checkpoint(self._folder.checkpoint, self._job.spec.key, state)

    def found(self) -> Found | None:
        document = self._folder.found()
        return Found.of(document) if document else None

    def find(self, found: Found) -> None:
        self._folder.find(found.document())

    def started(self, environment: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> None:
        spec = self._job.spec
        self._folder.start(
            {
                "key": spec.key,
                "variant": spec.variant,
                "seed": spec.seed,
                "identity": spec.identity,
                "environment": environment,
            },
            records,
        )

    def under_way(self, epoch: int, share: float) -> None:
        self._tell(UnderWay(self._job.spec, epoch, share))

    def epoch(self, record: Mapping[str, Any]) -> None:
        self._folder.epoch(record)
        self._tell(EpochDone(self._job.spec, record))
