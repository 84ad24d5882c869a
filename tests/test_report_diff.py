"""What changed, setting by setting."""

from __future__ import annotations

import dataclasses

from ablate.report.diff import Change, changes
from ablate.study.spec import Choice, Recipe

CROP, FLIP = Choice("random-crop", {"padding": 4}), Choice("flip")
OLD = Recipe(5, 128, Choice("digits"), Choice("cnn"), Choice("adam", {"lr": 0.001, "betas": [0.9, 0.999]}),
             augmentation=(CROP, FLIP))  # fmt: skip


def test_a_component_that_takes_anothers_place_is_told_with_its_settings() -> None:
    new = dataclasses.replace(OLD, optimizer=Choice("sgd", {"lr": 0.1, "momentum": 0.9}))
    assert changes(OLD, new) == (
        Change("changed", "optimizer", "adam", "sgd"),
        Change("changed", "optimizer: lr", "0.001", "0.1"),
        Change("removed", "optimizer: betas", "[0.9, 0.999]", ""),
        Change("added", "optimizer: momentum", "", "0.9"),
    )


def test_augmentations_are_added_removed_and_changed() -> None:
    new = dataclasses.replace(OLD, augmentation=(Choice("random-crop", {"padding": 2}), Choice("cutout", {"size": 8})))
    assert changes(OLD, new) == (
        Change("changed", "augmentation: random-crop.padding", "4", "2"),
        Change("removed", "augmentation: flip", "flip", ""),
        Change("added", "augmentation: cutout", "", "cutout (size 8)"),
    )


def test_plain_values_have_their_names_in_words_and_the_same_recipe_has_no_changes() -> None:
    assert changes(OLD, dataclasses.replace(OLD, batch_size=64)) == (Change("changed", "batch size", "128", "64"),)
    assert changes(OLD, OLD) == ()
