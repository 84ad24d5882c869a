"""The contract of a dataset: each function checks one fact, and says what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import numpy as np

from ..components.datasets import fingerprint_of, groups_of, wrong_facts, wrong_labels, wrong_source, wrong_splits
from ..data.arrays import same_groups
from ..data.images import wrong_data
from ..errors import AblateError
from .subject import fail, seed_process, skip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..components.datasets import DataFacts, Source, Split
    from ..components.schema import Setting
    from .subject import Subject

MOST_IMAGES = 200_000
"""Datasets that have more are not loaded several times."""


def it_returns_a_source(subject: Subject) -> None:
    """Check what its function returns."""
    _source(subject)


def its_facts_are_complete(subject: Subject) -> None:
    """Check the numbers of images and classes, the shape and the fingerprint."""
    _facts(_source(subject))


def preparing_twice_is_safe(subject: Subject) -> None:
    """Check that what is prepared stays so, with nothing left to do."""
    source = _ready(subject)
    for _ in range(2):
        source.prepare()
        if pending := source.pending():
            fail(f"says after prepare() that there is still to do: {pending}")


def it_loads_uint8_images_and_int64_labels(subject: Subject) -> None:
    """Check types and shapes of each split."""
    if wrong := wrong_splits(_ready(subject).load()):
        fail(wrong)


def it_loads_what_its_facts_say(subject: Subject) -> None:
    """Check shape, classes and numbers of images, and the images of each class where they are counted."""
    source = _ready(subject)
    facts, loaded = _facts(source), source.load()
    if wrong := wrong_data(loaded, facts.shape, facts.classes):
        fail(wrong)
    sizes = {name: len(split.labels) for name, split in loaded.items()}
    if {name: size for name, size in sizes.items() if size} != facts.sizes:
        fail(f"loads {sizes} images, and its facts say {facts.sizes}")
    if not same_groups(facts.groups, groups_of(loaded)):
        fail("loads other groups than its facts give", "give `groups` in the facts where a Split has them")
    for name, counts in facts.counts.items():
        found = np.bincount(loaded[name].labels, minlength=facts.classes).tolist()
        if found != list(counts):
            first = next(i for i, (one, two) in enumerate(zip(found, counts, strict=True)) if one != two)
            fail(f"{name}: has {found[first]} images of class {first}, and its facts say {counts[first]}")


def every_class_has_images(subject: Subject) -> None:
    """Check that classes are numbered from 0 without gaps."""
    if wrong := wrong_labels(_ready(subject).load()):
        fail(wrong)


def it_loads_the_same_each_time(subject: Subject) -> None:
    """Check that it has the same images and labels when it is built again, in another random state of the process."""
    _check_size(_ready(subject))
    one, two = (_loaded(subject, seed) for seed in (0, 1))
    if fingerprint_of(one) != fingerprint_of(two):
        fail(
            "loads other images or labels the second time",
            "draw from a generator with a fixed seed, as numpy.random.default_rng(0)",
        )


def its_fingerprint_stays(subject: Subject) -> None:
    """Check that the same data has the same fingerprint, before and after it is loaded."""
    source = _ready(subject)
    before = _facts(source).fingerprint
    source.load()
    if {_facts(source).fingerprint, _facts(_source(subject)).fingerprint} != {before}:
        fail("has another fingerprint for the same data", "a fingerprint is a hash of the pixels and labels, or files")


def its_fingerprint_changes_with_the_data_alone(subject: Subject) -> None:
    """Check that settings change the fingerprint where they change images or labels, and only there."""
    source = _ready(subject)
    _check_size(source)
    before, pixels = _facts(source).fingerprint, fingerprint_of(_loaded(subject))
    tried = False
    for setting, value in _others(subject):
        other = replace(subject, settings={**subject.settings, setting.name: value})
        try:
            changed, others = _facts(_source(other)).fingerprint != before, fingerprint_of(_loaded(other)) != pixels
        except AblateError:
            continue  # a value that it refuses
        tried = True
        if others and not changed:
            fail(
                f"has the same fingerprint with {setting.name} = {value!r}, which loads other images or labels",
                "runs on other data would count as done: make the fingerprint a hash of what is loaded",
            )
        if changed and not others:
            fail(f"has another fingerprint with {setting.name} = {value!r}, which loads the same images and labels")
    if not tried:
        skip("it has no setting that could be changed")


def _source(subject: Subject) -> Source:
    source = subject.build(subject.folder)
    if wrong := wrong_source(source):
        fail(wrong)
    made: Source = source
    return made


def _facts(source: Source) -> DataFacts:
    facts = source.facts()
    if wrong := wrong_facts(facts):
        fail(wrong)
    return facts


def _ready(subject: Subject) -> Source:
    """Return the source where its data is there."""
    source = _source(subject)
    if pending := source.pending():
        skip(f"{pending}; 'ablate run' prepares it, or name another folder with --data-dir DIR or ABLATE_DATA_DIR=DIR")
    return source


def _check_size(source: Source) -> None:
    images = sum(_facts(source).sizes.values())
    if images > MOST_IMAGES:
        skip(f"it has {images:,} images, and would be loaded several times")


def _loaded(subject: Subject, seed: int = 0) -> Mapping[str, Split]:
    seed_process(seed)
    return _source(subject).load()


def _others(subject: Subject) -> Iterator[tuple[Setting, Any]]:
    """Yield other values of the settings that are numbers, switches or one of a few names."""
    for setting in subject.entry.settings:
        now = subject.settings.get(setting.name)
        values: list[Any] = []
        if get_origin(setting.annotation) is Literal:
            values = [value for value in get_args(setting.annotation) if value != now]
        elif isinstance(now, bool):
            values = [not now]
        elif isinstance(now, int):
            values = [now + 1, now - 1]
        elif isinstance(now, float):
            values = [now / 2 or 0.5, now * 2]
        yield from [(setting, value) for value in values if not setting.check(value)[1]][:1]


CHECKS = (
    it_returns_a_source,
    its_facts_are_complete,
    preparing_twice_is_safe,
    it_loads_uint8_images_and_int64_labels,
    it_loads_what_its_facts_say,
    every_class_has_images,
    it_loads_the_same_each_time,
    its_fingerprint_stays,
    its_fingerprint_changes_with_the_data_alone,
)
