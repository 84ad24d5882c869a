"""Progress of runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..execute.jobs import (
    Busy,
    Crowded,
    Damaged,
    EpochDone,
    Event,
    Failed,
    Fewer,
    Finished,
    Halted,
    Lost,
    Started,
    Stopped,
    Tell,
    UnderWay,
)
from ..report.numbers import duration, percent
from .text import epoch_text, note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from rich.table import Table

    from ..study.spec import RunSpec

QUIET_SECONDS = 10.0
"""On plain output, epochs are told at most this often."""


def progress(specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]) -> AbstractContextManager[Tell]:
    """Return what fits standard error: a live table on a terminal, lines elsewhere. Entered, it takes events.

    seconds: what a run is expected to take, or None.
    """
    return Live(specs, seconds) if sys.stderr.isatty() else Lines(specs)


class Lines:
    """One line when a run starts, ends or fails, and epochs now and then."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._total, self._ended = len(specs), 0
        self._began: dict[str, float] = {}
        self._last = time.monotonic()

    def __enter__(self) -> Tell:
        return self.tell

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, event: Event) -> None:
        """Write the event's line, if it is worth one."""
        now, spec = time.monotonic(), event.spec
        name = f"{spec.variant}, seed {spec.seed}"
        match event:
            case Started(done=done):
                self._began[spec.key] = now
                epochs = spec.recipe.epochs
                behind = f", {done} done before" if done else ""
                note(f"start   {name}: {epochs} epoch{'s' if epochs > 1 else ''}{behind}")
                self._last = now
            case EpochDone(record=record) if now - self._last >= QUIET_SECONDS:
                self._last = now
                note(f"epoch   {name}: {record['epoch']}/{spec.recipe.epochs}  {epoch_text(record)}")
            case UnderWay(epoch=epoch, share=share) if now - self._last >= QUIET_SECONDS:
                self._last = now
                note(f"epoch   {name}: {epoch}/{spec.recipe.epochs}, {share:.0%} of it")
            case Damaged() | Fewer():
                note(ending(event, 0.0))
            case Busy() | Lost() | Crowded() | Halted() | Stopped():
                self._last = now
                note(ending(event, now - self._began.get(spec.key, now)))
            case Finished() | Failed():
                self._ended += 1
                self._last = now
                note(f"[{self._ended}/{self._total}] {ending(event, now - self._began.get(spec.key, now))}")
            case _:
                pass


@dataclass
class _Row:
    """A run under way: when it began, how many epochs of it are done, and its last record."""

    spec: RunSpec
    began: float
    epochs: float = 0.0
    record: Mapping[str, Any] = field(default_factory=dict)


class Live:
    """A table of the runs under way beneath the lines of those that ended."""

    def __init__(self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._specs = list(specs)
        self._expected = seconds
        self._open = {spec.key for spec in specs}
        self._running: dict[str, _Row] = {}
        self._failed = 0
        self._began = time.monotonic()
        self._console = Console(stderr=True)
        self._live = RichLive(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Tell:
        self._live.__enter__()
        return self.tell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def tell(self, event: Event) -> None:
        """Change the table; an ended run leaves a line above it."""
        spec, now = event.spec, time.monotonic()
        match event:
            case Started(done=done):
                self._running[spec.key] = _Row(spec, now, done)
            case UnderWay(epoch=epoch, share=share):
                self._running[spec.key].epochs = epoch - 1 + share
            case EpochDone(record=record):
                row = self._running[spec.key]
                row.epochs, row.record = record["epoch"], record
            case Damaged() | Fewer():
                self._console.print(ending(event, 0.0), markup=False, highlight=False, soft_wrap=True)
            case Busy() | Lost() | Crowded() | Halted() | Stopped():
                began = self._running.pop(spec.key).began if spec.key in self._running else now
                self._console.print(ending(event, now - began), markup=False, highlight=False, soft_wrap=True)
            case Finished() | Failed():
                began = self._running.pop(spec.key).began if spec.key in self._running else now
                self._open.discard(spec.key)
                self._failed += isinstance(event, Failed)
                self._console.print(ending(event, now - began), markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        ended = len(self._specs) - len(self._open)
        failed = f", {self._failed} failed" if self._failed else ""
        title = (
            f"{ended}/{len(self._specs)} runs{failed}, {duration(time.monotonic() - self._began)} so far{self._left()}"
        )
        table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
        for column in ("run", "epoch", "train loss", "test accuracy", "images/s"):
            table.add_column(column, justify="left" if column == "run" else "right")
        for row in self._running.values():
            record = row.record
            table.add_row(
                Text(f"{row.spec.variant}, seed {row.spec.seed}"),
                f"{row.epochs:.1f} of {row.spec.recipe.epochs}",
                f"{record['train/loss']:.3f}" if record else "–",
                percent(record.get("test/accuracy")) if record else "–",
                f"{record['images_per_second']:,.0f}" if record else "–",
            )
        return table

    def _left(self) -> str:
        """Say how long is left: from what runs are expected to take, or else from those that have ended."""
        total = 0.0
        for spec in self._specs:
            expected = self._expected(spec)
            if spec.key not in self._open:
                continue
            if expected is None:
                under_way = sum(row.epochs / row.spec.recipe.epochs for row in self._running.values())
                done = len(self._specs) - len(self._open) + under_way
                each = (time.monotonic() - self._began) / done if done else 0.0
                return f", about {duration(each * (len(self._specs) - done))} left" if done >= 1 else ""
            epochs = self._running[spec.key].epochs if spec.key in self._running else 0.0
            total += expected * (1 - epochs / spec.recipe.epochs)
        return f", about {duration(total / max(1, len(self._running)))} left" if total else ""


Ending = Finished | Failed | Busy | Lost | Crowded | Fewer | Damaged | Halted | Stopped


def ending(event: Ending, seconds: float) -> str:
    """Write how a run ended, for good or for now, on one line."""
    name = f"{event.spec.variant}, seed {event.spec.seed}"
    if isinstance(event, Busy):
        return f"busy    {name}: {event.owner or 'another process'} makes it; looking again later"
    if isinstance(event, Lost):
        return f"lost    {name}: {event.reason}; trying again ({event.tries_left} left)"
    if isinstance(event, Crowded):
        return f"crowded {name}: out of memory beside others; it is made again with fewer beside it"
    if isinstance(event, Fewer):
        return f"fewer   at most {event.at_a_time} at a time from now on: {name}, has the memory it needs alone"
    if isinstance(event, Halted):
        return f"halted  {name}: {event.reason.splitlines()[0]}"
    if isinstance(event, Stopped):
        if event.kept:
            return f"kept    {name}: stopped after {duration(seconds)}"
        return f"ended   {name}: it did not stop in time, and goes on from its checkpoint before"
    if isinstance(event, Damaged):
        return f"damaged {name}: {event.what}"
    if isinstance(event, Failed):
        return f"failed  {name}: {event.reason}"
    split = "test" if "test/accuracy" in event.result else "validation"
    loss = event.result.get(f"{split}/loss")
    text = f"done    {name}: {split} {percent(event.result.get(f'{split}/accuracy'))}"
    return f"{text}, loss {loss:.3f}  ({duration(seconds)})" if loss is not None else f"{text}  ({duration(seconds)})"
