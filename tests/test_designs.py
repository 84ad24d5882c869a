"""[factor.NAME] and [design]: which variants a design makes of named changes, and what it compares."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablate.components.discover import discover
from ablate.errors import StudyError
from ablate.study.cells import Design
from ablate.study.fractions import defining_words, generators, resolution_of, runs
from ablate.study.resolve import resolve_study
from ablate.study.toml import Changes, parse_study
from tests.support import ablate

if TYPE_CHECKING:
    from ablate.study.cells import DesignKind
    from ablate.study.spec import Study
    from tests.conftest import Write

BASE = """
[study]
name = "s"
seeds = 2
[baseline]
name = "base"
epochs = 1
batch_size = 8
dataset = { use = "digits", validation = 0.1 }
model = { use = "mlp" }
augmentation = [{ use = "flip" }]
optimizer = { use = "adam", lr = 0.1 }
"""
THREE = """
[factor.cutout]
add = { augmentation = [{ use = "cutout", size = 2 }] }
note = "hides a patch"
[factor.cosine]
set = { scheduler = { use = "cosine" } }
[factor.unflipped]
remove = ["augmentation.flip"]
"""


def study(design: str, factors: str = THREE, more: str = "", *settings: str) -> Study:
    return parse_study(f"{BASE}{factors}[design]\n{design}\n{more}", Path("s.toml"), Changes(settings)).done()


def names(study: Study) -> list[str]:
    return [variant.name for variant in study.variants]


def pairs(study: Study) -> list[tuple[str, str, str]]:
    return [(c.candidate, c.reference, c.factor) for c in study.comparisons]


def problems(design: str, factors: str = THREE, more: str = "") -> list[tuple[int, str, str]]:
    with pytest.raises(StudyError) as told:
        study(design, factors, more)
    return [(p.line, p.where, p.what) for p in told.value.problems]


def test_one_at_a_time_is_each_change_against_the_baseline() -> None:
    found = study('kind = "one-at-a-time"')
    assert names(found) == ["base", "cutout", "cosine", "unflipped"]
    assert pairs(found) == [(name, "base", name) for name in ("cutout", "cosine", "unflipped")]
    assert [c.use for c in found.variant("cutout").recipe.augmentation] == ["flip", "cutout"]
    assert found.variant("unflipped").recipe.augmentation == ()
    assert found.variant("cosine").recipe.scheduler.use == "cosine"
    assert found.variant("cutout").note == "hides a patch"


def test_a_ladder_adds_one_change_after_the_other_in_the_order_that_is_asked_for() -> None:
    found = study('kind = "ladder"\nfactors = ["cosine", "cutout", "unflipped"]')
    assert names(found)[1:] == ["cosine", "cosine + cutout", "cosine + cutout + unflipped"]
    assert pairs(found) == [
        ("cosine", "base", "cosine"),
        ("cosine + cutout", "cosine", "cutout"),
        ("cosine + cutout + unflipped", "cosine + cutout", "unflipped"),
    ]
    assert [v.parent for v in found.variants] == [None, "base", "cosine", "cosine + cutout"]


def test_leaving_one_out_tells_what_each_change_adds_to_the_others() -> None:
    found = study('kind = "leave-one-out"')
    assert names(found)[1:] == ["all", "all but cutout", "all but cosine", "all but unflipped"]
    assert pairs(found) == [("all", f"all but {name}", name) for name in ("cutout", "cosine", "unflipped")]
    assert found.variant("all but cosine").recipe.scheduler.use == "constant"
    assert found.variant("all but cosine").parent == "all"


def test_a_factorial_has_every_combination() -> None:
    found = study('kind = "factorial"')
    assert names(found)[1:] == [
        "cutout", "cosine", "unflipped", "cutout + cosine", "cutout + unflipped", "cosine + unflipped",
        "cutout + cosine + unflipped",
    ]  # fmt: skip
    assert [c.use for c in found.variant("cutout + unflipped").recipe.augmentation] == ["cutout"]
    assert pairs(found) == [(name, "base", name) for name in ("cutout", "cosine", "unflipped")]


def test_a_combination_that_several_designs_need_is_one_variant() -> None:
    found = study('kind = ["one-at-a-time", "leave-one-out", "ladder", "factorial"]')
    assert len(names(found)) == 8
    assert found.design is not None
    added = found.design.added(("base",))
    assert [len(adds) for adds, _ in added.values()] == [3, 4, 0, 0]
    assert added["ladder"][1] == ("base", "cutout", "all but unflipped", "all")
    assert ("all", "all but unflipped", "unflipped") in pairs(found)
    assert len(set(pairs(found))) == len(pairs(found)) == 3 + 3 + 1  # the ladder's other steps are among the first six


def test_a_listed_variant_with_the_recipe_of_a_combination_is_that_combination() -> None:
    more = '[[variant]]\nname = "mine"\nset = { scheduler = { use = "cosine" } }\nnote = "by hand"\n'
    more += '[[variant]]\nname = "longer"\nfrom = "cosine"\nset = { epochs = 2 }\n'
    found = study('kind = "ladder"\nfactors = ["cosine", "cutout"]', more=more)
    assert names(found) == ["base", "cosine + cutout", "mine", "longer"]
    assert pairs(found) == [
        ("cosine + cutout", "mine", "cutout"), ("mine", "base", "cosine"), ("longer", "mine", ""),
    ]  # fmt: skip
    assert found.variant("longer").parent == "mine"
    assert found.variant("longer").recipe.scheduler.use == "cosine"


def test_a_listed_variant_that_changes_nothing_of_a_combination_is_it() -> None:
    found = study('kind = "one-at-a-time"', more='[[variant]]\nname = "mine"\nfrom = "cosine"\n')
    assert names(found) == ["base", "cutout", "unflipped", "mine"]
    assert found.variant("mine").parent == "base"
    assert ("mine", "base", "cosine") in pairs(found)


def test_the_command_line_changes_the_baseline_below_a_design_and_its_variants() -> None:
    setting = ("baseline.epochs=3", "cutout + cosine.optimizer.lr=0.5")
    found = study('kind = "factorial"', THREE, "", *setting)
    assert {v.recipe.epochs for v in found.variants} == {3}
    assert [v.name for v in found.variants if v.recipe.optimizer.settings["lr"] == 0.5] == ["cutout + cosine"]


def test_tuned_variants_of_a_design_are_compared_as_the_design_has_them() -> None:
    tuned = tuple((name, {"optimizer.lr": 0.5}) for name in ("all", "all but cutout"))
    text = f'{BASE}{THREE}[design]\nkind = "leave-one-out"\n'
    found = parse_study(text, Path("s.toml"), Changes(tuned=tuned)).done()
    (pair,) = (c for c in found.comparisons if c.reference == "all but cutout (tuned)")
    assert (pair.candidate, pair.kind, pair.factor, pair.if_own_best) == (
        "all (tuned)",
        "tuned change",
        "cutout",
        False,
    )


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ('set = { model = { use = "a" } }', 'set = { model = { use = "b" } }', "model"),
        ("set = { epochs = 2 }", "set = { epochs = 3 }", "epochs"),
        ('remove = ["augmentation.flip"]', 'remove = ["augmentation.flip"]', "augmentation.flip"),
        ("set = { augmentation = [] }", 'add = { augmentation = [{ use = "a" }] }', "augmentation"),
        ('add = { augmentation = [{ use = "a" }] }', "set = { augmentation = [] }", "augmentation"),
        ('remove = ["augmentation.flip"]', "set = { augmentation = [] }", "augmentation"),
        ('remove = ["augmentation.flip"]', 'add = { augmentation = [{ use = "flip" }] }', "augmentation.flip"),
        ('set = { scheduler = { use = "a" } }', 'remove = ["scheduler"]', "scheduler"),
        ('set = { "scheduler.steps" = 3 }', 'remove = ["scheduler"]', "scheduler.steps"),
        ('set = { optimizer = { use = "sgd" } }', 'set = { "optimizer.lr" = 0.2 }', "optimizer.lr"),
        ('set = { "optimizer.lr" = 0.3 }', 'set = { "optimizer.lr" = 0.2 }', "optimizer.lr"),
        ('set = { "optimizer.lr" = 0.3 }', 'set = { "optimizer.lr.find" = true }', "optimizer.lr.find"),
        (
            'set = { "augmentation.flip.p" = 0.3 }',
            'add = { augmentation = [{ use = "flip" }] }',
            "augmentation.flip.p",
        ),
    ],
)
def test_two_changes_of_the_same_cannot_be_combined(first: str, second: str, key: str) -> None:
    factors = f"[factor.one]\n{first}\n[factor.two]\n{second}\n"
    found = problems('kind = "ladder"', factors)
    assert (15, 'factor "two"', f'cannot be combined with factor "one": both change {key}') in found


def test_two_settings_of_one_component_can_be_combined() -> None:
    factors = '[factor.fast]\nset = { "optimizer.lr" = 0.2 }\n[factor.free]\nset = { "optimizer.momentum" = 0 }\n'
    found = study('kind = "factorial"', factors)
    assert [variant.recipe.optimizer.settings for variant in found.variants] == [
        {"lr": 0.1},
        {"lr": 0.2},
        {"lr": 0.1, "momentum": 0},
        {"lr": 0.2, "momentum": 0},
    ]


def test_a_factor_whose_setting_is_of_nothing_is_told_that_alone() -> None:
    found = problems('kind = "one-at-a-time"', '[factor.one]\nset = { "augmentation.flop.p" = 0.3 }\n')
    assert [what for _, _, what in found] == ["there is no 'augmentation.flop.p'"]


def test_two_changes_of_the_same_can_be_tried_one_at_a_time() -> None:
    factors = "[factor.one]\nset = { epochs = 2 }\n[factor.two]\nset = { epochs = 3 }\n"
    assert names(study('kind = "one-at-a-time"', factors)) == ["base", "one", "two"]


def test_changes_that_only_add_can_be_combined_and_keep_their_order() -> None:
    factors = "".join(f'[factor.{n}]\nadd = {{ augmentation = [{{ use = "{n}" }}] }}\n' for n in ("a", "b"))
    both = study('kind = "ladder"\nfactors = ["b", "a"]', factors).variant("b + a")
    assert [c.use for c in both.recipe.augmentation] == ["flip", "b", "a"]


def test_a_factor_that_changes_nothing_is_an_error_whatever_the_design() -> None:
    factors = "[factor.same]\nset = { epochs = 1 }\n[factor.empty]\n[factor.longer]\nset = { epochs = 2 }\n"
    for kind in ("ladder", "one-at-a-time", "leave-one-out", "factorial"):
        found = problems(f'kind = "{kind}"\nfactors = ["same", "empty"]', factors)
        text = "changes nothing: 'base' has all that it gives already"
        assert found == [(13, 'factor "same"', text), (15, 'factor "empty"', text)]


def test_a_factor_that_only_spells_out_a_default_is_an_error_once() -> None:
    factors = '[factor.cosine]\nset = { scheduler = { use = "cosine" } }\n[factor.spelled]\n'
    factors += 'set = { optimizer = { use = "adam", lr = 0.1, weight_decay = 0.0 } }\n'
    text = f'{BASE}{factors}[design]\nkind = "one-at-a-time"\n'.replace('"mlp"', '"simple-cnn"')
    with pytest.raises(
        StudyError, match="line 15  factor \"spelled\"  changes nothing: with it, 'spelled' resolves to"
    ):
        resolve_study(parse_study(text, Path("s.toml")), discover(), Path("data"), {})


def test_a_listed_variant_that_is_a_combination_in_other_words_is_told_how_to_be_it() -> None:
    more = '[[variant]]\nname = "mine"\nset = { scheduler = { use = "cosine", eta_min = 0.0 } }\n'
    text = f'{BASE}{THREE}[design]\nkind = "one-at-a-time"\n{more}'.replace('"mlp"', '"simple-cnn"')
    with pytest.raises(StudyError, match="write it as the factors of 'cosine' are written, and it is that variant"):
        resolve_study(parse_study(text, Path("s.toml")), discover(), Path("data"), {})


def test_a_name_that_a_design_gives_cannot_be_taken() -> None:
    more = '[[variant]]\nname = "cutout"\nset = { epochs = 2 }\n'
    assert (14, 'factor "cutout"', "the name 'cutout' is what the design calls the variant with 'cutout'") in problems(
        'kind = "ladder"', more=more
    )
    assert problems('kind = "one-at-a-time"', "[factor.baseline]\nset = { epochs = 2 }\n")[0][:2] == (
        13, 'factor "baseline"',
    )  # fmt: skip


def test_wrong_names_in_a_design_come_with_the_nearest_ones() -> None:
    assert problems('kind = ["lader"]\nfactors = ["cutot"]\nresolution = 3') == [
        (22, "design: kind", "there is no design \"lader\"; did you mean 'ladder'?"),
        (23, "design: factors", "there is no factor \"cutot\"; did you mean 'cutout'?"),
        (24, "design: resolution", "is of a fraction of a factorial"),
    ]
    assert problems('kind = ["ladder", "ladder"]\nfactors = []') == [
        (22, "design: kind", 'names "ladder" twice'),
        (23, "design: factors", "names no factor"),
    ]


def test_a_design_takes_factors_and_factors_a_design() -> None:
    assert problems('kind = "ladder"', "") == [(13, "design: factors", "there is no factor to combine")]
    with pytest.raises(StudyError, match='line 14  factor "cutout"  there is no \\[design\\] that uses it'):
        parse_study(BASE + THREE, Path("s.toml")).done()


def test_wrong_keys_of_a_factor_are_told_with_their_lines() -> None:
    found = problems(
        'kind = "one-at-a-time"', '[factor.a]\nsett = 1\nset = { epochs = "x" }\n[factor.b]\nremove = ["x"]\n'
    )
    assert [(line, where) for line, where, _ in found] == [
        (14, 'factor "a": sett'), (15, 'factor "a": set.epochs'), (17, 'factor "b": remove'),
    ]  # fmt: skip


def test_a_component_in_a_factor_is_checked_where_it_is_written() -> None:
    text = (
        BASE + '[factor.cutout]\nadd = { augmentation = [{ use = "cutout", sise = 2 }] }\n[design]\nkind = "ladder"\n'
    )
    with pytest.raises(StudyError, match=r'line 14  factor "cutout": augmentation\[0\].sise  cutout has no setting'):
        resolve_study(parse_study(text.replace('"mlp"', '"simple-cnn"'), Path("s.toml")), discover(), Path("data"), {})


def test_a_factorial_that_is_too_large_says_how_large_and_what_fractions_take() -> None:
    factors = "".join(f'[factor.f{n}]\nadd = {{ augmentation = [{{ use = "a{n}" }}] }}\n' for n in range(12))
    (found,) = problems('kind = "factorial"', factors)
    assert found[1:] == (
        "design: kind", "a factorial of 12 factors is 4,096 variants, each with every seed (at most 256)",
    )  # fmt: skip
    with pytest.raises(StudyError, match="resolution = 5 takes 256, resolution = 4 takes 32, resolution = 3 takes 16"):
        study('kind = "factorial"', factors)
    assert len(names(study('kind = "factorial"\nresolution = 4', factors))) == 32


@pytest.mark.parametrize(("factors", "resolution"), [(2, 3), (3, 4), (4, 5)])
def test_where_no_fraction_has_a_resolution_the_error_says_so(factors: int, resolution: int) -> None:
    text = "".join(f'[factor.f{n}]\nadd = {{ augmentation = [{{ use = "a{n}" }}] }}\n' for n in range(factors))
    (found,) = problems(f'kind = "factorial"\nresolution = {resolution}', text)
    assert found[1:] == (
        "design: resolution", f"no fraction of a factorial of {factors} factors has resolution {resolution}",
    )  # fmt: skip


SIZES = {
    3: {3: 4, 4: 8, 5: 8, 6: 8, 7: 8, 8: 16, 9: 16, 10: 16, 11: 16, 12: 16},
    4: {4: 8, 5: 16, 6: 16, 7: 16, 8: 16, 9: 32, 10: 32, 11: 32, 12: 32},
    5: {5: 16, 6: 32, 7: 64, 8: 64, 9: 128, 10: 128, 11: 128, 12: 256},
}
"""Runs by resolution and number of factors: Box, Hunter and Hunter, table 6.22, and Montgomery, table 8.14."""


@pytest.mark.parametrize("resolution", [3, 4, 5])
def test_fractions_are_as_small_as_the_textbooks_and_have_the_resolution_by_their_runs(resolution: int) -> None:
    for factors, size in SIZES[resolution].items():
        chosen = generators(factors, resolution)
        assert chosen is not None
        made = runs(factors, chosen)
        assert len(made) == len(set(made)) == size
        assert made[0] == 0  # the baseline
        # By the runs themselves: a set of factors whose product of levels never changes is confounded with the mean.
        for count in range(1, resolution + 1):
            words = [
                sum(1 << place for place in word)
                for word in combinations(range(factors), count)
                if len({sum(run >> place & 1 for place in word) % 2 for run in made}) == 1
            ]
            assert words == [] if count < resolution else True
            assert set(words) == {word for word in defining_words(factors, chosen) if word.bit_count() == count}
        found = resolution_of(factors, chosen)
        assert found is not None
        assert found >= resolution


def test_the_half_of_four_factors_is_the_usual_one() -> None:
    assert generators(4, 4) == (0b111,)  # D = ABC
    assert generators(5, 3) == (0b011, 0b101)  # D = AB, E = AC
    assert generators(8, 5) == (0b001111, 0b110011)  # G = ABCD, H = ABEF


def test_long_names_stay_names() -> None:
    factors = tuple(f"a rather long name of a change {n}" for n in range(9))
    design = Design(("factorial",), factors, 3)
    found = [design.name(cell) for cell in design.every_cell[1:]]
    assert len(set(found)) == len(found)
    assert max(map(len, found)) <= 80


@pytest.mark.parametrize("kind", ["ladder", "leave-one-out", "one-at-a-time"])
def test_names_fit_for_many_factors_and_long_ones(kind: DesignKind) -> None:
    factors = (*(f"factor {n}" for n in range(100)), "x" * 80)
    design = Design((kind,), factors)
    found = [design.name(cell) for cell in design.every_cell[1:]]
    assert len(set(found)) == len(found)
    assert max(map(len, found)) <= 80


def test_plan_says_what_each_design_adds(write: Write) -> None:
    text = f'{BASE}{THREE}[design]\nkind = ["one-at-a-time", "leave-one-out"]\n'.replace('"mlp"', '"simple-cnn"')
    path = write("s.toml", text)
    told = ablate("plan", path).stdout
    assert "design one-at-a-time: adds 3 variants, 6 runs, 6 to make; shares base" in told
    assert "design leave-one-out: adds 4 variants, 8 runs, 8 to make" in told
