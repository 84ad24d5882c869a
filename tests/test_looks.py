"""The looks at a growing study, as a pure function of results."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from ablate.metrics import metric
from ablate.stats.family import How, compare_all
from ablate.stats.looks import Look, aside, compared_at, look_at_all, looks_at
from ablate.stats.spending import levels
from ablate.study.seeds import look_sizes

if TYPE_CHECKING:
    from ablate.stats.comparison import Comparison

SIZES = (3, 4, 6, 8, 12)
PAIRS = [("clear", "base"), ("placebo", "base")]
HOW = How(metric("test/accuracy"), "welch", margin=0.001)


@dataclass
class Runs:
    """Runs whose values are drawn by variant and seed, and those of them that have ended."""

    effects: dict[str, float] = field(default_factory=lambda: {"base": 0.0, "clear": 0.3, "placebo": 0.0})
    samples: dict[str, dict[int, float]] = field(default_factory=dict)
    ended: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.samples = {name: {} for name in self.effects}
        self.ended = {name: set() for name in self.effects}

    def end(self, name: str, seed: int, fails: bool = False) -> None:
        self.ended[name].add(seed)
        if not fails:
            self.samples[name][seed] = 0.5 + self.effects[name] + random.Random(f"{name}{seed}").gauss(0, 0.01)

    def looks(self) -> list[Look]:
        return looks_at(SIZES, PAIRS, self.samples, self.ended, HOW)

    def end_what_is_asked(self) -> list[tuple[str, int]]:
        """End all runs that looks ask for, and return them."""
        made: list[tuple[str, int]] = []
        while waiting := self.looks()[-1].waiting:
            for name, seed in waiting:
                self.end(name, seed)
            made += waiting
        return made


def told(found: Comparison) -> tuple[str, int | None, str]:
    return found.candidate, found.look, found.verdict


@pytest.mark.parametrize(
    ("least", "most", "sizes"),
    [
        (3, 12, (3, 4, 6, 8, 12)),
        (3, 3, (3,)),
        (2, 3, (2, 3)),
        (3, 5, (3, 5)),
        (3, 20, (3, 4, 6, 8, 12, 20)),
        (5, 20, (5, 7, 10, 14, 20)),
    ],
)
def test_each_look_has_about_half_as_many_seeds_again_as_the_one_before(
    least: int, most: int, sizes: tuple[int, ...]
) -> None:
    assert look_sizes(least, most) == sizes


def test_sizes_of_looks_ascend_from_the_least_to_the_most() -> None:
    for least in range(2, 12):
        for most in range(least, 60):
            sizes = look_sizes(least, most)
            assert (sizes[0], sizes[-1]) == (least, most)
            assert list(sizes) == sorted(set(sizes))


def test_the_first_look_waits_for_the_first_seeds_of_all_variants() -> None:
    (look,) = Runs().looks()
    assert not look.made
    assert len(look.waiting) == 9
    assert look.waiting[:4] == (("base", 0), ("clear", 0), ("placebo", 0), ("base", 1))


def test_what_a_look_decides_gets_no_more_seeds_and_the_rest_does_with_its_reference() -> None:
    runs = Runs()
    runs.end_what_is_asked()
    looks = runs.looks()
    assert [look.size for look in looks] == list(SIZES)
    assert [told(one) for one in looks[0].decided] == [("clear", 3, "helped")]
    assert looks[-1].undecided == (("placebo", "base"),)
    assert looks[-1].seeds == {"base": 12, "clear": 3, "placebo": 12}


def test_each_look_asks_for_its_part_of_what_may_be_spent() -> None:
    runs = Runs()
    runs.end_what_is_asked()
    looks = runs.looks()
    assert [look.level for look in looks] == list(levels(SIZES, 0.05, 2))
    assert [1 - look.confidence for look in looks] == pytest.approx(levels(SIZES, 0.05))
    (found,) = looks[0].decided
    first = {name: {seed: values[seed] for seed in range(3)} for name, values in runs.samples.items()}
    assert found == compare_all(first, PAIRS, looks[0].how(HOW))[0]


def test_the_order_in_which_runs_end_and_what_else_is_stored_change_nothing() -> None:
    whole = Runs()
    asked = whole.end_what_is_asked()
    for number in range(5):
        runs = Runs()
        every = [(name, seed) for name in runs.effects for seed in range(12)]
        random.Random(number).shuffle(every)
        for name, seed in every:
            runs.end(name, seed)
        assert runs.looks() == whole.looks()
        partial = Runs()
        for name, seed in every[: 7 * number]:
            partial.end(name, seed)
        assert {*partial.end_what_is_asked(), *every[: 7 * number]} >= set(asked)
        assert partial.looks() == whole.looks()


def test_a_decided_comparison_stays_as_it_was_while_others_go_on() -> None:
    runs, before = Runs(), []
    while waiting := runs.looks()[-1].waiting:
        before.append(compared_at(runs.looks(), runs.samples, PAIRS, HOW)["clear", "base"])
        for name, seed in waiting:
            runs.end(name, seed)
    after = compared_at(runs.looks(), runs.samples, PAIRS, HOW)
    assert after["clear", "base"] == before[-1]
    assert told(after["clear", "base"]) == ("clear", 3, "helped")
    assert told(after["placebo", "base"]) == ("placebo", 12, "not decided")
    assert len(after["placebo", "base"].seeds) == 12


def test_a_first_look_that_is_not_made_yet_decides_nothing() -> None:
    runs = Runs()
    for name in runs.effects:
        for seed in (0, 1):
            runs.end(name, seed)
    found = compared_at(runs.looks(), runs.samples, PAIRS, HOW)["clear", "base"]
    assert (found.verdict, found.seeds) == ("not decided", (0, 1))


def test_a_look_does_without_what_failed() -> None:
    runs = Runs()
    runs.end("clear", 1, fails=True)
    runs.end_what_is_asked()
    first = runs.looks()[0]
    assert first.failed == (("clear", 1),)
    assert runs.looks()[-1].seeds["placebo"] == 12


def test_a_variant_without_any_result_is_never_decided_and_holds_up_nothing() -> None:
    runs = Runs()
    for seed in range(12):
        runs.end("clear", seed, fails=True)
    runs.end_what_is_asked()
    assert runs.looks()[-1].size == 12
    assert runs.looks()[-1].undecided == (("clear", "base"), ("placebo", "base"))


def test_another_pair_is_compared_at_the_last_look_and_alone() -> None:
    runs = Runs()
    runs.end_what_is_asked()
    (look,) = aside(runs.looks(), ("clear", "placebo"))
    assert look.size == 12
    assert look.level == pytest.approx(levels(SIZES, 0.05)[-1])
    (found,) = compared_at([look], runs.samples, [("clear", "placebo")], HOW).values()
    assert (found.family, found.seeds) == (1, (0, 1, 2))


def test_without_looks_comparisons_are_of_all_seeds() -> None:
    runs = Runs()
    runs.end_what_is_asked()
    found = compared_at([], runs.samples, PAIRS, HOW)
    assert list(found.values()) == compare_all(runs.samples, PAIRS, HOW)


def test_a_study_that_compares_nothing_stops_at_its_first_look() -> None:
    runs = Runs()
    for name in runs.effects:
        for seed in range(3):
            runs.end(name, seed)
    (look,) = looks_at(SIZES, [], runs.samples, runs.ended, HOW)
    assert look.made
    assert look.undecided == ()


def test_what_all_variants_say_together_is_of_the_last_look_that_all_had() -> None:
    runs = Runs()
    assert look_at_all(runs.looks(), ["base", "clear"]).number == 1
    runs.end_what_is_asked()
    looks = runs.looks()
    assert look_at_all(looks, ["base", "clear", "placebo"]).size == 3
    assert look_at_all(looks, ["base", "placebo"]).size == 12
