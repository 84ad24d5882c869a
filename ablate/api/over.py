"""A study over several datasets read from its store: each dataset's results, and what they come to over all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, listing
from ..paths import store_dir
from ..report.over_content import OverReport, over_report
from ..report.over_datasets import render_over
from ..report.over_document import over_document
from ..stats.over_datasets import Over, over
from ..store.over import find_over
from ..store.store import Store
from ..store.studies import find_study
from .load import folder as given_folder
from .records import commands_of
from .results import StudyResults, results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from ..report.content import Records
    from ..stats.iqm import IqmEstimate
    from ..stats.over_datasets import OverDatasets
    from ..stats.ranks import Ranks
    from ..store.over import StudyOver
    from ..store.studies import StudyRecord


@dataclass(frozen=True)
class GatheredOver:
    """What is stored of a study over datasets. records: of each dataset that was run, by name."""

    study: StudyOver
    records: Mapping[str, Records]

    @property
    def found(self) -> Over:
        """Return what its results come to over the datasets."""
        return over({name: one.results for name, one in self.records.items()}, self.study.datasets)

    @property
    def report(self) -> OverReport:
        """Return what its report says."""
        newest = self.study.newest
        results = self.records[newest.changes.dataset].results
        whole = replace(newest, name=self.study.name, changes=replace(newest.changes, dataset=""))
        commands = commands_of(whole, results.study, results.tunings)
        return over_report(self.study.name, self.found, self.records, commands)


def gather_over(study: StudyOver, read: Callable[[StudyRecord], Records]) -> GatheredOver:
    """Read a study over datasets. read: returns what is stored of the ordinary study on one of them.

    Raises InputError where none of its datasets has been run.
    """
    if not study.records:
        raise InputError(f"{study.name}: none of these datasets has been run: {listing(study.datasets)}")
    return GatheredOver(study, {name: read(record) for name, record in study.records.items()})


class OverResults:
    """What studies with the same variants come to over several datasets; `ablate.over_datasets` returns one.

    Each of `comparisons` has `candidate`, `reference`, `verdict`, `mean` (a comparison over datasets: `mean`, `low`,
    `high`, `p` in the unit of data; None for a metric that is not on one scale), `better`, `worse`, `same` (on how many
    datasets), `p_signs`, `p_ranks`, and `on`: the comparison on each dataset, by name. `ranks` and
    `interquartile_means` are None and empty below the number of datasets that they take.
    """

    def __init__(self, parts: Mapping[str, StudyResults], datasets: Sequence[str] = (), name: str = "") -> None:
        """Take results by the name of their dataset. datasets: all of the study. name: of the whole study."""
        self._parts = dict(parts)
        self._over = over({dataset: one._results for dataset, one in parts.items()}, datasets)  # noqa: SLF001
        self._name = name or "over-datasets"

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the names of the datasets, also of those that nothing was run on."""
        return self._over.datasets

    @property
    def comparisons(self) -> tuple[OverDatasets, ...]:
        """Return each comparison that the study plans, on every dataset and over all."""
        return self._over.comparisons

    def comparison(self, candidate: str, reference: str | None = None) -> OverDatasets:
        """Return one of the comparisons. reference: where the candidate is compared with several.

        Raises InputError where the study plans no such comparison.
        """
        found = [one for one in self.comparisons if one.candidate == candidate and reference in (None, one.reference)]
        if not found:
            known = [f"{one.candidate} against {one.reference}" for one in self.comparisons]
            raise InputError(f"{candidate}: the study plans no such comparison\n  it plans {listing(known, 20)}")
        return found[0]

    @property
    def table(self) -> pd.DataFrame:
        """Return the mean of each variant (rows) on each dataset (columns), nan where a run has no value."""
        import pandas as pd

        return pd.DataFrame.from_dict(self._over.means, orient="index", columns=list(self._parts), dtype=float)

    @property
    def ranks(self) -> Ranks | None:
        """Return the average ranks of the variants, with Friedman's test and Nemenyi's critical difference."""
        return self._over.ranks

    @property
    def interquartile_means(self) -> Mapping[str, IqmEstimate]:
        """Return the interquartile mean of each variant, with its interval."""
        return self._over.iqms

    def document(self) -> dict[str, Any]:
        """Return all that its report says, as `report.json` has it."""
        return over_document(self._report)

    def report(self, folder: str | Path, formats: Sequence[str] = ("html", "md")) -> list[Path]:
        """Write the page over all datasets, and return its files: as `ablate report`, without those of each dataset."""
        return render_over(self._report, formats, Path(folder), {})

    @property
    def _report(self) -> OverReport:
        records = {dataset: one._records for dataset, one in self._parts.items()}  # noqa: SLF001
        return over_report(self._name, self._over, records)

    def __repr__(self) -> str:
        said = listing((f"{one.candidate} {one.verdict}" for one in self.comparisons), 6)
        return f"<{self._name} over {listing(self.datasets, 6)}: {said}>"


def over_datasets(
    study: str | os.PathLike[str] | Mapping[str, StudyResults],
    *,
    store: str | Path | None = None,
    pilot: bool | None = None,
) -> OverResults:
    """Compare the same variants over several datasets.

    study: the name or the file of a study over datasets, or results of studies with the same variants, by the name of
    each dataset. store: the folder of runs; without it `ABLATE_STORE`, else `ablate-store` here. pilot: True for the
    pilot.
    Raises InputError where there is no such study, or where studies are compared on different metrics.
    """
    if isinstance(study, Mapping):
        return OverResults(study)
    place = store_dir(given_folder(store, "store"))
    found = find_over(Store(place), os.fspath(study), pilot)
    if found is None:
        find_study(Store(place), os.fspath(study), pilot)  # InputError where there is none of any kind
        raise InputError(f"{study}: is no study over several datasets; ablate.results has its results")
    parts = {name: results(record.name, store=place, pilot=found.pilot) for name, record in found.records.items()}
    return OverResults(parts, found.datasets, found.name)
