"""What a report is made of, read from a store: without loading a plugin, and without printing.

`ablate.results` and `ablate report` both begin here.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ..checks.finding import in_order
from ..checks.results import result_findings
from ..checks.study import findings
from ..checks.tuning import tuning_findings
from ..components.contracts import USUAL
from ..components.discover import discover
from ..errors import AblateError
from ..launch.asked import asked_for
from ..launch.last import is_at_work, typed_changes
from ..launch.measure import measured, predictions_in
from ..launch.study import silent
from ..paths import shown, typed
from ..report.content import Records
from ..report.folders import folder_of
from ..report.own_figures import found_figures
from ..stats.results import Results
from ..store.lost import lost
from ..store.run_frames import environment_lines, read_frames
from ..training.learning_rates import RangeTestResult
from ..tune.records import load_tunings
from .evaluated import class_names, pictures_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..checks.finding import Findings
    from ..components.registry import Registry
    from ..launch.study import Note
    from ..store.store import Store
    from ..store.studies import StudyRecord
    from ..study.spec import Study
    from ..tune.records import Shortened, VariantTuning


def read_records(
    home: Store,
    record: StudyRecord,
    note: Note = silent,
    written: Study | None = None,
    by_name: bool = True,
) -> Records:
    """Gather what is stored of a study.

    note: takes a line about what is not as the reader may expect. written: the study as it was loaded; without it, its
    file is read. by_name: whoever asks named the study and not its file, so that its code may be anybody's.
    """
    written = written or _read(record, note)
    keys = record.keys(written)
    if not keys:
        note(f"{shown(record.path)} has changed since it was run: this is the study as it was run")
        written = record.as_run().done()
        keys = record.keys(written)
    study = record.as_planned(written)
    wanted, _ = asked_for(home, study, keys)
    runs, epochs = read_frames(home, wanted, measured=study.trained)
    if "new" in set(runs["state"]) and (gone := lost(home, set(keys.values()))):
        note(gone)
    components = cache(lambda: components_of(home, record, study, by_name))
    made = measured(home, study, runs, components)
    tunings = fitting_tunings(home, study, keys, note)
    names = class_names(home, list(keys.values()))
    load = predictions_in(home)
    results = Results(made.study, made.runs, epochs, tunings, made.unmeasured, load, class_names=names)
    return Records(
        results=results,
        findings=findings(study, None if written.pilot else record.walked(written), record.probed(written)),
        environments=environment_lines(home, list(keys.values())),
        made=max((str(time) for time in results.stored["finished"]), default=""),
        commands=commands_of(record, study, tunings),
        changes=typed_changes(replace(record.changes, dataset=""), hide=True),
        tested=_tested(home, results),
        study_file=record.path if record.has_file and (not by_name or is_at_work(home, record.path)) else None,
        pictures=partial(pictures_of, home),
        sources=tuple((shown(file), known) for file, known in sorted(record.sources.items())),
        git=record.git,
        own_figures=found_figures([one.use for one in study.figures or () if one.use != USUAL], components),
    )


def all_findings(records: Records) -> Findings:
    """Return everything doubtful in one list: of the study, of its results and of its tuning."""
    results = records.results
    tuned = tuning_findings(results.study, results.tunings)
    return in_order([*records.findings, *result_findings(results), *tuned])


def components_of(home: Store, record: StudyRecord, study: Study, by_name: bool) -> Registry:
    """Load the components that a study's metrics and figures are among.

    A store may be somebody else's: the study's own are among them where the user works there, or named its file, and
    code runs from nowhere else.
    """
    file = record.path if record.has_file else None
    own = [*([file] if file else []), *study.plugins]
    if by_name and not all(is_at_work(home, place) for place in own):
        return discover()
    return discover(file, study.plugins)


def _read(record: StudyRecord, note: Note) -> Study:
    """Read a study's file, or what it was when it was run where it has problems now."""
    try:
        return record.reading().done()
    except AblateError:
        note(
            f"{shown(record.path)} has problems now: this is the study as it was run\n"
            f"  'ablate plan {typed(record.path)}' lists them"
        )
        return record.as_run().done()


def fitting_tunings(
    home: Store, study: Study, keys: Mapping[tuple[str, int], str], note: Note = silent
) -> tuple[VariantTuning, ...]:
    """Return what tuning found, without what it found of variants that have changed since.

    keys: of the study's runs. note: takes a line for each of those.
    """
    fitting = []
    for tuning in load_tunings(home, study.name):
        own = next((keys[name, seed] for name, seed in keys if name == tuning.variant), "")
        tried = next((trial.key for trial in tuning.trials if trial.default), "")
        epochs = next((v.recipe.epochs for v in study.variants if v.name == tuning.variant), tuning.of_epochs)
        before = _essence(home.run(tried).spec(), tuning.shortened) if tried else None
        now = _essence(home.run(own).spec()) if own else None
        if (before and now and before != now) or epochs != tuning.of_epochs:
            note(f"{tuning.variant}: has changed since it was tuned, and what was found then is left out")
        else:
            fitting.append(tuning)
    return tuple(fitting)


def _essence(
    spec: Mapping[str, Any] | None, shortened: Mapping[str, Shortened] = {}
) -> dict[str, Any] | None:  # read only
    """Return what a variant's run and the trial with its own settings have in common.

    shortened: lengths that the trial's schedule has and the variant's has not.
    """
    identity = (spec or {}).get("identity")
    if isinstance(identity, dict) and "task" in identity:
        return {**identity, "seed": None, "turn": None}
    if not isinstance(identity, dict) or not all(isinstance(identity.get(n), dict) for n in ("dataset", "scheduler")):
        return None
    dataset = {**identity["dataset"], "splits": None}
    scheduler = dict(identity["scheduler"])
    if shortened:
        kept = {name: value for name, value in scheduler["settings"].items() if name not in shortened}
        scheduler["settings"] = kept | {name: whole for name, (whole, _, given) in shortened.items() if given}
    return {**identity, "seed": None, "epochs": None, "dataset": dataset, "scheduler": scheduler}


def _tested(home: Store, results: Results) -> tuple[tuple[str, RangeTestResult], ...]:
    """Return the range tests of stored runs, with their variants."""
    found = []
    for variant, key in zip(results.stored["variant"], results.stored["key"], strict=True):
        document = home.run(key).range_test()
        test = RangeTestResult.of(document) if document else None
        if test is not None:
            found.append((variant, test))
    return tuple(found)


def commands_of(record: StudyRecord, study: Study, tunings: Sequence[VariantTuning]) -> tuple[str, ...]:
    """Return what makes the study's runs, or what is missing of them, and its report again, each as it is typed.

    They name neither the folder that the study is in nor the store, which are elsewhere on another machine, so that
    they are the same wherever they are asked for. One of a study without a file is Python.
    """
    if not record.has_file:
        return ("results = ablate.run(study)", f"results.report({folder_of(record.name).as_posix()!r})")
    file = shlex.quote("/".join(record.path.parts[-2 if record.path.parent.name == "studies" else -1 :]))
    changes, pilot = typed_changes(record.changes, hide=True), ["--pilot"] if record.changes.pilot else []
    asked = {tuning.asked for tuning in tunings}
    trials = [f"--trials {max(asked)}"] if asked and asked != {study.tuning.trials} else []
    tuned = ["--tuned"] if record.changes.tuned else []
    tune = [["ablate tune", file, *changes, *trials]] if tunings else []
    made = [*tune, ["ablate run", file, *changes, *pilot, *tuned], ["ablate report", shlex.quote(record.name), *pilot]]
    return tuple(" ".join(words) for words in made)
