"""Class by class: what moved most between two variants, how sure that is, and images that changed sides."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ablate.components.datasets import Split, facts_of
from ablate.data.arrays import keep_arrays
from ablate.data.class_names import CLASS_NAMES, known_names
from ablate.data.kept_images import evaluated_images, kept_of
from ablate.data.predictions import Predicted
from ablate.report.class_text import class_sentences, pictures_said
from ablate.report.classes import changed_classes, enlarged, sheet, spread
from ablate.report.content import Records, report
from ablate.report.figures_classes import class_data
from ablate.stats.class_changes import class_changes, class_comparison
from ablate.stats.results import Results
from ablate.study.splits import Splits
from tests.support import ablate, run_here
from tests.worded import worded

from .test_report_answer import study_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LABELS = np.repeat(np.arange(4), 25)


def results(found: Mapping[str, list[NDArray[Any]]], names: tuple[str, ...] = ()) -> Results:
    """A study whose runs took the images for these classes, by variant and seed."""
    made = study_of({name: [float((one == LABELS).mean()) for one in of] for name, of in found.items()})
    keyed = {f"{made.study.name} {name} {seed}": one for name, of in found.items() for seed, one in enumerate(of)}

    def load(key: str) -> dict[str, Predicted]:
        logits = np.full((len(LABELS), 4), -5, np.float16)
        logits[np.arange(len(LABELS)), keyed[key]] = 0
        return {"test": Predicted(logits, LABELS)}

    return Results(made.study, made.runs, made.epochs, load=load, class_names=names)


def taken(wrong: Mapping[int, int], count: int, first: int = 0) -> NDArray[Any]:
    """All right, but `count` images of some classes, from the first one on, are taken for others."""
    made = LABELS.copy()
    for label, other in wrong.items():
        made[np.flatnonzero(label == LABELS)[first : first + count]] = other
    return made


def moved() -> Results:
    """The second variant recognises all of class 1, of which the first takes ten for class 3; and loses two others."""
    before = [taken({1: 3}, 10), taken({1: 3}, 11), taken({1: 3}, 10)]
    after = [taken({0: 2}, 1), taken({0: 2}, 1), taken({0: 2}, 1)]
    return results({"a": before, "b": after}, ("ant", "bee", "cow", "doe"))


def test_what_moved_most_is_named_with_how_sure_it_is() -> None:
    found = class_comparison(moved(), "b", "a")
    assert found
    first = found.better[0]
    assert (first.name, first.images, first.after, first.shown) == ("bee", 25, 1.0, True)
    assert first.change == pytest.approx(31 / 75)
    assert [one.name for one in found.worse] == ["ant"]
    rarer = found.rarer[0]
    assert (rarer.name, rarer.taken_for_name, rarer.after, rarer.every_seed) == ("bee", "doe", 0.0, True)
    assert (found.tested, found.shown_better, found.images, found.seeds) == (4, 1, 100, (0, 1, 2))


def test_the_sentences_name_what_is_shown() -> None:
    (changed,) = changed_classes(moved(), None)
    said = " ".join(class_sentences(changed)).replace("\xa0", " ")
    assert "The largest gain: bee (+41.3 points, 58.7 to 100.0 %, p < 0.001)." in said
    assert "Taken for another class less often, with every seed: bee for doe (10.3 to 0.0 of 25 images)." in said
    assert said.endswith("Of 100 images b alone recognises 10, a alone 1, with every seed.")
    assert (changed.pictures, changed.no_pictures) == ((), "")


def test_a_confusion_counts_from_one_image_in_the_text_and_in_the_figure() -> None:
    before, after = [taken({1: 3}, 1), taken({}, 0), taken({}, 0)], [taken({0: 2}, 1)] * 3
    made = report(Records(results({"a": before, "b": after}, ("ant", "bee", "cow", "doe"))))
    (changed,) = made.classes
    assert [(one.name, one.counts) for one in (*changed.result.rarer, *changed.result.commoner)] == [
        ("bee", False),
        ("ant", True),
    ]
    assert [row.name for row in class_data(made).confusions] == ["ant → cow"]
    said = " ".join(class_sentences(changed))
    assert "Taken for another class more often, with every seed: ant for cow" in said
    assert "less often" not in said


def test_one_seed_tells_no_class_from_chance() -> None:
    single = results({"a": [taken({1: 3}, 10)], "b": [taken({0: 2}, 1)]})
    found = class_comparison(single, "b", "a")
    assert found
    assert found.better[0].p is None
    (changed,) = changed_classes(single, None)
    assert class_sentences(changed)[0] == "One seed does not tell which classes changed: what follows may be chance."


def test_classes_are_their_numbers_where_nobody_names_them() -> None:
    found = class_comparison(results({"a": [taken({1: 3}, 9)] * 2, "b": [taken({0: 2}, 1)] * 2}), "b", "a")
    assert found
    assert found.better[0].name == "1"


def test_variants_without_predictions_are_left_out() -> None:
    assert changed_classes(study_of({"a": [0.1, 0.2], "b": [0.2, 0.3]}), None) == ()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_two_variants_that_are_the_same_show_a_class_in_at_most_one_of_twenty_studies(seeds: int) -> None:
    """50 classes of 100 images, some easy and some hard; in every other one most are always right or always wrong."""
    draw, studies, alarms = np.random.default_rng(1), 400, 0
    labels = np.repeat(np.arange(50), 100)
    chance = np.repeat(np.linspace(0.3, 0.97, 50), 100)
    fixed = (labels % 2 == 1) & (np.arange(5000) % 100 < 70)
    always = draw.random(5000) < chance
    for _ in range(studies):
        right = np.where(fixed, always, draw.random((2, seeds, 5000), np.float32) < chance)
        changes = class_changes(labels, right[0], right[1], [str(label) for label in range(50)])
        alarms += any(one.shown for one in changes)
    assert alarms <= 0.07 * studies  # 5 %, and two standard errors of so many studies


def test_images_that_changed_sides_are_shown_crisp_with_what_they_were_taken_for() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    (changed,) = changed_classes(moved(), lambda _key, _split, _labels: images)
    sides = [one.side for one in changed.pictures]
    assert (sides.count("gained"), sides.count("lost")) == (6, 1)
    first = changed.pictures[0]
    assert (first.name, first.taken_for, first.width, first.height) == ("bee", "doe", 96, 96)
    shown = np.asarray(Image.open(io.BytesIO(first.png)))
    assert (shown[::3, ::3] == np.moveaxis(images[first.place], 0, 2)).all()
    assert (shown == np.repeat(np.repeat(shown[::3, ::3], 3, 0), 3, 1)).all()


def test_a_sheet_has_a_row_of_images_for_each_side_and_words_for_them(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    results = moved()
    (changed,) = changed_classes(results, lambda _key, _split, _labels: images)
    made = np.asarray(Image.open(io.BytesIO(sheet(changed.pictures))))
    assert made.shape == (2 * 96 + 6, 6 * 96 + 5 * 6, 3)
    first = np.asarray(Image.open(io.BytesIO(changed.pictures[0].png)))
    assert (made[:96, :96] == first).all()
    above, below = pictures_said(changed)
    assert above.startswith(f"Above, right in {changed.result.candidate} alone with every seed: bee, taken for doe")
    assert below.startswith(f"Below, right in {changed.result.reference} alone with every seed: ")
    worded(Records(results, pictures=lambda _key, _split, _labels: images), ["md", "tex"], tmp_path)
    assert "recognises with every seed](figures/images-1.png)" in (tmp_path / "report.md").read_text()
    assert "{figures/images-1.png}" in (tmp_path / "parts" / "classes.tex").read_text()
    assert (tmp_path / "figures" / "images-1.png").read_bytes() == sheet(changed.pictures)


def test_without_the_data_one_line_says_so() -> None:
    (changed,) = changed_classes(moved(), lambda _key, _split, _labels: None)
    assert changed.pictures == ()
    assert changed.no_pictures.startswith("No images are shown: the decoded data of these runs is not on the machine")


def test_a_grey_image_and_a_large_one_are_shown_as_they_are() -> None:
    assert enlarged(np.zeros((1, 8, 8), np.uint8))[1:] == (96, 96)
    assert enlarged(np.zeros((3, 200, 120), np.uint8))[1:] == (120, 200)


def test_classes_take_turns_among_the_images() -> None:
    assert spread(np.array([0, 1, 2, 30, 55]), LABELS) == [0, 30, 55, 1, 2]


def test_kept_arrays_are_found_by_their_fingerprint_and_only_for_the_labels_they_have(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 1, 4, 4), dtype=np.uint8)
    splits = {"train": Split(images, LABELS), "test": Split(images[:40], LABELS[:40])}
    facts = facts_of(splits)
    (tmp_path / "deep").mkdir()
    keep_arrays(splits, facts, tmp_path / "deep" / "place")
    kept = kept_of(facts.fingerprint, tmp_path)
    assert kept
    assert kept_of("another", tmp_path) is None
    assert kept_of("another", tmp_path / "absent") is None
    cut = Splits(60, 40, 40)
    found = evaluated_images(kept, cut, "test", LABELS[:40])
    assert found is not None
    assert len(found) == 40
    assert all((found[place] == images[place]).all() for place in range(40))
    assert evaluated_images(kept, cut, "test", LABELS[1:41][::-1]) is None
    assert evaluated_images(kept, cut, "absent", LABELS[:40]) is None


def test_the_names_of_downloaded_datasets() -> None:
    assert [len(names) for names in CLASS_NAMES.values()] == [10, 100, 10]
    assert known_names("cifar100", 100)[47] == "maple tree"
    assert known_names("cifar100", 10) == known_names("mine", 10) == ()


def test_a_report_of_real_runs_shows_images_unless_it_is_told_not_to(study: Path) -> None:
    text = study.read_text(encoding="utf-8")
    assert run_here(study) == 0, text
    assert ablate("report", study, "--out", "with").exit_code == 0
    assert ablate("report", study, "--out", "without", "--no-images").exit_code == 0
    shown, hidden = (Path(place, "report.html").read_text(encoding="utf-8") for place in ("with", "without"))
    assert "Class by class" in shown
    assert 'class="pictures"' not in hidden
