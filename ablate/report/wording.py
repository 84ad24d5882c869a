"""What is new in a variant, in its author's words and in ours; and whether the two agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import counted
from ..study.differences import differences
from ..study.spec import SCALARS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..study.spec import Recipe, Study, Variant

    Change = tuple[str, str, str]

_RATE = r"learning.rate|\blr\b"  # an optimizer's, which a scheduler steers
_IN_ALL = (
    r"^\W*((extended |longer |shorter )?(train(ed|ing)?|longer|shorter)\W*)?((for|to|over)\W*)?(?P<many>\d+) epochs\W*$"
)
SIGNS: Mapping[str, str] = {
    "dataset": r"\bdata ?sets?\b|\b(more|fewer) (training )?images\b(?! (per|in|a)\b)",
    "optimizer": rf"optimi[sz]er|\badamw?\b|\bsgd\b|weight.decay|{_RATE}",
    "scheduler": rf"schedul|anneal|\bcosine (decay|lr)|^cosine$|warm.?up|\bt.?max\b|\bone.?cycle|on.plateau|{_RATE}",
    "loss": r"\bfocal\b|\b(binary )?cross.entropy\b|\bbce\b|\bloss (function|of)\b",
    "augmentation": r"augment|cutout|cut.?mix|mix.?up|random.crop|\bflip|random.erasing|color.jitter",
    "epochs": rf"{_IN_ALL}|\b(more|fewer) epochs\b|\b(longer|shorter|extended) training\b|\btrain\w* (long|short)er\b",
    "batch_size": r"batch.size|larger batch|smaller batch|\bbatch(es)? of\b",
    "label_smoothing": r"label.smoothing|smooth(ed)? labels",
    "clip_norm": r"clip.norm|gradient.clipping|clip(s|ped)? gradients",
    "accumulate": r"gradient.accumulation|accumulated? gradients",
    "ema": r"\bema\b|(moving )?average of (the )?weights|averaged weights",
    "precision": r"(mixed|half|full|single|lower|higher).precision|\bbf16\b|\bfp32\b|\btf32\b",
    "crop_kernels": r"cropped kernels|crop.kernels",
}
"""Words that speak of a factor, and of hardly anything else: a false alarm costs more than a missed one.

A model has none: words that speak of no other factor are taken to speak of it.
"""


@dataclass(frozen=True)
class Wording:
    """An author's words for what is new, against what really changed from the variant that it comes from.

    silent: changes that none of the words speaks of, in our words. unfounded: words that speak of a factor which is the
    same as before, each with the factor. Both are empty where the author gives no words.
    """

    silent: tuple[str, ...] = ()
    unfounded: tuple[tuple[str, str], ...] = ()

    @property
    def apart(self) -> bool:
        """Tell whether words and changes do not fit."""
        return bool(self.silent or self.unfounded)


def wording(study: Study, variant: Variant) -> Wording:
    """Compare an author's words with what changed.

    Words may sum up what changed since the baseline, so they are unfounded only where that is the same too. What names
    no factor that we know words of is not judged, and neither is a variant with the settings that tuning found, whose
    words are ours. Words that give a number of epochs in all have to give the right one.
    """
    if not variant.enhancements or variant.parent is None or variant.tuned:
        return Wording()
    base = next(one for one in study.variants if one.parent is None)
    changed = differences(study.variant(variant.parent).recipe, variant.recipe)
    since = {factor.partition(".")[0] for factor, _, _ in [*changed, *differences(base.recipe, variant.recipe)]}
    open_words = sum(not _factors(words) for words in variant.enhancements)  # each may speak of any one change
    silent = [in_words(*change) for change in changed if not _spoken_of(change, variant.enhancements)]
    silent = silent[max(0, open_words - any(factor.startswith("model") for factor, _, _ in changed)) :]
    unfounded = []
    for words in variant.enhancements:
        spoken = _factors(words)
        if spoken and not spoken & since and not _names_model(words, variant.recipe):
            unfounded.append((words, min(spoken).replace("_", " ")))
        elif (said := re.match(_IN_ALL, words.lower())) and int(said["many"]) != variant.recipe.epochs:
            unfounded.append((words, f"epochs: {variant.recipe.epochs}"))
    return Wording(tuple(silent), tuple(unfounded))


def _factors(words: str) -> set[str]:
    """Return the factors that words speak of."""
    return {factor for factor, sign in SIGNS.items() if re.search(sign, words.lower())}


def _spoken_of(change: Change, every: Sequence[str]) -> bool:
    """Tell whether any of the words speaks of a change: by the factor's words, or by a name that stands in it."""
    factor, before, after = change
    whole, _, part = factor.partition(".")
    names = {name for name in re.findall(r"[a-z]{3,}", f"{part} {before} {after}".lower()) if name not in _EMPTY}
    if whole == "model" and any(not _factors(words) for words in every):
        return True
    return any(whole in _factors(words) or names & set(re.findall(r"[a-z]{3,}", words.lower())) for words in every)


_EMPTY = frozenset(("none", "default", "true", "false", "found", "valley", "and", "the", "with", "size"))


def _names_model(words: str, recipe: Recipe) -> bool:
    """Tell whether words name the model or one of its settings, which may be called as another factor is."""
    named = {recipe.model.use.lower(), *(name.lower() for name in recipe.model.settings)}
    return any(name in words.lower() for name in named)


def enhancements(study: Study, variant: Variant) -> tuple[str, ...]:
    """Return what is new in a variant: in its author's words, or derived from what changed.

    One that a design makes has the factors that are on: what it inherits from need not be what it is compared with.
    """
    if variant.enhancements:
        return variant.enhancements
    if study.design and variant.name in study.design.generated:
        cell = next(cell for cell, name in (study.design.variants or {}).items() if name == variant.name)
        if len(cell) > 1:  # of a single one, the change itself says more than its name
            return tuple(factor for factor in study.design.factors if factor in cell)
    if variant.parent is None:
        return ("baseline",)
    changes = differences(study.variant(variant.parent).recipe, variant.recipe)
    return tuple(in_words(*change) for change in changes) or ("no change",)


def in_words(factor: str, before: str, after: str) -> str:
    """Write a change of a factor as what is new: "with cutout", "lr 0.1 → 0.05"."""
    whole, _, part = factor.partition(".")
    if factor == "model":
        return after
    if whole == "epochs":
        return counted(int(after), "epoch")
    if whole in SCALARS:
        return f"{whole.replace('_', ' ')} {after}"
    if whole == "augmentation":
        use, _, setting = part.partition(".")
        if not part:
            return "augmentations in another order"
        if setting:
            return f"{use} {setting} {before} → {after}"
        return f"without {use}" if after == "none" else f"with {after}"
    return f"{whole} {part} {before} → {after}" if part else f"{whole} {after}"
