"""What a report is made of, read from a store: without loading a plugin, and without printing.

`ablate.results` and `ablate report` both begin here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..checks.finding import in_order
from ..checks.results import result_findings
from ..checks.study import findings
from ..checks.tuning import tuning_findings
from ..components.discover import discover
from ..errors import AblateError
from ..launch.asked import asked_for
from ..launch.last import is_at_work, typed_changes, whole
from ..launch.measure import measured, predictions_in
from ..launch.study import silent
from ..paths import same_store, shown, typed
from ..report.content import Records
from ..stats.results import Results
from ..store.documents import local_time
from ..store.run_frames import environment_lines, read_frames
from ..training.learning_rates import RangeTestResult
from ..tune.records import load_tunings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..checks.finding import Findings
    from ..components.registry import Registry
    from ..launch.study import Note
    from ..store.store import Store
    from ..store.studies import StudyRecord
    from ..study.spec import Study
    from ..tune.records import Shortened, VariantTuning


def read_records(
    home: Store, record: StudyRecord, note: Note = silent, written: Study | None = None, by_name: bool = True
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
    runs, epochs = read_frames(home, wanted)
    made = measured(home, study, runs, lambda: components_of(home, record, study, by_name))
    tunings = fitting_tunings(home, study, keys, note)
    results = Results(made.study, made.runs, epochs, tunings, made.unmeasured, predictions_in(home))
    return Records(
        results=results,
        findings=findings(study, None if written.pilot else record.walked(written), record.probed(written)),
        environments=environment_lines(home, list(keys.values())),
        made=local_time(),
        command=_command(home, record),
        changes=typed_changes(record.changes),
        tested=_tested(home, results),
    )


def all_findings(records: Records) -> Findings:
    """Return everything doubtful in one list: of the study, of its results and of its tuning."""
    results = records.results
    tuned = tuning_findings(results.study, results.tunings)
    return in_order([*records.findings, *result_findings(results), *tuned])


def components_of(home: Store, record: StudyRecord, study: Study, by_name: bool) -> Registry:
    """Load the components that a study's metrics are among: its own too where the user works there, or named its file.

    A store may be somebody else's, and code runs only from where the user works or from what the user named.
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


def _command(home: Store, record: StudyRecord) -> str:
    """Return the command that makes the study's runs, or what is missing of them, again."""
    if not record.has_file:
        return "ablate.run(study)"
    parts = [
        "ablate run",
        typed(record.path),
        *typed_changes(record.changes),
        "--pilot" if record.changes.pilot else "",
        "--tuned" if record.changes.tuned else "",
    ]
    return " ".join(part for part in parts if part) + same_store(whole(home, record))
