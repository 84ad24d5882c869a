"""Planted effects: what helps is found, and a placebo is not found to do anything more often than promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import ablate
from ablate.metrics import metric
from ablate.paths import shipped
from ablate.stats.family import How, compare_all

from .planted import Planting, finals, planted

if TYPE_CHECKING:
    from pathlib import Path

    from ablate.stats.comparison import Comparison

ACCURACY = metric("test/accuracy")
ALARMS = 0.055
"""The share of studies that may find something where there is nothing: 5 %, and what a simulation of it is off by."""
EFFECTS = {"base": 0.0, "helps": 0.02, "hurts": -0.03, "placebo": 0.0}
NOTHING = dict.fromkeys(("base", "one", "two", "three", "four"), 0.0)


def drawn(
    effects: dict[str, float], seeds: int, random: np.random.Generator, spread: float = 0.005
) -> dict[str, dict[int, float]]:
    """Draw one study: runs of a seed have half of their variance in common, as with the same first weights."""
    shared = random.normal(0.5, spread * 0.5**0.5, seeds)
    return {
        name: dict(enumerate((shared + effect + random.normal(0, spread * 0.5**0.5, seeds)).tolist()))
        for name, effect in effects.items()
    }


def studies(
    count: int, effects: dict[str, float], seeds: int, spread: float = 0.005, margin: float | None = None
) -> list[list[Comparison]]:
    """Compare each variant with the first one in so many studies."""
    first, *others = effects
    pairs = [(name, first) for name in others]
    random = np.random.default_rng([seeds, len(effects)])
    how = How(ACCURACY, margin=margin)
    return [compare_all(drawn(effects, seeds, random, spread), pairs, how) for _ in range(count)]


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


def told(compared: Comparison) -> bool:
    return compared.verdict in ("helped", "hurt")


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_a_placebo_beside_changes_that_count_is_seldom_found_to_do_anything(seeds: int) -> None:
    assert share([told(compared[-1]) for compared in studies(6000, EFFECTS, seeds)]) <= ALARMS


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_of_a_study_of_placebos_seldom_any_is_found_to_do_anything(seeds: int) -> None:
    assert share([any(map(told, compared)) for compared in studies(6000, NOTHING, seeds)]) <= ALARMS


def test_what_helps_and_what_hurts_is_found_and_the_placebo_is_not() -> None:
    made = studies(200, EFFECTS, seeds=5)
    assert share([compared[0].verdict == "helped" for compared in made]) > 0.9
    assert share([compared[1].verdict == "hurt" for compared in made]) > 0.9
    assert share([told(compared[2]) for compared in made]) < 0.1


@pytest.mark.parametrize(("seeds", "spread"), [(10, 0.003), (30, 0.005)])
def test_equal_variants_with_enough_seeds_make_no_practical_difference(seeds: int, spread: float) -> None:
    made = studies(200, {"base": 0.0, "same": 0.0}, seeds, spread, margin=0.005)
    assert share([compared[0].verdict == "no practical difference" for compared in made]) > 0.95


def test_a_tiny_true_difference_makes_no_practical_difference_however_sure_it_is() -> None:
    made = studies(200, {"base": 0.0, "tiny": 0.002}, seeds=50, spread=0.002, margin=0.005)
    assert {compared[0].verdict for compared in made} == {"no practical difference"}
    assert share([compared[0].p is not None and compared[0].p < 0.05 for compared in made]) > 0.9


STUDY = {
    "study": {"name": "planted", "seeds": 5},
    "baseline": {
        "name": "base",
        "epochs": 2,
        "batch_size": 64,
        "dataset": {"use": "digits", "validation": 100},
        "model": {"use": "simple-cnn", "width": 2, "hidden": 4},
        "augmentation": [{"use": "random-crop", "padding": 1}],
        "optimizer": {"use": "adam", "lr": 1e-3},
    },
    "variant": [
        {"name": "helps", "set": {"optimizer": {"use": "adam", "lr": 2e-3}}},
        {"name": "hurts", "set": {"optimizer": {"use": "adam", "lr": 1e-5}}},
        {"name": "placebo", "set": {"augmentation": [{"use": "placebo"}, {"use": "random-crop", "padding": 1}]}},
    ],
    "claim": [
        {"text": "A placebo does nothing", "variant": "placebo", "says": "no difference"},
        {"text": "It is the rate", "variant": "helps", "says": "better", "because": "optimizer.lr"},
    ],
}


@pytest.mark.parametrize("number", range(3))
def test_a_whole_study_of_planted_runs_says_what_its_values_do(number: int, tmp_path: Path) -> None:
    values = drawn(EFFECTS, 5, np.random.default_rng(number))
    draw = finals({name: list(by_seed.values()) for name, by_seed in values.items()})
    loaded = ablate.load_study(STUDY, store=tmp_path / "store", device="cpu")
    results = ablate.run(loaded, executor=Planting(draw))
    assert set(results.runs["state"]) == {"stored"}
    expected = compare_all(values, [(name, "base") for name in EFFECTS if name != "base"], How(ACCURACY, margin=0.005))
    found = [results.comparison(name) for name in ("helps", "hurts", "placebo")]
    assert [one.verdict for one in found] == [one.verdict for one in expected]
    assert [(one.mean, one.p) for one in found] == [pytest.approx((one.mean, one.p)) for one in expected]
    assert [one.verdict for one in found[:2]] == ["helped", "hurt"]
    assert not told(found[2])
    assert results.claims[1].verdict == "supported"
    assert [(one.mean, one.p) for one in planted(loaded.study, draw).comparisons] == [
        (one.mean, one.p) for one in found
    ]


@pytest.mark.long
def test_on_real_digits_batch_norm_helps_and_the_placebos_do_not(tmp_path: Path) -> None:
    study = shipped("studies") / "digits_placebo.toml"
    results = ablate.run(ablate.load_study(study, store=tmp_path / "store", device="cpu"))
    assert results.comparison("batch norm").verdict == "helped"
    assert results.comparison("placebo").verdict in ("not decided", "no practical difference")
    assert any(results.comparison("placebo").per_seed)  # a placebo that could have been found to do something
    assert results.comparison("draws only").per_seed == (0.0,) * 8
    assert ("same-weights", "baseline, draws only", "the same") in {
        (f.code, f.where, f.waived) for f in results.findings
    }
