"""Variants image by image, by class, and the noise of a finite test set."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ablate as library
from ablate.data.predictions import Predicted
from ablate.report.image_text import image_by_image
from ablate.stats.classes import confusion
from ablate.stats.images import ImageComparison, compare_images, mcnemar
from ablate.store.store import Store
from tests.support import ablate, run_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORE = Path("ablate-store")


def right(text: str) -> NDArray[np.bool_]:
    return np.array([sign == "x" for sign in text])


def compared(ours: dict[int, NDArray[np.bool_]], theirs: dict[int, NDArray[np.bool_]]) -> ImageComparison:
    found = compare_images(("cutout", ours), ("base", theirs))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (1, 0), (0, 5), (3, 3), (7, 2), (12, 30), (250, 301), (1, 4000), (5000, 5210)]
)
def test_mcnemar_is_that_of_statsmodels(gained: int, lost: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    wanted = theirs([[40, gained], [lost, 9]], exact=True).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(wanted, abs=1e-9)


def test_a_worked_example_of_two_seeds() -> None:
    found = compared(
        {0: right("xxx..x"), 1: right("xx..xx")}, {1: right("x...xx"), 0: right("x.x.xx"), 7: right("......")}
    )
    assert [(pair.seed, pair.gained, pair.lost) for pair in found.pairs] == [(0, 1, 1), (1, 1, 0)]
    assert [pair.p for pair in found.pairs] == [1.0, 1.0]
    assert (found.images, found.gained, found.lost) == (6, 1.0, 0.5)
    apart = [0, 1, 0, 0, -0.5, 0]  # of each image, on average over the seeds
    assert found.difference == pytest.approx(np.mean(apart))
    assert found.image_error == pytest.approx(np.std(apart, ddof=1) / math.sqrt(6))
    assert found.seed_error == pytest.approx(np.std([0.0, 1 / 6], ddof=1) / math.sqrt(2))
    assert found.larger == "images"
    assert found.within_image_noise


def test_one_seed_says_nothing_of_the_seeds_and_no_common_seed_nothing_at_all() -> None:
    found = compared({0: right("xxx.")}, {0: right("x...")})
    assert (found.seed_error, found.larger) == (None, "")
    assert compare_images(("a", {0: right("x")}), ("b", {1: right("x")})) is None
    with pytest.raises(ValueError, match="different numbers of images"):
        compared({0: right("xx")}, {0: right("x")})


def test_the_standard_error_of_the_test_images_covers() -> None:
    """Three seeds' networks are fixed, and test sets are drawn anew: the interval holds what all images would give."""
    draw, images, studies, seeds = np.random.default_rng(0), 400, 1500, 3
    easy = draw.beta(2, 1, (studies, images))  # how likely an image is recognised, by either
    gain = np.clip(easy + draw.normal(0.03, 0.1, easy.shape), 0, 1)
    truth = np.mean(np.clip(draw.beta(2, 1, 10**6) + draw.normal(0.03, 0.1, 10**6), 0, 1)) - 2 / 3
    covered = 0.0
    for mine, theirs in zip(gain, easy, strict=True):
        found = compared(
            {seed: draw.random(images) < mine for seed in range(seeds)},
            {seed: draw.random(images) < theirs for seed in range(seeds)},
        )
        covered += float(abs(found.difference - truth) < 1.96 * found.image_error)
    assert 0.935 < covered / studies < 0.965


def test_what_is_said_of_the_two_noises() -> None:
    few = compared({0: right("xxx..x"), 1: right("xx..xx")}, {0: right("x.x.xx"), 1: right("x...xx")})
    assert image_by_image(few).replace("\N{NO-BREAK SPACE}", " ") == (
        "Image by image: of 6 images cutout alone recognises 1.0, base alone 0.5, on average over 2 seeds "
        "(McNemar’s test by seed: p = 1, p = 1). The larger noise is that of the test images: as a standard error of "
        "the difference in accuracy, 20.07 points from the test images and 8.33 points from the seeds, and the "
        "difference is within what other test images alone may do."
    )
    one = compared({3: right("xxx.")}, {3: right("x...")})
    assert image_by_image(one).replace("\N{NO-BREAK SPACE}", " ") == (
        "Image by image: of 4 images cutout alone recognises 2, base alone 0 (seed 3) (McNemar’s test: p = 0.5). Other "
        "test images would move the difference in accuracy by 28.87 points (a standard error); how much other seeds "
        "would, one seed cannot tell."
    )
    same = compared({0: right("x.")}, {0: right("x.")})
    assert image_by_image(same) == "Image by image: both recognise the same of the 2 images, with every seed."
    told = image_by_image(replace(few, noun="example"))  # of a task, which may tell texts apart
    assert told.startswith("Example by example: of ")
    assert "image" not in told


def test_confusions_count_each_image_once() -> None:
    logits = np.array([[0, -1, -2], [-1, 0, -2], [-1, 0, -2], [-1, -2, 0]], np.float16)
    counts = confusion(Predicted(logits, np.array([0, 0, 1, 2], np.uint8)))
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


# Of a study


def made(study: Path, *replaced: tuple[str, str]) -> library.StudyResults:
    for old, new in replaced:
        study.write_text(study.read_text().replace(old, new))
    assert run_here(study) == 0
    return library.results(study, store=STORE)


def test_a_study_is_compared_image_by_image_and_by_class(study: Path) -> None:
    results = made(study, ("seeds = 2", "seeds = 3"))
    found = results.images("flipped")
    assert found is not None
    assert (found.candidate, found.reference, found.images) == ("flipped", "baseline", 16)
    assert found.difference == pytest.approx(results.comparison("flipped", metric="test/accuracy").mean, abs=1e-12)
    for pair, per_seed in zip(found.pairs, results.comparison("flipped", metric="test/accuracy").per_seed, strict=True):
        assert (pair.gained - pair.lost) / 16 == pytest.approx(per_seed, abs=1e-12)
    classes = results.classes
    whole = classes.groupby(["variant", "seed"])[["images", "right"]].sum()
    assert (whole["images"] == 16).all()
    stored = results.runs.set_index(["variant", "seed"])["test/accuracy"]
    assert (whole["right"] / 16).to_dict() == pytest.approx(stored.to_dict())
    confusions = results.confusions
    assert confusions.groupby(["variant", "seed"])["images"].sum().tolist() == [16] * 6
    hits = confusions[confusions["label"] == confusions["predicted"]].groupby(["variant", "seed"])["images"].sum()
    assert hits.to_dict() == whole["right"][whole["right"] > 0].to_dict()


def test_the_report_says_it_in_every_form_and_in_its_document(study: Path) -> None:
    results = made(study, ('"flip" }] }', '"flip" }] }\nset = { epochs = 6, optimizer = { use = "adam", lr = 0.03 } }'))
    assert ablate("report", "--format", "html,md,csv").exit_code == 0
    said = image_by_image(results.images("flipped"))  # type: ignore[arg-type]
    folder = Path("reports") / "tiny"
    for file in ("report.html", "report.md"):
        assert "Image by image: of 16 images flipped alone recognises" in (folder / file).read_text()
    assert said.split(" (McNemar")[0] in (folder / "report.md").read_text()
    (section,) = [section for section in results.document()["sections"] if section["name"] == "flipped"]
    (compared,) = section["comparisons"]
    assert compared["images"]["images"] == 16
    assert [pair["seed"] for pair in compared["images"]["pairs"]] == [0, 1]
    (told,) = json.loads(ablate("run", study, "--device", "cpu", "--json").stdout)["comparisons"]
    assert told["images"]["text"] == said
    assert told["images"]["larger"] in ("images", "seeds")
    assert told["images"]["pairs"] == compared["images"]["pairs"]
    rows = list(csv.DictReader((folder / "classes.csv").read_text().splitlines()))
    assert len(rows) == 4 * 2
    assert rows[0].keys() == {"variant", "seed", "class", "name", "images", "right", "accuracy"}


def test_runs_without_predictions_are_not_compared_image_by_image(study: Path) -> None:
    results = made(study, ('name = "tiny"', 'name = "tiny"\nkeep_predictions = false'))
    assert results.images("flipped") is None
    assert results.classes.empty
    assert results.confusions.empty
    assert ablate("report", "--format", "html,md,csv").exit_code == 0
    folder = Path("reports") / "tiny"
    assert "Image by image" not in (folder / "report.md").read_text()
    assert not (folder / "classes.csv").exists()


def test_only_seeds_with_predictions_of_both_are_compared(study: Path) -> None:
    results = made(study)
    rows = results.runs
    key = rows[(rows["variant"] == "flipped") & (rows["seed"] == 0)]["key"].iloc[0]
    (Store(STORE).run(str(key)).path / "predictions.npz").unlink()
    found = library.results(study, store=STORE).images("flipped")
    assert found is not None
    assert [pair.seed for pair in found.pairs] == [1]


def test_variants_on_other_images_are_not_compared_image_by_image(study: Path) -> None:
    other = '[[variant]]\nname = "other"\nset = { dataset = { use = "tiny", images = 40, validation = 4 } }\n'
    study.write_text(study.read_text() + other)
    results: Any = made(study, ('name = "tiny"\n', 'name = "tiny"\nmetric = "validation/loss"\n'))
    assert results.images("flipped").images == 16  # of the split that is compared
    assert results.images("other") is None


def test_what_a_run_predicted_is_read_from_python_or_the_reason_is_given(study: Path) -> None:
    results = made(study)
    found = results.predictions("flipped", seed=1)
    assert (found.logits.shape, found.labels.shape) == ((16, 2), (16,))
    runs = results.runs
    (stored,) = runs[(runs["variant"] == "flipped") & (runs["seed"] == 1)]["validation/accuracy"]
    assert results.predictions("flipped", 1, "validation").right.mean() == stored
    with pytest.raises(library.InputError, match=r"(?s)has no predictions of a split 'train'.*'validation', 'test'"):
        results.predictions("flipped", 0, "train")
    with pytest.raises(library.InputError, match="flipped: seed 9 is not stored"):
        results.predictions("flipped", 9)
    with pytest.raises(library.InputError, match="did you mean 'flipped'"):
        results.predictions("fliped")
    ablate("store", "clean", "--yes", "--predictions")
    with pytest.raises(library.InputError, match="baseline, seed 0: its predictions are not there"):
        results.predictions("baseline")
