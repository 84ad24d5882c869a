from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from ablate.api.records import read_records
from ablate.checks.results import result_findings
from ablate.commands.run import run_study
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.report.content import Records, report
from ablate.stats.results import Results
from ablate.store.store import Store
from ablate.store.studies import find_study
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.study.toml import Changes

RECIPE = Recipe(1, 32, Choice("digits"), Choice("mlp"), Choice("sgd", {"lr": 0.1}))
METRICS = ("train/loss", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy")
Told = dict[str, list[tuple[str, float]]]


def study(*names: str, seeds: int = 2) -> Study:
    made = tuple(Variant(name, RECIPE, names[0] if place else None) for place, name in enumerate(names))
    return Study("s", "S", made, tuple(range(seeds)))


def frame(told: Told, keys: bool = True) -> pd.DataFrame:
    """A run for each variant and seed, with the digest of its weights and its accuracy; keys: each its own."""
    rows = [
        dict.fromkeys(METRICS, 0.5)
        | {"variant": name, "seed": seed, "key": f"{name}{seed}" if keys else "one", "state": "stored", "reason": ""}
        | {"weights": weights, "test/accuracy": accuracy, "parameters": 10.0, "dead_weights": 0.0, "seconds": 1.0}
        for name, runs in told.items()
        for seed, (weights, accuracy) in enumerate(runs)
    ]
    return pd.DataFrame(rows)


def results(made: Study, runs: pd.DataFrame) -> Results:
    columns = ["variant", "seed", "epoch", "lr", *METRICS, "seconds", "images_per_second"]
    return Results(made, runs, pd.DataFrame([], columns=columns))


def found(told: Told, keys: bool = True) -> dict[str, tuple[str, str]]:
    made = study(*told, seeds=len(next(iter(told.values()))))
    return {
        finding.code: (finding.where, finding.reason) for finding in result_findings(results(made, frame(told, keys)))
    }


def test_variants_that_end_with_the_same_weights_are_named_together() -> None:
    same = {name: [("a", 0.1), ("b", 0.2)] for name in ("base", "flip", "mixup")}
    told = found(same | {"x": [("c", 0.1), ("d", 0.3)]})
    assert list(told) == ["same-weights"]
    where, reason = told["same-weights"]
    assert where == "base, flip, mixup"
    assert "with every seed end with the same weights, bit for bit" in reason


def test_the_seeds_are_named_where_only_some_end_with_the_same_weights() -> None:
    told = found({"base": [("a", 0.1), ("b", 0.2), ("c", 0.3)], "flip": [("a", 0.1), ("x", 0.25), ("c", 0.3)]})
    assert "their runs with seed 0, 2 end with the same weights" in told["same-weights"][1]


def test_the_same_weights_with_other_values_had_an_effect() -> None:
    """As those of an average of the weights, which is evaluated in their place."""
    assert found({"ema 0.9": [("a", 0.1), ("b", 0.2)], "ema 0.5": [("a", 0.15), ("b", 0.3)]}) == {}
    told = found({"ema 0.9": [("a", 0.1), ("b", math.nan)], "ema 0.5": [("a", 0.15), ("b", math.nan)]})
    assert "their runs with seed 1 end with the same weights" in told["same-weights"][1]


def test_one_run_that_two_variants_share_says_nothing_of_them() -> None:
    assert found({"base": [("a", 0.1)], "longer": [("a", 0.1)]}, keys=False) == {}


@pytest.mark.parametrize("digest", ["", None, math.nan])
def test_runs_without_a_digest_are_not_taken_for_the_same(digest: str | float | None) -> None:
    runs = frame({"base": [("", 0.1), ("", 0.2)], "flip": [("", 0.3), ("", 0.4)]})
    runs["weights"] = digest
    for one in (runs, runs.drop(columns="weights")):
        assert result_findings(results(study("base", "flip"), one)) == ()


def test_the_same_values_of_other_weights_are_doubtful() -> None:
    told = found({"base": [("a", 0.1), ("b", 0.2)], "flip": [("c", 0.1), ("d", 0.2)], "x": [("e", 0.1), ("f", 0.3)]})
    assert list(told) == ["same-values"]
    assert told["same-values"][0] == "base, flip"
    assert "their test accuracy is the same with every seed" in told["same-values"][1]


def test_one_value_for_all_seeds_is_doubtful() -> None:
    told = found({"base": [("a", 0.9), ("b", 0.9)], "flip": [("c", 0.1), ("d", 0.2)]})
    assert list(told) == ["no-spread"]
    assert told["no-spread"][0] == "base"


def test_one_seed_or_absent_values_raise_no_doubt_of_values() -> None:
    assert found({"base": [("a", 0.9)], "flip": [("b", 0.9)]}) == {}
    assert found({"base": [("a", math.nan), ("b", math.nan)], "flip": [("c", math.nan), ("d", math.nan)]}) == {}


def test_a_report_tells_of_the_same_weights_where_it_compares_and_in_the_end() -> None:
    runs = frame({"base": [("a", 0.1), ("b", 0.2)], "flip": [("a", 0.1), ("b", 0.2)]})
    made = report(Records(results(study("base", "flip"), runs)))
    assert [finding.code for finding in made.findings] == ["same-weights"]
    (compared,) = made.sections[1].comparisons
    assert compared.cautions[0] == (
        "Both end with the same weights with every seed: what differs between them had no effect."
    )


# --- real runs ---------------------------------------------------------------------------------------------------


def trained(file: Path, changes: Changes) -> Records:
    store = Path("store").resolve()
    assert (
        run_study(Options(file, store, Path("data").resolve(), changes, (), "cpu"), RunOptions(jobs=1), Inline()) == 0
    )
    return read_records(*find_study(Store(store), "tiny", changes.pilot))


@pytest.fixture
def variants(study_file: Path) -> Path:
    """The tiny study with a variant that changes nothing, and one that trains longer."""
    text = (
        study_file.read_text()
        + """
[[variant]]
name = "never flipped"
from = "baseline"
add = { augmentation = [{ use = "flip", p = 0.0 }] }
[[variant]]
name = "longer"
from = "baseline"
set = { epochs = 3 }
"""
    )
    study_file.write_text(text)
    return study_file


@pytest.fixture
def study_file(request: pytest.FixtureRequest) -> Path:
    """The study of `conftest`, whose name a function here has."""
    return Path(request.getfixturevalue("study"))


def test_an_augmentation_that_never_happens_is_told_at_the_end_of_the_run_and_in_the_report(
    variants: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report(trained(variants, Changes()))
    told = {finding.code: finding.where for finding in made.findings}
    assert told["same-weights"] == "baseline, never flipped"
    assert "serious: baseline, never flipped: their runs with every seed end with the same weights" in (
        " ".join(capsys.readouterr().err.split())
    )


def test_a_pilot_is_told_as_it_was_trained(variants: Path) -> None:
    made = report(trained(variants, Changes(pilot=True)))
    assert {row.epochs for row in made.table.rows} == {1}
    longer = made.sections[3]
    assert longer.changes == ()
    assert longer.comparisons == ()
    assert made.comparisons == ()
    assert "unequal-epochs" not in {finding.code for finding in made.findings}
