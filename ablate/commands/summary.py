"""What runs gave: the table at the end of `ablate run`, and its JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..console import text
from ..paths import shown
from ..report.numbers import NAMES, duration
from ..stats.summary import estimate
from ..store.frame import read_frames
from .prepare import same_store

if TYPE_CHECKING:
    from .prepare import Prepared


def summarize(prepared: Prepared, json: bool) -> int:
    """Show what all planned runs gave, and what to do next; return the exit code."""
    study, home = prepared.settled.study, prepared.home
    runs, _ = read_frames(home, {(p.spec.variant, p.spec.seed): p.spec.key for p in prepared.planned})
    failed = runs[runs["state"] == "failed"]
    if json:
        text.say_json({"study": study.name, "pilot": study.pilot, "store": str(home.root), "runs": _records(runs)})
        return 1 if len(failed) else 0
    name = NAMES[study.metric]
    scale = 100.0 if study.metric.endswith("accuracy") else 1.0
    rows = []
    for variant in dict.fromkeys(runs["variant"]):
        mine = runs[(runs["variant"] == variant) & (runs["state"] == "done")]
        found = estimate(mine[study.metric] * scale)
        interval = f"{found.low:.2f} to {found.high:.2f}" if found.low is not None and found.high is not None else "–"
        took = f"{duration(float(mine['seconds'].mean()))}" if len(mine) else "–"
        rows.append([variant, str(len(mine)), f"{found.mean:.2f}" if len(mine) else "–", interval, took])
    unit = " %" if scale > 1 else ""
    text.say(text.table([study.label, "runs", name + unit, "95 % interval", "time each"], rows, right=(1, 2, 3, 4)))
    for row in failed.to_dict("records"):
        text.note(f"failed: {row['variant']}, seed {row['seed']}: {row['reason']}")
        if (home.run(str(row["key"])).failure() or {}).get("traceback"):
            text.note(f"  traceback in {shown(home.run(str(row['key'])).path / 'failure.json')}")
    if len(failed):
        text.note("  --retry-failed tries them again")
    if study.pilot:
        text.note("this was a pilot: it shows that everything runs, and its numbers mean nothing")
        text.note(f"next: ablate run {shown(prepared.options.study)}{same_store(prepared.options)}")
    else:
        text.note("next: ablate report" + same_store(prepared.options))
    return 1 if len(failed) else 0


def _records(runs: Any) -> list[dict[str, Any]]:
    """Return the rows of a frame with None where it has nan."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in runs.to_dict("records")
    ]
