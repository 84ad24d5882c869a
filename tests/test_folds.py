"""Cross-validation: which images each fold tests, what a seed names, and statistics that know what folds share."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

import ablate as library
from ablate.components.datasets import Split, facts_of
from ablate.components.discover import discover
from ablate.data.images import cut_rows
from ablate.errors import InputError, StudyError
from ablate.launch.study import open_study
from ablate.metrics import METRICS
from ablate.stats.contrasts import CellValues
from ablate.stats.estimates import estimate
from ablate.stats.family import How, compare_all
from ablate.stats.methods import overlap
from ablate.stats.power import MOST_FURTHER, Planned, further_seeds, power, smallest_detectable
from ablate.stats.spread import spread_within_folds
from ablate.store.store import Store
from ablate.study.counts import count_splits
from ablate.study.cut import Cut
from ablate.study.folds import FoldSizes, check_folds, fold_of_each
from ablate.study.resolve import resolve_study
from ablate.study.splits import Splits
from ablate.study.toml import Changes, parse_study
from ablate.tune.space import tasks
from tests.support import Draws, KilledError, ablate, options, planned, run_here

if TYPE_CHECKING:
    from ablate.study.comparisons import UsedMethod
    from tests.conftest import Write

pytestmark = pytest.mark.usefixtures("folder")
LABELS = load_digits().target.astype(np.int64)
DIGESTS = ["26e20ca2df81", "9def9ae0a2d2"]
IN_FOLDS = """
[study]
name = "digits"
folds = 3
[baseline]
epochs = 1
batch_size = 16
dataset = { use = "digits", validation = 0.1, train = 300 }
model = { use = "simple-cnn", width = 4, hidden = 16 }
optimizer = { use = "adam", lr = 1e-2 }
precision = "fp32"
[[variant]]
name = "slow"
set = { "optimizer.lr" = 1e-3 }
"""


def in_folds(text: str = IN_FOLDS, **changes: Any) -> Path:
    study = Path("digits.toml")
    for name, value in changes.items():
        text = text.replace("folds = 3", f"folds = 3\n{name} = {value}")
    study.write_text(text)
    return study


def told(text: str, **changes: Any) -> str:
    """Return the problems of a study."""
    reading = parse_study(text, Path("digits.toml"), Changes(**changes))
    with pytest.raises(StudyError) as found:
        resolve_study(reading, discover(), Path("data"), {})
    return str(found.value)


# The folds


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_test_each_image_once_and_keep_the_classes_as_scikit_learn_does(folds: int) -> None:
    for repetition in (0, 1):
        fold = fold_of_each(LABELS, folds, repetition)
        ours = np.array([np.bincount(LABELS[fold == one], minlength=10) for one in range(folds)])
        theirs = np.array([np.bincount(LABELS[test]) for _, test in StratifiedKFold(folds).split(LABELS, LABELS)])
        assert (np.sort(ours, 0) == np.sort(theirs, 0)).all()
        assert np.ptp(ours.sum(1)) <= 1
    assert (fold_of_each(LABELS, folds, 0) != fold_of_each(LABELS, folds, 1)).mean() > 0.4


def test_folds_are_the_same_on_every_machine() -> None:
    """Other folds would be other runs under the same keys."""
    groups = np.arange(len(LABELS)) // 7 % 83
    made = [fold_of_each(LABELS, 5, 1).astype("<i8"), fold_of_each(LABELS, 5, 1, groups).astype("<i8")]
    assert [hashlib.sha256(one.tobytes()).hexdigest()[:12] for one in made] == DIGESTS


@pytest.mark.parametrize("seed", range(4))
def test_groups_stay_whole_in_folds_as_even_as_those_of_scikit_learn(seed: int) -> None:
    draw = np.random.RandomState(seed)
    groups = draw.geometric(0.05, 2000)  # few large ones and many small ones
    labels = (groups % 3 + draw.randint(0, 2, 2000)) % 3
    fold = fold_of_each(labels, 5, seed, groups)
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups.tolist()))
    theirs = np.empty_like(fold)
    for one, (_, test) in enumerate(StratifiedGroupKFold(5).split(labels, labels, groups)):
        theirs[test] = one

    def uneven(folds: Any) -> float:
        counts = np.array([np.bincount(labels[folds == one], minlength=3) for one in range(5)])
        return float((counts / counts.mean(0)).std())

    assert uneven(fold) <= uneven(theirs) + 0.03
    assert set(fold) == set(range(5))


def split(labels: Any, groups: Any = None) -> Split:
    return Split(np.zeros((len(labels), 1, 1, 1), np.uint8), np.asarray(labels, np.int64), groups)


def test_a_fold_is_tested_and_validation_comes_out_of_the_others() -> None:
    loaded = {"train": split(LABELS), "test": split(LABELS[:100])}
    tested = []
    for turn in range(5):
        counted = count_splits(facts_of(loaded), Splits(validation=0.1, folds=5, turn=turn))
        rows = cut_rows(loaded, counted)
        assert {name: len(part) for name, (_, part) in rows.items()} == {
            name: getattr(counted, name) for name in ("train", "validation", "test")
        }
        every = np.concatenate([part for _, part in rows.values()])
        assert sorted(every.tolist()) == list(range(len(LABELS)))
        assert {of for of, _ in rows.values()} == {"train"}
        tested += rows["test"][1].tolist()
    assert sorted(tested) == list(range(len(LABELS)))


def test_groups_are_in_no_two_splits_of_a_fold() -> None:
    groups = np.arange(len(LABELS)) // 9
    loaded = {"train": split(LABELS, groups), "test": split(LABELS[:10], np.arange(10))}  # its own test set is not used
    for turn in range(4):
        counted = count_splits(facts_of(loaded), Splits(validation=0.2, folds=4, turn=turn))
        rows = cut_rows(loaded, counted)
        of = [set(groups[part].tolist()) for _, part in rows.values()]
        assert len(set.union(*of)) == sum(map(len, of))
        assert all(getattr(counted, name) == len(part) for name, (_, part) in rows.items())


def test_a_cut_into_folds_is_said_in_words() -> None:
    facts = facts_of({"train": split(LABELS), "test": split(LABELS[:100])})
    turns = [count_splits(facts, Splits(validation=0.1, folds=5, turn=turn)) for turn in range(5)]
    cut = Cut.of(facts, turns[0], FoldSizes.of(facts, 5, turns))
    assert cut.text == (
        "5 folds of the 1,797 training images; its own test set of 100 images is not used; each: "
        "train 1,293 to 1,294, validation 144, test 359 to 360 images of 10 classes"
    )
    assert Cut.read(json.loads(json.dumps(cut.document()))) == cut
    estimated = Cut.of(replace(facts, labels={}), turns[0], FoldSizes.of(facts, 5, turns))
    assert (estimated.text, estimated.without) == (cut.text, {})
    assert "folds" not in Cut.of(facts, count_splits(facts, Splits())).document()


@pytest.mark.parametrize(
    ("labels", "groups", "folds", "text"),
    [
        ([0, 0, 1, 1], None, 5, "folds = 5 is more than the 4 training images\ntake at most 4"),
        ([0] * 9 + [1] * 2, None, 3, "folds = 3 is more than the 2 images of class 1: some fold would test none"),
        ([0, 1] * 9, np.arange(18) // 6, 4, "folds = 4 is more than the 3 groups, which stay whole\ntake at most 3"),
    ],
)
def test_more_folds_than_there_is_to_cut_are_refused(labels: Any, groups: Any, folds: int, text: str) -> None:
    facts = facts_of({"train": split(labels, groups)})
    with pytest.raises(InputError, match=text):
        check_folds(facts, folds)
    if groups is None:
        with pytest.raises(InputError, match=text):
            check_folds(replace(facts, labels={}), folds)


# What a study says


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("folds = 1", "1 is not an integer from 2 to 1000"),
        ('folds = "five"', '"five" is not an integer from 2 to 1000'),
        (
            "folds = 3\nseeds = 4",
            "4 seeds are no whole repetitions of 3 folds: each seed is one fold accepts seeds = 3",
        ),
        (
            "folds = 3\nseeds = [0, 1, 4]",
            "seed 2, fold 2 of repetition 0, is missing accepts seeds = [0, 1, 2, 3, 4, 5]",
        ),
        ("folds = 3\nseeds = { min = 3, max = 9 }", "folds share training data"),
        ("folds = 3\nmetric = 'validation/accuracy'", "compare on a test metric"),
        ("folds = 3\nseeds = []", "no seed is named"),
        ("folds = 1000000000000000000", "is not an integer from 2 to 1000"),
        ("folds = 200", "more than the 139 images of class 8"),
    ],
)
def test_folds_that_cannot_be_are_told_before_anything_runs(line: str, text: str) -> None:
    assert text in " ".join(told(IN_FOLDS.replace("folds = 3", line)).split())


def test_what_folds_leave_no_room_for_is_refused() -> None:
    assert "test = 0.2 stands beside folds" in told(IN_FOLDS.replace("train = 300", "test = 0.2"))
    method = told(IN_FOLDS + "\n[compare]\nmethod = 'welch'")
    assert "takes runs to be independent, and folds share training images" in method
    assert "accepts seeds = 3 or seeds = 6" in " ".join(told(IN_FOLDS, seeds=(0, 1, 2, 3)).split())


def test_a_seed_names_a_fold_of_a_repetition() -> None:
    specs, _ = planned(in_folds(seeds=6))
    assert [(s.seed, s.recipe.splits.fold, s.recipe.splits.repetition) for s in specs[::2]] == [
        (0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 0, 1), (4, 1, 1), (5, 2, 1)
    ]  # fmt: skip
    assert specs[7].identity["dataset"]["splits"] == {
        "train": 300, "validation": 96, "test": 479, "folds": 3, "turn": 3
    }  # fmt: skip
    assert len({spec.key for spec in specs}) == 12


def test_folds_are_in_what_results_are_found_by() -> None:
    """Results of a study without folds are not those of one with them, nor the other way round."""
    study = in_folds(IN_FOLDS.replace("folds = 3", "seeds = 3"))
    draws(study)
    in_folds()
    assert "this is the study as it was run" in ablate("report", "digits", "--format", "json").stderr
    assert "dataset.folds none → 3" in ablate("plan", study).stdout


def draws(study: Path, **how: Any) -> Draws:
    from ablate.commands.run import run_study
    from ablate.launch.make import RunOptions

    made = Draws({}, **how)
    run_study(options(study), RunOptions(jobs=1), made)
    return made


# Statistics


def values(seed: int = 0, runs: int = 10, effect: float = 0.0) -> dict[str, dict[int, float]]:
    draw = np.random.default_rng(seed)
    fold = draw.normal(0.9, 0.02, runs)
    return {
        name: dict(enumerate((fold + shift + draw.normal(0, 0.01, runs)).tolist()))
        for name, shift in (("a", 0.0), ("b", effect))
    }


def test_differences_of_folds_have_the_corrected_t_of_nadeau_and_bengio() -> None:
    samples = values(effect=0.008)
    how = How(METRICS["test/accuracy"], "corrected", 0.005, folds=5)
    (found,) = compare_all(samples, [("b", "a")], how)
    each = np.array([samples["b"][seed] - samples["a"][seed] for seed in range(10)])
    error = math.sqrt((1 / 10 + 1 / 4) * each.var(ddof=1))
    assert found.standard_error == pytest.approx(error)
    assert found.df == 9
    assert found.p == pytest.approx(2 * stats.t.sf(abs(each.mean()) / error, 9))
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 9, each.mean(), error))
    assert found.p_equivalence == pytest.approx(stats.t.cdf((each.mean() - 0.005) / error, 9))
    (plain,) = compare_all(samples, [("b", "a")], replace(how, method="paired", folds=None))
    assert plain.p == pytest.approx(stats.ttest_rel(list(samples["b"].values()), list(samples["a"].values())).pvalue)
    assert found.p is not None
    assert plain.p is not None
    assert found.p > plain.p


def test_the_corrected_test_keeps_its_word_where_the_ordinary_one_is_far_too_sure() -> None:
    """Real cross-validation, five times over, of the nearest mean on two blocks of features that are equally good."""
    draw, studies = np.random.default_rng(0), 100
    alarms: dict[int | None, int] = {None: 0, 5: 0}
    ways: tuple[tuple[int | None, UsedMethod], ...] = ((None, "paired"), (5, "corrected"))
    for _ in range(studies):
        labels = draw.integers(0, 2, 120)
        blocks = draw.normal(size=(2, 120, 3)) + 0.6 * labels[:, None]
        samples: dict[str, dict[int, float]] = {"a": {}, "b": {}}
        for turn in range(25):
            tested = fold_of_each(labels, 5, turn // 5) == turn % 5
            for name, x in zip(samples, blocks, strict=True):
                means = [x[~tested & (labels == label)].mean(0) for label in (0, 1)]
                nearer = ((x - means[1]) ** 2).sum(1) < ((x - means[0]) ** 2).sum(1)
                samples[name][turn] = float((nearer == labels)[tested].mean())
        for folds, method in ways:
            (one,) = compare_all(samples, [("b", "a")], How(METRICS["test/accuracy"], method, folds=folds))
            alarms[folds] += one.p is not None and one.p < 0.05
    assert alarms[5] <= 0.07 * studies
    assert alarms[None] >= 0.25 * studies


def test_a_mean_over_folds_has_the_corrected_interval() -> None:
    known = np.array(list(values()["a"].values()))
    error = known.std(ddof=1) * math.sqrt(1 / 10 + 1 / 4)
    found = estimate(known, overlap=overlap(5))
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 9, known.mean(), error))


def test_effects_of_folds_are_tested_as_the_differences_that_they_are() -> None:
    """A factorial of one factor is a comparison, and gives the same."""
    samples = values(effect=0.01)
    how = How(METRICS["test/accuracy"], "corrected", 0.005, folds=5)
    on, off = frozenset({"x"}), frozenset[str]()
    found = CellValues(how, {off: "a", on: "b"}, samples).contrast({on: 1.0, off: -1.0})
    (same,) = compare_all(samples, [("b", "a")], how)
    assert (found.standard_error, found.df, found.p_alone) == pytest.approx(
        (same.standard_error, same.df, same.p_alone)
    )


def test_more_repetitions_stop_helping() -> None:
    planned = Planned("corrected", 2, folds=5)
    assert further_seeds(0.02, 0.01, 5, planned) == MOST_FURTHER + 1
    assert further_seeds(0.019, 0.01, 5, planned) == 0  # no number of them would be enough
    few = further_seeds(0.03, 0.01, 5, planned)
    assert few is not None
    assert few % 5 == 0  # whole repetitions
    assert power(0.03, 0.01, 5 + few, planned) >= 0.8 > power(0.03, 0.01, few, planned)
    least = [smallest_detectable(0.01, runs, planned) or 0.0 for runs in (5, 10, 1000)]
    assert least == sorted(least, reverse=True)
    assert least[-1] == pytest.approx(0.0198, abs=1e-4)


def test_the_spread_of_folds_is_without_what_a_fold_does_to_all_variants() -> None:
    samples = values(3, 400)
    found = spread_within_folds(samples.values())
    assert found is not None
    assert found[0] == pytest.approx(0.01, rel=0.1)
    apart = np.array(list(samples["a"].values())) - np.array(list(samples["b"].values()))
    assert found[0] == pytest.approx(apart.std(ddof=1) / math.sqrt(2))
    assert spread_within_folds([samples["a"]]) is None


# Runs, from the file to the report


@pytest.fixture
def made() -> library.Results:
    study = in_folds(seeds=6)
    assert run_here(study) == 0
    return library.results("digits")


@pytest.mark.slow
def test_every_image_is_tested_once_in_each_repetition(made: library.Results) -> None:
    home = Store(Path("ablate-store").resolve())
    folders = {(row["variant"], row["seed"]): home.run(row["key"]) for row in made.runs.to_dict("records")}
    kept = {run: folder.predictions(folder.result() or {})["test"] for run, folder in folders.items()}
    labels = next(iter(discover().get("dataset", "digits").build(Path("data"), settings={}).load().items()))[1].labels
    for variant in ("baseline", "slow"):
        for repetition in (0, 3):
            parts = [kept[variant, repetition + fold] for fold in range(3)]
            rows = np.concatenate([part.rows for part in parts])
            assert sorted(rows.tolist()) == list(range(len(labels)))
            assert (labels[rows] == np.concatenate([part.labels for part in parts])).all()
    images = made.images("slow")
    assert (images.images, images.folds, [pair.seed for pair in images.pairs]) == (len(labels), 3, [0, 1])
    both = {
        name: sum(kept[name, seed].right.sum() for seed in range(6)) / 2 / len(labels) for name in ("baseline", "slow")
    }
    assert images.difference == pytest.approx(both["slow"] - both["baseline"])
    found = made.comparison("slow")
    assert (found.method, found.df, found.n) == ("corrected", 5, 6)
    assert (made.data("slow", folder="data", seed=4).labels.numpy() == kept["slow", 4].labels).all()

    assert ablate("report", "digits", "--format", "md,json,csv").exit_code == 0
    text = Path("reports/digits/report.md").read_text()
    for said in (
        "validated by 3-fold cross-validation, 2 repetitions",
        "Our numbers are means over 6 folds (3-fold cross-validation, 2 repetitions); the interval is Student’s t, co",
        "3 folds of the 1,437 training images; its own test set of 360 images is not used",
        "the variance of a mean is s² (1/J + 1/2)",
        "on average over 2 repetitions",
        "`nadeau2003inference`",
    ):
        assert said in text
    assert "paired seeds" not in text
    document = json.loads(Path("reports/digits/report.json").read_text())
    assert document["methods"]["folds"] == 3
    lines = Path("reports/digits/runs.csv").read_text().splitlines()
    assert lines[0].startswith("variant,seed,folds,fold,repetition,")
    assert lines[-1].startswith("slow,5,3,2,1,")
    assert "5 (fold 2, repetition 1)" in ablate("status", "digits").stdout


def test_a_study_in_folds_that_is_interrupted_goes_on() -> None:
    study = in_folds()
    with pytest.raises(KilledError):
        draws(study, stops_after=3)
    assert len(draws(study).made) == 3
    assert "6 of 6 runs done" in ablate("report", "digits", "--format", "json").stderr


def test_a_fold_that_failed_is_left_out_on_both_sides() -> None:
    study = in_folds()
    draws(study, fails={("slow", 1)})
    found = library.results("digits").comparison("slow")
    assert (found.n, found.df, found.left_out) == (2, 1, (1,))
    assert ablate("verdict", "digits", "--method", "welch").exit_code == 2


# Tuning

TUNED = IN_FOLDS + '\n[tune]\ntrials = 2\nsettings = { "optimizer.lr" = { low = 1e-3, high = 1e-1 } }\n'


def test_tuning_within_folds_is_admitted_or_refused() -> None:
    refused = ablate("tune", in_folds(TUNED))
    assert refused.exit_code == 2
    assert "images that other folds test" in refused.stderr


def test_a_trial_sees_neither_its_fold_nor_another_cut() -> None:
    study = in_folds(TUNED + "steers_by_test = true\n")
    loaded = open_study(options(study))
    task = tasks(loaded.reading, loaded.study, loaded.registry, ())[0]
    trial, final = task.spec({"optimizer.lr": 0.01}), loaded.specs[0]
    assert trial.seed == 1000
    assert trial.recipe.splits == replace(final.recipe.splits, test=-479)  # fold 0 of repetition 0, and not shown


# Tasks

FOREST = '''
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold

from ablate import Count, Metric, Run, task


@task("wine", metrics=[Metric("test/share", direction="maximize", unit="percent")])
def wine(run: Run, *, depth: Count = 3, blind: bool = False) -> dict[str, float]:
    """Forests on wines."""
    data, labels = load_wine(return_X_y=True)
    if blind:
        return {"test/share": 0.5}
    cut = StratifiedKFold(run.folds, shuffle=True, random_state=run.repetition).split(data, labels)
    train, test = list(cut)[run.fold]
    (run.folder / "tested").write_text(" ".join(map(str, test)))
    model = RandomForestClassifier(5, max_depth=depth, random_state=run.seed).fit(data[train], labels[train])
    return {"test/share": float(model.score(data[test], labels[test]))}
'''
WINE = """
[study]
name = "wine"
folds = 4
seeds = 8
metric = "test/share"
[baseline]
task = { use = "wine" }
[[variant]]
name = "deeper"
set = { "task.depth" = 6 }
"""


def test_a_task_cuts_its_own_data_by_the_fold_of_its_run(write: Write) -> None:
    write("plugins/wine.py", FOREST)
    study = write("studies/wine.toml", WINE)
    assert run_here(study) == 0
    home, results = Store(Path("ablate-store").resolve()), library.results("wine")
    keys = {(row["variant"], row["seed"]): row["key"] for row in results.runs.to_dict("records")}
    for first in (0, 4):
        parts = [(home.run(keys["deeper", first + fold]).path / "files" / "tested").read_text() for fold in range(4)]
        assert sorted(int(one) for part in parts for one in part.split()) == list(range(178))
    identity = (home.run(keys["baseline", 6]).spec() or {})["identity"]
    assert (identity["folds"], identity["turn"]) == (4, 6)
    found = results.comparison("deeper")
    assert (found.method, found.df) == ("corrected", 7)
    assert ablate("report", "wine", "--format", "md").exit_code == 0
    assert "4-fold cross-validation, 2 repetitions" in Path("reports/wine/report.md").read_text()


def test_a_task_that_does_not_ask_for_its_fold_fails(write: Write) -> None:
    write("plugins/wine.py", FOREST)
    assert run_here(write("studies/wine.toml", WINE), "baseline.task.blind=true") == 1
    assert "did not ask for run.fold" in ablate("status", "wine").stdout


COMMAND = """
[study]
name = "program"
folds = 2
metric = "test/f1"
direction = "maximize"
[baseline]
task = { use = "command", command = ["{python}", "train.py", "FOLD", "{lr}"], lr = 0.5 }
[[variant]]
name = "larger"
set = { "task.lr" = 0.75 }
"""


def test_a_program_is_told_its_fold(write: Write) -> None:
    write("studies/train.py", PROGRAM)
    study = write("studies/program.toml", COMMAND.replace("FOLD", "{fold}"))
    assert run_here(study) == 0
    runs = library.results("program").runs
    assert sorted(runs["test/f1"].tolist()) == pytest.approx([0.5, 0.6, 0.75, 0.85])


PROGRAM = """
import json, sys
print(json.dumps({"test/f1": float(sys.argv[1]) / 10 + float(sys.argv[2])}))
"""


def test_a_program_that_is_not_told_its_fold_is_refused(write: Write) -> None:
    write("studies/train.py", PROGRAM)
    every = write("studies/program.toml", COMMAND.replace("FOLD", "1"))
    assert "{fold} is in no placeholder" in ablate("plan", every).stderr
    none = write("studies/program.toml", COMMAND.replace("FOLD", "{fold}").replace("folds = 2", ""))
    assert "this one has none" in ablate("plan", none).stderr


# Tables of other runs


def test_a_table_with_a_column_of_folds_is_compared_as_folds_are() -> None:
    samples = values(effect=0.008)
    rows: list[dict[str, Any]] = [
        {"variant": name, "repetition": seed // 5, "fold": seed % 5, "accuracy": value}
        for name, of in samples.items()
        for seed, value in of.items()
    ]
    found = library.compare(rows, reference="a")
    (whole,) = compare_all(samples, [("b", "a")], How(METRICS["test/accuracy"], "corrected", folds=5))
    assert (found.comparisons[0].method, found.comparisons[0].n) == ("corrected", 10)
    assert found.comparisons[0].p == pytest.approx(whole.p)
    assert "10 folds" in repr(found)
    as_ours = [{"seed": 5 * row["repetition"] + row["fold"], "folds": 5, **row} for row in rows]
    assert library.compare(as_ours, reference="a").comparisons[0].p == pytest.approx(whole.p)
    with pytest.raises(InputError, match="folds share training images"):
        library.compare(rows, reference="a", method="welch")
    alone = [{**row, "fold": 0} for row in rows[::5]]  # one fold is none
    assert library.compare(alone, reference="a", seed="repetition").comparisons[0].method != "corrected"


def test_runs_of_a_table_are_paired_by_their_fold_and_not_by_a_seed_that_names_others() -> None:
    samples = values(effect=0.008)
    (whole,) = compare_all(samples, [("b", "a")], How(METRICS["test/accuracy"], "corrected", folds=5))
    rows = [
        {"variant": name, "seed": seed if name == "a" else (seed + 1) % 10, "fold": seed % 5, "accuracy": value}
        for name, of in samples.items()
        for seed, value in of.items()
    ]
    named = [{**row, "repetition": place % 10 // 5} for place, row in enumerate(rows)]
    assert library.compare(named, reference="a").comparisons[0].p == pytest.approx(whole.p)
    with pytest.raises(InputError, match="no variant has a fold in common with 'a'"):
        library.compare(rows, reference="a")


@pytest.mark.parametrize(
    ("folds", "text"), [([5, 5, 5, 50], "says 50 here and 5 before"), ([2] * 4, "'fold' names 4 different ones")]
)
def test_a_table_that_contradicts_itself_on_folds_is_refused(folds: list[int], text: str) -> None:
    rows = [
        {"variant": name, "fold": fold, "folds": folds[fold], "accuracy": 0.5 + 0.01 * fold}
        for name in "ab"
        for fold in range(4)
    ]
    with pytest.raises(InputError, match=text):
        library.compare(rows)
