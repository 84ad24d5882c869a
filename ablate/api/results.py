"""A study's results in its store: frames, comparisons, figures, report files, and what its runs trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, counted, listing, quoted
from ..launch.study import LoadedStudy
from ..paths import data_dir, expanded, shown, store_dir
from ..report.content import report
from ..report.document import document
from ..report.render import render
from ..report.side_by_side import render_sides
from ..report.table import table
from ..stats.classes import class_frame, confusion_frame
from ..stats.trials_frame import trials_frame
from ..store.store import Store
from ..store.studies import find_study
from .compare import Asked
from .figures import Figures
from .load import alone, load_study
from .load import folder as given_folder
from .notebook import Comparison, results_html
from .records import all_findings, read_records
from .sides import GivenSide, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import nn

    from ..checks.finding import Findings
    from ..data.predictions import Predicted
    from ..stats.claims import JudgedClaim
    from ..stats.effects import FactorialEffects
    from ..stats.images import ImageComparison
    from ..stats.shapley import ShapleyShares
    from ..store.studies import StudyRecord
    from ..study.spec import Study
    from ..training.trained import EvaluationImages
    from .load import StudySource
    from .trained import StoredRun


def results(
    study: LoadedStudy | StudySource, *, store: str | Path | None = None, pilot: bool | None = None
) -> StudyResults:
    """Read a study's results from its store, as they stand now.

    study: its name, its file (as it is now), what `load_study` returned (as it was then), or a dict.
    store: the folder of runs; without it that of the loaded study, else `ABLATE_STORE`, else `ablate-store` here.
    pilot: True for the study's pilot.
    Loads no component, unless the study names `metrics`, which are components. Where the file cannot be read any more,
    or has problems now, results are of the study as it was run, and `notes` say so. Raises InputError where the study
    was never run in this store, with the nearest name.
    """
    place, written = store_dir(given_folder(store, "store")), None
    if isinstance(study, Mapping):
        study = load_study(study, store=store, pilot=bool(pilot))
    if isinstance(study, LoadedStudy):
        place = study.options.store if store is None else place
        pilot = study.study.pilot if pilot is None else pilot
        named, written = study.name, study.written
    else:
        named = study if isinstance(study, str) else str(expanded(Path(study)))
    home, record = find_study(Store(place), named, pilot)
    return StudyResults(home, record, written, by_name=study == record.name)


class StudyResults:
    """The results of a study, as they stood in its store when this was made.

    Accuracies are fractions, losses mean cross-entropies in nats, times seconds. Frames are copies. Only `model` and
    `data` load torch, and with it the components that the run was made of; nothing prints.
    notes: lines on what may not be as you expect, such as a study file that has changed since, or, from `ablate.run`,
    what trying the variants out warned of.
    """

    def __init__(self, home: Store, record: StudyRecord, written: Study | None = None, by_name: bool = False) -> None:
        """Read them. written: the study as it was loaded, None to read its file.

        by_name: whoever asks named the study and not its file, so that its code may be anybody's.
        """
        notes: list[str] = []
        self._home, self._record, self._by_name = home, record, by_name
        with alone():  # a metric may be a component of the user's
            self._records = read_records(home, record, notes.append, written, by_name)
        self._results = self._records.results
        self.notes = tuple(notes)

    @property
    def study(self) -> Study:
        """Return the study that the results are of, every setting of its variants filled in."""
        return self._results.study

    @property
    def findings(self) -> Findings:
        """Return what is doubtful in the study, its results and its tuning, serious things first.

        Each has a `code`, a `level`, a place (`where`), a `reason`, a `remedy` and why it is `waived`, if it is.
        """
        return all_findings(self._records)

    @property
    def runs(self) -> pd.DataFrame:
        """Return a row for each planned run.

        variant, seed, key; state: "new", "unfinished", "failed" or "stored"; reason: of a failure; weights: a digest;
        parameters, dead_weights: how many; seconds; the last epoch's metrics, such as "test/accuracy", and those that
        the study names, such as "test/top-k": nan for a run without a result.
        """
        return self._results.runs.copy()

    @property
    def epochs(self) -> pd.DataFrame:
        """Return a row for each epoch of each stored run.

        variant, seed, epoch (from 1), lr (of the epoch's last step), the metrics, seconds (of training) and
        images_per_second.
        """
        return self._results.epochs.copy()

    @property
    def trials(self) -> pd.DataFrame:
        """Return a row for each trial of tuning, with a column for each objective and setting."""
        return trials_frame(self._results.tunings).infer_objects()

    @property
    def table(self) -> pd.DataFrame:
        """Return the report's comparison table as numbers, with a row for each variant and metric.

        variant, model, enhancements, epochs, runs (stored), metric; mean, low and high (ends of the 95 % interval);
        reported: what the study quotes; reference, difference, difference_low and difference_high: the variant minus
        what the report compares it with first, with the adjusted p and the verdict. What is absent is nan.
        """
        return table(self._results).frame(self._results)

    def comparison(self, candidate: str, reference: str | None = None, metric: str | None = None) -> Comparison:
        """Return candidate minus reference, as the report has it.

        reference: without it, what the report compares the candidate with first, else the variant that it comes from.
        metric: such as "test/loss"; without it, the study's own.
        The comparison has `verdict`, `difference`, `low` and `high` (ends of the 95 % interval, None without one), `p`,
        `n`, `seeds` and `per_seed`, in the unit of the metric.
        Raises InputError for a name that does not exist, with the nearest one.
        """
        if reference is None:
            self._results.stored_of(candidate)  # which raises where there is no such variant
            planned = self._results.reference(candidate) or self.study.reference(candidate)
            reference = planned or self.study.variants[0].name
        if reference == candidate:
            self._results.stored_of(candidate)
            others = [variant.name for variant in self.study.variants if variant.name != candidate]
            raise InputError(
                f"'{candidate}' cannot be compared with itself: name a reference\n  accepts {listing(others, 20)}"
            )
        return Comparison(**vars(self._results.comparison(candidate, reference, metric)))

    def images(self, candidate: str, reference: str | None = None) -> ImageComparison | None:
        """Compare two variants image by image, from what their runs predicted on the split that the study compares on.

        reference: as of `comparison`. The result has, for each seed, how many images only one of the two recognises
        with the p of McNemar's test, and how large a noise the finite test set and the seeds make. None where no seed
        has predictions of both, or where they were not evaluated on the same images.
        Raises InputError for a name that does not exist, with the nearest one.
        """
        found = self.comparison(candidate, reference)
        return self._results.image_comparison(found.candidate, found.reference)

    def predictions(self, variant: str, seed: int | None = None, split: str = "test") -> Predicted:
        """Return what a run predicted when it was evaluated last: `logits` (N, classes) float16, and `labels` (N,).

        Each row of logits is less its largest. The images are those of `data(variant, split)`, in its order; of
        cross-validation those of the same seed, and `rows` says which of the images that are cut into folds they are.
        seed: without it, the first one that is stored. split: "test" or "validation".
        Raises InputError where the run is not stored, and where its predictions were not kept or cannot be read.
        """
        seed, key = self._key(variant, seed)
        found = self._results.load(key)
        if split not in found:
            run, there = f"{variant}, seed {seed}", listing(quoted(found))
            raise InputError(
                f"{run}: has no predictions of a split {split!r}\n  accepts {there}"
                if found
                else f"{run}: its predictions are not there\n  'ablate store check' says whether they are damaged; "
                "runs keep them unless the study says keep_predictions = false, and 'ablate store clean --predictions' "
                "removes them"
            )
        return found[split]

    @property
    def classes(self) -> pd.DataFrame:
        """Return a row for each stored run and class: variant, seed, class, images of it, how many are right, accuracy.

        On the split that the study compares on; runs that kept no predictions are left out.
        """
        return class_frame(self._results)

    @property
    def confusions(self) -> pd.DataFrame:
        """Return a row for each stored run, label and predicted class that occur together, with how many images."""
        return confusion_frame(self._results)

    @property
    def claims(self) -> tuple[JudgedClaim, ...]:
        """Return what the results say of each claim of the study: `claim`, `verdict`, `evidence` (a comparison)."""
        return self._results.claims

    @property
    def effects(self) -> FactorialEffects | None:
        """Return the main effects and interactions of a factorial on the study's metric; None without one.

        `effects` has them all, `effect("cutout")` and `effect("cutout", "cosine")` one: with `mean`, `low`, `high`,
        `p`, `verdict`, `per_seed`, and `aliases` where a fraction cannot tell it from others.
        """
        return self._results.effects

    @property
    def shares(self) -> ShapleyShares | None:
        """Return each factor's share of the `total` difference; None without a full factorial of at most 6 factors.

        Each of `shares` has its `factor`, `mean`, `low`, `high`, and what it adds `as_written`, at `least` and at
        `most`.
        """
        return self._results.shapley

    @cached_property
    def figures(self) -> Figures:
        """Return the report's figures by name; each time you take one it is a new matplotlib figure."""
        return Figures(self._records)

    def report(
        self, folder: str | Path, formats: str | Sequence[str] = ("html", "md"), beside: StudyResults | None = None
    ) -> list[Path]:
        """Write a report to a folder, which is made where it is missing, and return its files without the figures.

        formats: "html", "md", "tex", "json", "csv"; several as a list or with commas between them. beside: the results
        of another study, or of this one in another store: both are set side by side then, and differences are these
        minus those; formats are "html", "md" and "json". Raises InputError for another format, and where the folder
        cannot be written.
        """
        named = [name.strip() for name in formats.split(",")] if isinstance(formats, str) else formats
        if beside is None:
            return render(self._records, named, Path(folder))
        return render_sides(side_by_side(*self._sides(beside), Asked()), named, folder)

    def _sides(self, before: StudyResults) -> tuple[GivenSide, GivenSide]:
        """Return another one and this one as sides, called by what tells them apart: studies, or else stores."""
        both = (before, self)
        names = [one.study.name for one in both]
        if names[0] == names[1]:
            names = [shown(one._home.root) for one in both]  # noqa: SLF001
        found = [GivenSide(name, one._home, one._records) for name, one in zip(names, both, strict=True)]  # noqa: SLF001
        return found[0], found[1]

    def document(self) -> dict[str, Any]:
        """Return all that the report says but for its figures, as plain JSON: for a program that reads it.

        Numbers are in the unit of data (accuracies are fractions); those that are absent or not finite are None.
        """
        return document(report(self._records))

    def model(self, variant: str, seed: int | None = None) -> nn.Module:
        """Return the network that a run trained, on the CPU and in evaluation mode.

        Its weights are those that the run evaluated last: their moving average where the variant has `ema`. It takes
        normalised images (B, C, H, W), as `data` gives them, and returns logits (B, classes).
        seed: without it, the first one that is stored.
        Raises InputError where the run is not stored or its source has changed, and where its weights were not kept:
        that takes `keep_checkpoints = true` under [study].
        """
        with alone():
            return self._stored(variant, seed).model()

    def data(
        self, variant: str, split: str = "test", folder: str | Path | None = None, seed: int | None = None
    ) -> EvaluationImages:
        """Return a split of a variant's data, "train", "validation" or "test", as its runs evaluate it.

        seed: of cross-validation, whose seeds are folds with images of their own; without it, the first one stored.
        folder: of datasets; without it `ABLATE_DATA_DIR`, else the user's cache.
        Raises InputError where there is no split of this name or no stored run, DataError where the data is gone or
        has changed.
        """
        with alone():
            return self._stored(variant, seed).images(split, data_dir(given_folder(folder, "folder")))

    def _stored(self, variant: str, seed: int | None) -> StoredRun:
        """Return a stored run, by default the first one. Raises InputError where it is not stored."""
        if not self.study.images:
            raise InputError(
                f"{self.study.name}: what runs of task '{self.study.task}' train is known to the task alone\n"
                f"  what they wrote for themselves is in files/ of each run's folder in {shown(self._home.root)}"
            )
        from .trained import registry_of, stored_run  # torch

        folder = self._home.run(self._key(variant, seed)[1])
        registry = registry_of(self._home, self._record, self.study.plugins, self._by_name)
        return stored_run(folder, self.study, variant, self._record, registry)

    def _key(self, variant: str, seed: int | None) -> tuple[int, str]:
        """Return the seed and the key of a stored run, by default the first. Raises InputError where it is not."""
        stored = self._results.stored_of(variant)
        if seed is None:
            seed = next(iter(stored), None)
        if seed is None or seed not in stored:
            raise InputError(self._not_stored(variant, seed))
        return seed, str(stored[seed]["key"])

    def _not_stored(self, variant: str, seed: int | None) -> str:
        """Say which runs of a variant are stored where the one asked for is not, and what to do."""
        states, stored = self._results.states[variant], self._results.stored_of(variant)
        there = f"; seeds {listing(map(str, stored))} are" if stored else ""
        said = f"{variant}: {'no run is' if seed is None else f'seed {seed} is not'} stored{there}"
        others = ", ".join(f"{count} {state}" for state, count in states.items() if state != "stored")
        said += f" ({others})" if others else ""
        if states["failed"]:
            return (
                f"{said}\n  results.runs has the reason of each failure; "
                "ablate.run(study, retry_failed=True) tries those runs again"
            )
        return f"{said}\n  ablate.run(study) makes the runs that are missing" if others else said

    def _state(self) -> str:
        """Say how many runs are in which state: "14 stored, 1 failed"."""
        counts = self._results.runs["state"].value_counts()
        pilot = "pilot, whose numbers mean nothing: " if self._record.changes.pilot else ""
        return pilot + ", ".join(f"{count} {state}" for state, count in counts.items())

    def __repr__(self) -> str:
        return f"<results of {self.study.name}: {self._state()}>"

    def _repr_html_(self) -> str:
        return results_html(self._results, f"{counted(len(self._results.runs), 'run')}: {self._state()}", self.notes)
