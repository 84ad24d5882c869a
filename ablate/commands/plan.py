"""`ablate plan`: what would run, what is stored, how long it would take. Trains nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import paths
from ..console import text
from ..paths import shown
from ..study.check import findings
from ..study.plan import cost_key
from ..study.settle import parts
from ..training.machine import default_jobs
from ..training.progress import megabytes
from .prepare import (
    Options,
    Prepared,
    expected_bytes,
    expected_costs,
    expected_seconds,
    prepare,
    total_seconds,
)

if TYPE_CHECKING:
    from ..store.frame import Cost


WORTH_SAYING = 0.05


def show_plan(options: Options, jobs: int = 0, as_json: bool = False) -> int:
    """Print the plan of a study and return the exit code."""
    prepared = prepare(options)
    known = expected_costs(prepared)
    expected = expected_seconds(prepared, known)
    jobs = jobs or default_jobs("auto", len(prepared.planned))
    room = _room(prepared, known, jobs)
    pending = [line for source in prepared.sources(prepared.todo) if (line := source.pending())]
    if as_json:
        _say_json(prepared, expected, room, jobs)
        return 0
    _say_runs(prepared, expected)
    count = len(prepared.todo)
    total = total_seconds(expected, jobs)
    text.say(f"\n{count} of {len(prepared.planned)} runs to make" + (f", {text.about(total)}" if count else ""))
    for line in pending:
        text.say(f"data: {line}")
    for line in (*_cautions(prepared), *_dead(prepared, known)):
        text.say(line)
    text.say(f"store: {shown(prepared.home.root)}, {_room_text(room, prepared)}")
    ships = paths.shipped("plugins").resolve()
    mine = [shown(file) for file in prepared.registry.files if file.parent != ships]
    text.say(f"plugin files: {', '.join([*mine, f'{len(prepared.registry.files) - len(mine)} that ship with ablate'])}")
    for finding in findings(prepared.settled.study):
        text.say(f"\ndoubtful  {finding.where}: {finding.reason}  [{finding.code}]\n          {finding.remedy}")
    return 0


def _dead(prepared: Prepared, known: dict[str, Cost]) -> list[str]:
    """Say of each model how much of it never meets a pixel, where that was measured and is worth a line."""
    found: dict[str, float] = {}
    for run in prepared.planned:
        cost = known.get(cost_key(run.spec.identity))
        if cost and cost.dead >= WORTH_SAYING:
            shape = "x".join(map(str, run.spec.identity["dataset"]["shape"]))
            found[f"{run.spec.recipe.model.use} at {shape}"] = cost.dead
    return [f"dead weights: {share:.0%} of {model} never meet a pixel" for model, share in found.items()]


def _room(prepared: Prepared, known: dict[str, Cost], jobs: int) -> int | None:
    """Return how many bytes the runs to be made take in the store, or None where that is not known."""
    found = {spec.variant: known.get(cost_key(spec.identity)) for spec in prepared.todo}
    states = {variant: cost.state_bytes for variant, cost in found.items() if cost}
    return expected_bytes(prepared, states, prepared.todo, jobs)


def _room_text(room: int | None, prepared: Prepared) -> str:
    need = "space needed not known before a run or a pilot" if room is None else f"needs about {megabytes(room)}"
    return f"{need}, {megabytes(prepared.home.free_bytes())} free" if prepared.todo else "nothing more needed"


def _cautions(prepared: Prepared) -> list[str]:
    """Return what the libraries say of the components that the study takes from them."""
    used = {(kind, c.use): None for v in prepared.settled.study.variants for kind, c in parts(v.recipe)}
    found = []
    for kind, use in used:
        library = prepared.registry.library(kind, use)
        caution = library.caution(use.partition(":")[2]) if library else ""
        found += [f"{kind} {use} {caution}"] if caution else []
    return found


def _say_runs(prepared: Prepared, expected: dict[str, float | None]) -> None:
    from ..report.numbers import duration

    rows = []
    for run in prepared.planned:
        seconds = expected.get(run.spec.key)
        rows.append(
            [
                run.spec.variant,
                str(run.spec.seed),
                run.state,
                duration(seconds) if seconds else "",
                run.spec.key[:10],
                run.why,
            ]
        )
    text.say(text.table([prepared.written.label, "seed", "state", "time", "key", "why"], rows, right=(1, 3)))


def _say_json(prepared: Prepared, expected: dict[str, float | None], room: int | None, jobs: int) -> None:
    text.say_json(
        {
            "study": prepared.written.name,
            "store": str(prepared.home.root),
            "seconds": total_seconds(expected, jobs),
            "bytes": room,
            "plugins": [str(file) for file in prepared.registry.files],
            "findings": [vars(finding) for finding in findings(prepared.settled.study)],
            "runs": [
                {
                    "variant": run.spec.variant,
                    "seed": run.spec.seed,
                    "key": run.spec.key,
                    "state": run.state,
                    "why": run.why,
                    "seconds": expected.get(run.spec.key),
                }
                for run in prepared.planned
            ],
        }
    )
