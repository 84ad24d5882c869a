"""What a resolved study is refused for: parts that do not go together, whatever each of them is alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..errors import listing
from .spec import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..components.registry import Registry
    from .spec import Study
    from .toml import Reading


def check_together(reading: Reading, study: Study, registry: Registry) -> None:
    """Add to the problems of a file what is wrong with the study that was resolved of it."""
    _check_losses(reading, study, registry)
    _check_sides(reading, study, registry)
    _check_metric(reading, study)
    _check_twins(reading, study)
    _check_fold_asked(reading, study, registry)


def _check_metric(reading: Reading, study: Study) -> None:
    for variant in study.variants if study.images else ():
        split = study.compared.split
        if not getattr(variant.recipe.splits, split):
            text = f"{value_text(study.metric)} needs a {split} split, and '{variant.name}' has none"
            reading.problem(
                ("study", "metric"),
                "study: metric",
                f"{text}\nset dataset = {{ ..., {split} = 0.1 }}, or compare on test/accuracy",
            )


def _check_losses(reading: Reading, study: Study, registry: Registry) -> None:
    """Refuse labels that are shares of classes where the loss takes none."""
    for recipe in (variant.recipe for variant in study.variants):
        mixing = [c.use for c in recipe.augmentation if registry.get("augmentation", c.use).mixes]
        makers = [*mixing, *(["label_smoothing"] if recipe.label_smoothing else [])]
        if makers and not registry.get("loss", recipe.loss.use).shares:
            text = f"{recipe.loss.use} takes labels, and shares of classes come from {listing(makers)}"
            hint = "take a loss that takes shares, such as cross-entropy, focal or bce, or leave the others out"
            reading.component_problem("loss", recipe.loss, ("use",), f"{text}\n{hint}")


def _check_fold_asked(reading: Reading, study: Study, registry: Registry) -> None:
    """Refuse a program that is not told its fold, so that all would be the same, or told of one where there is none."""
    for choice in {variant.recipe.task.place: variant.recipe.task for variant in study.variants}.values():
        if study.images or not registry.get("task", choice.use).takes_others:
            continue
        told = "fold" in choice.settings or any("{fold}" in text for text in _texts(choice.settings))
        if study.folds and not told:
            text = f"the study has {study.folds} folds, and {{fold}} is in no placeholder: every fold would be the same"
            reading.component_problem("task", choice, (), f"{text}\nwrite {{fold}} where the program takes it")
        elif not study.folds and told and "fold" not in choice.settings:
            text = "{fold} is what runs of a study with folds give, and this one has none"
            reading.component_problem("task", choice, (), f"{text}\nset folds = 5 under [study]")


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a setting, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _check_sides(reading: Reading, study: Study, registry: Registry) -> None:
    """Refuse augmentations that would have to enlarge images: what is evaluated is the middle of the images."""
    for variant in study.variants:
        height, width = variant.facts.shape[1:] if variant.facts else (0, 0)
        for choice in variant.recipe.augmentation:
            entry = registry.get("augmentation", choice.use)
            side = entry.side_after(choice.settings)
            if side > min(height, width) > 0:
                text = f"{entry.side} = {side} is more than the images have, which are {height} x {width} pixels there"
                hint = "take a smaller one, or larger images, as by the setting 'size' of image-folder; a model that\n"
                hint += "needs larger ones than there are resizes them: pretrained = { ..., input_size = 224 }"
                reading.component_problem("augmentation", choice, (entry.side,), f"{text}\n{hint}")
            height, width = (side, side) if side else (height, width)


def _check_twins(reading: Reading, study: Study) -> None:
    """Refuse two variants that train the same runs: they would be compared with themselves."""
    first: dict[str, str] = {}
    made = study.design.generated if study.design else ()
    for variant in study.variants:
        recipe = variant.recipe
        chosen = [[kind, choice.use, choice.every_setting] for kind, choice in parts(recipe)]
        numbers = [getattr(recipe, name) for name in recipe.scalars]
        same = json.dumps([*chosen, *numbers, vars(recipe.splits)], sort_keys=True, default=str)
        if same in first and not study.pilot:
            hint = "change something in it, or take it out"
            if variant.name not in made and first[same] in made:
                hint = f"write it as the factors of '{first[same]}' are written, and it is that variant; or take it out"
            what = "factor" if variant.place[:1] == ("factor",) else "variant"
            called = str(variant.place[-1]) if what == "factor" else variant.name
            text = f"resolves to the same runs as '{first[same]}'"
            if what == "factor":
                text = f"changes nothing: with it, '{variant.name}' {text}"
            reading.problem(variant.place, f"{what} {value_text(called)}", f"{text}\n{hint}")
        first.setdefault(same, variant.name)
