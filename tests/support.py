"""What several test modules do: type a command, make a study's runs in this process, and look at what came of it."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.commands.run import run_study
from ablate.components.discover import discover
from ablate.execute.inline import Inline
from ablate.execute.jobs import Event, Executor, Failed, Finished, Job, RehearsalReport, Started, never
from ablate.execute.placement import Placement, Resources
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.store.store import Store
from ablate.study.plan import run_specs
from ablate.study.resolve import resolve_study
from ablate.study.spec import parts
from ablate.study.toml import Changes, read_study
from ablate.training.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from ablate.components.registry import Registry
    from ablate.execute.jobs import OnEvent, Stopping
    from ablate.study.spec import RunSpec


def ablate(*arguments: object) -> Result:
    """Type a command, in this process; what it raises beside its own exit comes through."""
    return CliRunner().invoke(app, [str(one) for one in arguments], prog_name="ablate", catch_exceptions=False)


def options(study: Path, *settings: str, only: tuple[str, ...] = (), pilot: bool = False) -> Options:
    """Return the options of a command on the CPU, with its store and data in the working folder."""
    changes = Changes(settings, pilot=pilot)
    return Options(study, Path("ablate-store").resolve(), Path("data").resolve(), changes, only, "cpu")


def run_here(study: Path, *settings: str, only: tuple[str, ...] = (), pilot: bool = False) -> int:
    """Run a study in this process, and return the exit code."""
    return run_study(options(study, *settings, only=only, pilot=pilot), RunOptions(jobs=1), Inline())


def planned(study: Path, *settings: str) -> tuple[list[RunSpec], Registry]:
    """Return the runs of a study, and the components they are made of."""
    reading = read_study(study, Changes(settings))
    registry = discover(study)
    return run_specs(resolve_study(reading, registry, Path("data"), {}), reading.study.seeds), registry


def first_run(study: Path, *settings: str) -> tuple[RunSpec, Registry]:
    """Return the first run of a study, and the components it is made of."""
    specs, registry = planned(study, *settings)
    return specs[0], registry


def jobs(study: Path, *settings: str) -> list[Job]:
    """Return the jobs of a study's runs, on one thread of the CPU, for a store in the working folder."""
    specs, registry = planned(study, *settings)
    code = registry.snapshot({(kind, choice.use) for spec in specs for kind, choice in parts(spec.recipe)})
    home = Store(Path("store").resolve())
    home.make_writable()
    return [Job(spec, home.root, Machine(Path("data"), "cpu", 1), code) for spec in specs]


def run(executor: Executor, todo: list[Job]) -> list[Event]:
    """Have an executor make runs, and return all that it told."""
    events: list[Event] = []
    executor.run(todo, events.append)
    return events


def contents(folder: Path) -> dict[str, bytes]:
    """Return what stands in each file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def whole(page: Path) -> str:
    """Return what stands in a report; in one for LaTeX, each part in its place."""
    return re.sub(
        r"\\input\{(parts/\w+)\}", lambda part: (page.parent / f"{part[1]}.tex").read_text(), page.read_text()
    )


class Draws:
    """An executor that trains nothing: a run's test accuracy is drawn, by variant and seed, and stored as a result.

    effects: what is added to 0.5, by variant; 0 for others. fails: runs that fail. stops_after: how many runs before
    it is killed.
    """

    def __init__(
        self,
        effects: Mapping[str, float],
        spread: float = 0.01,
        fails: Container[tuple[str, int]] = (),
        stops_after: float = math.inf,
    ) -> None:
        self.effects, self.spread, self.fails, self.stops_after = effects, spread, fails, stops_after
        self.made: list[tuple[str, int]] = []
        self.rehearsed: list[str] = []

    def check(self, resources: Resources) -> Placement:
        """Place runs one after the other."""
        return Placement(1, resources.runs)

    def close(self) -> None:
        """Hold nothing."""

    def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
        """Find nothing wrong."""
        self.rehearsed += [job.spec.variant for job in jobs]
        return RehearsalReport({}, {job.spec.variant: 1000 for job in jobs})

    def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
        """Store a result, or a failure, for each run."""
        for job in jobs:
            if len(self.made) >= self.stops_after:
                raise KilledError
            run = (job.spec.variant, job.spec.seed)
            self.made.append(run)
            writer = Store(job.store).writer(job.spec.key)
            writer.begin({"identity": job.spec.identity})
            on_event(Started(job.spec))
            if run in self.fails:
                writer.record_failure("failed", "its draw was a blank")
                on_event(Failed(job.spec, "its draw was a blank"))
                continue
            noise = random.Random(f"{run}").gauss(0, self.spread)
            result = {"test/accuracy": 0.5 + self.effects.get(job.spec.variant, 0.0) + noise, "seconds": 1.0}
            writer.commit_result({**result, "weights": f"{run}"})
            on_event(Finished(job.spec, result))


class KilledError(Exception):
    """A command was killed."""
