"""Progress of a tuning: a line for each trial that ends, and on a terminal a table of the variants beneath them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from ..execute.jobs import Busy, Damaged, EpochDone, Failed, Finished, Halted, Lost, Started, Stopped, UnderWay
from ..report.numbers import duration, percent
from ..tune.records import maximised
from .progress import QUIET_SECONDS, ending
from .text import epoch_text, note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from rich.table import Table

    from ..execute.jobs import Event
    from ..tune.records import TrialRecord, VariantTuning


def tuning_progress(tunings: Sequence[VariantTuning]) -> AbstractContextManager[Lines]:
    """Return what fits standard error: a live table on a terminal, lines elsewhere."""
    return Live(tunings) if sys.stderr.isatty() else Lines(tunings)


class Lines:
    """One line when a trial ends, and epochs now and then."""

    def __init__(self, tunings: Sequence[VariantTuning]) -> None:
        self.tunings = {tuning.variant: tuning for tuning in tunings}
        self.before = self.ended
        self.began = self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def total(self) -> int:
        """Return the number of trials that all variants are to have."""
        return sum(max(tuning.asked, len(tuning.trials)) for tuning in self.tunings.values())

    @property
    def ended(self) -> int:
        """Return the number of trials that have ended."""
        return sum(trial.state != "running" for tuning in self.tunings.values() for trial in tuning.trials)

    def told(self, tuning: VariantTuning, trial: TrialRecord) -> None:
        """Write how a trial ended."""
        self.tunings[tuning.variant] = tuning
        self._last = time.monotonic()
        self.write(f"[{self.ended}/{self.total}] {trial_text(tuning, trial)}{self.left()}")

    def waiting(self, hosts: Sequence[str]) -> None:
        """Say that only trials of other drivers are left."""
        self.write(f"waiting for trials that are made by others ({', '.join(hosts)})")

    def event(self, event: Event) -> None:
        """Write what is worth a line of a run under way."""
        if isinstance(event, Stopped):
            self.write(f"kept    {event.spec.variant}: a trial under way keeps its state")
        elif isinstance(event, (Busy, Lost, Damaged, Halted)):
            self.write(ending(event, 0.0))
        elif isinstance(event, EpochDone) and time.monotonic() - self._last >= QUIET_SECONDS:
            self._last = time.monotonic()
            self.write(
                f"epoch   {event.spec.variant}: {event.record['epoch']}/{event.spec.recipe.epochs}  "
                f"{epoch_text(event.record)}"
            )

    def left(self) -> str:
        """Say how long is left, from the trials that have ended since this command began."""
        ended = self.ended - self.before
        if ended < 2 or self.ended >= self.total:
            return ""
        return f"  about {duration((time.monotonic() - self.began) / ended * (self.total - self.ended))} left"

    def write(self, line: str) -> None:
        """Write a line."""
        note(line)


class Live(Lines):
    """The same lines above a table of the variants: trials, best, pruned, what runs."""

    def __init__(self, tunings: Sequence[VariantTuning]) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        super().__init__(tunings)
        self._running: dict[str, str] = {}
        self._console = Console(stderr=True)
        self._live = RichLive(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def event(self, event: Event) -> None:
        """Change the table."""
        key = event.spec.key
        if isinstance(event, (Finished, Failed, Stopped, Lost, Busy)):
            self._running.pop(key, None)
        if isinstance(event, Started):
            self._running[key] = f"{event.spec.variant}: epoch 0 of {event.spec.recipe.epochs}"
        elif isinstance(event, (EpochDone, UnderWay)):
            epoch = event.record["epoch"] if isinstance(event, EpochDone) else event.epoch - 1 + event.share
            self._running[key] = f"{event.spec.variant}: epoch {epoch:.3g} of {event.spec.recipe.epochs}"
        else:
            super().event(event)

    def told(self, tuning: VariantTuning, trial: TrialRecord) -> None:
        """Write how a trial ended."""
        self._running.pop(trial.key, None)
        super().told(tuning, trial)

    def write(self, line: str) -> None:
        """Write a line above the table."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        under_way = "; ".join(self._running.values())
        title = f"{self.ended}/{self.total} trials, {duration(time.monotonic() - self.began)} so far{self.left()}"
        table = Table(
            box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False, caption=under_way
        )
        for column in ("variant", "trials", "pruned", "failed", "default", "best", "with"):
            table.add_column(column, justify="left" if column in ("variant", "with") else "right")
        for tuning in self.tunings.values():
            table.add_row(*(Text(cell) for cell in row(tuning)))
        return table


def row(tuning: VariantTuning) -> list[str]:
    """Write how a variant stands: its name, trials, pruned, failed, default, best, and the best settings."""
    count = {state: sum(trial.state == state for trial in tuning.trials) for state in ("pruned", "diverged", "failed")}
    ended = sum(trial.state != "running" for trial in tuning.trials)
    best, default = tuning.best, tuning.default
    return [
        tuning.variant,
        f"{ended} of {max(tuning.asked, ended)}",
        str(count["pruned"]),
        str(count["failed"] + count["diverged"]),
        value_text(tuning, default),
        value_text(tuning, best),
        "its own settings" if best and best.default else settings_text(best.settings) if best else "–",
    ]


def trial_text(tuning: VariantTuning, trial: TrialRecord) -> str:
    """Write how a trial ended on one line."""
    name = f"{tuning.variant}, trial {trial.number}"
    settings = "its own settings" if trial.default else settings_text(trial.settings)
    took = f"{duration(trial.seconds)}" if trial.seconds else "stored"
    if trial.state == "done":
        best = tuning.best
        mark = "best so far" if best and best.number == trial.number else f"best {value_text(tuning, best)}"
        return f"done     {name}: {value_text(tuning, trial)} ({mark})  {settings}  ({took})"
    if trial.state == "pruned":
        at = f" at {_plain_value(tuning.objectives[0], trial.curve[-1])}" if trial.curve else ""
        return f"pruned   {name}: after epoch {trial.epochs} of {tuning.epochs}{at}  {settings}"
    return f"{trial.state:<8} {name}: {trial.reason}  {settings}"


def value_text(tuning: VariantTuning, trial: TrialRecord | None) -> str:
    """Write the values of a trial, one for each objective."""
    if trial is None or not trial.values:
        return "–"
    return ", ".join(_plain_value(o, v) for o, v in zip(tuning.objectives, trial.values, strict=True))


def settings_text(settings: Mapping[str, Any]) -> str:
    """Write settings as in `lr 0.0123, weight_decay 1e-05`."""
    return ", ".join(
        f"{name.removeprefix('optimizer.')} {value:.3g}"
        if isinstance(value, float)
        else f"{name.removeprefix('optimizer.')} {'default' if value is None else value}"
        for name, value in settings.items()
    )


def _plain_value(objective: str, value: float) -> str:
    if maximised(objective):
        return percent(value)
    if objective == "seconds":
        return duration(value)
    return f"{value:,.0f} {objective}" if objective in ("parameters", "flops") else f"loss {value:.4f}"
