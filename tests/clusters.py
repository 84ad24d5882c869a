"""What tests of executors on clusters share: a study on digits, what an executor tells, where a run is made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.execute.jobs import Event, Job, OnEvent, Stopping, never
from ablate.launch.study import Options
from ablate.store.documents import read_document
from ablate.store.store import Store
from ablate.study.toml import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ablate.execute.jobs import Executor

ROOT = Path(__file__).parent.parent


@dataclass
class Listening:
    """An executor that keeps what another one tells. also: called with each event, too."""

    executor: Executor
    events: list[Event] = field(default_factory=list)
    also: Callable[[Event], None] = lambda _: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.executor, name)

    def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
        def both(event: Event) -> bool | None:
            self.events.append(event)
            self.also(event)
            return on_event(event)

        self.executor.run(jobs, both, stopping)


def digits(store: Path, seeds: tuple[int, ...] = (0, 1)) -> Options:
    changes = Changes(seeds=seeds)
    return Options(ROOT / "studies" / "digits.toml", store, store.parent / "data", changes, (), "cpu")


def weights(store: Path) -> dict[str, str]:
    home = Store(store)
    return {run.name: str((home.run(run.name).result() or {})["weights"]) for run in home.runs_folder.iterdir()}


def maker(run: Path) -> int | None:
    """Return the process on this machine that makes a run, once it has trained an epoch."""
    owner, history = read_document(run / "owner.json"), run / "history.jsonl"
    return int(owner["pid"]) if owner and history.exists() and history.stat().st_size else None


def parents(process: int) -> Iterator[int]:
    """Yield the processes above one."""
    with contextlib.suppress(OSError):
        while process > 1:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
            yield process
