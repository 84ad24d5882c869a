"""What is doubtful in a valid study, on studies with it and without it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from ablate.checks.finding import Finding
from ablate.checks.study import changed_factors, findings
from ablate.paths import shipped
from ablate.study.toml import Changes, parse_study, read_study

if TYPE_CHECKING:
    from ablate.study.spec import Study

HEAD = """\
[study]
name = "s"
[baseline]
epochs = 10
batch_size = 64
dataset = { use = "digits", validation = 100 }
model = { use = "cnn" }
optimizer = { use = "adam", lr = 1e-3 }
"""


def study(text: str = "", head: str = HEAD, seeds: tuple[int, ...] | None = None) -> Study:
    return parse_study(head + dedent(text), Path("s.toml"), Changes(seeds=seeds)).done()


def found(code: str, study: Study) -> list[Finding]:
    return [finding for finding in findings(study) if finding.code == code]


def places(code: str, study: Study) -> list[str]:
    return [finding.where for finding in found(code, study)]


ONE_CHANGE = '[[variant]]\nname = "a"\nset = { model = { use = "big" } }'


def test_a_sound_study_has_no_findings() -> None:
    assert findings(study(ONE_CHANGE)) == ()


def test_every_finding_says_why_and_what_to_do() -> None:
    for finding in findings(read_study(shipped("studies") / "cifar100_phases.toml", Changes(seeds=(0,))).done()):
        assert finding.where
        assert finding.reason
        assert finding.remedy


def test_bf16_with_whole_kernels_is_doubtful() -> None:
    kernels = '[[variant]]\nname = "a"\nset = { precision = "bf16", crop_kernels = %s }'
    assert places("whole-kernels-in-bf16", study(kernels % "false")) == ["a"]
    assert places("whole-kernels-in-bf16", study(kernels % "true")) == []
    assert places("whole-kernels-in-bf16", study(kernels.replace("bf16", "fp32") % "false")) == []


# Seeds


def test_one_seed_is_doubtful() -> None:
    assert found("one-seed", study(seeds=(0,))) == [
        Finding("one-seed", "study.seeds", "with one seed no difference has an error bar", "set seeds = 3 or more")
    ]


def test_two_seeds_are_not_one() -> None:
    assert found("one-seed", study(seeds=(0, 1))) == []


COMPARE = "[compare]\nmargin = 0.005\nspread = %s\n"


def test_too_few_seeds_for_the_stated_margin_and_spread_are_doubtful() -> None:
    (finding,) = found("too-few-seeds", study(ONE_CHANGE + "\n" + COMPARE % 0.01, seeds=(0, 1, 2)))
    assert finding.level == "warning"
    assert finding.reason.replace("\xa0", " ").startswith(
        "3 seeds that spread by 1.00 points (stated) show differences of "
    )
    assert "and the margin is 0.50 points: what lies between stays undecided" in finding.reason.replace("\xa0", " ")


def test_enough_seeds_or_no_stated_margin_are_not_doubtful() -> None:
    assert found("too-few-seeds", study(ONE_CHANGE + "\n" + COMPARE % 0.0005, seeds=(0, 1, 2))) == []
    assert found("too-few-seeds", study(ONE_CHANGE + "\n[compare]\nspread = 0.01", seeds=(0, 1, 2))) == []


# The validation split

NO_VALIDATION = HEAD.replace(", validation = 100", "")


def test_no_validation_split_is_doubtful() -> None:
    assert places("no-validation", study(ONE_CHANGE, NO_VALIDATION)) == ["every variant"]


def test_variants_without_validation_split_are_named() -> None:
    text = '[[variant]]\nname = "a"\nset = { dataset = { use = "digits" } }'
    assert places("no-validation", study(text)) == ["a"]


def test_a_validation_split_is_not_doubtful() -> None:
    assert found("no-validation", study()) == []


# Epochs


def test_unequal_epochs_are_doubtful() -> None:
    (finding,) = found("unequal-epochs", study('[[variant]]\nname = "a"\nset = { epochs = 20 }'))
    assert finding.where == "epochs"
    assert finding.reason.startswith("variants train for 10, 20 epochs, so a difference may be the budget's")


def test_equal_epochs_are_not_doubtful() -> None:
    assert found("unequal-epochs", study(ONE_CHANGE)) == []


# Factors


@pytest.mark.parametrize(
    ("change", "factors"),
    [
        ('set = { model = { use = "big" } }', ["model"]),
        ('set = { optimizer = { use = "adam", lr = 1e-2, eps = 1e-6 } }', ["optimizer"]),
        ("set = { epochs = 11 }", ["epochs"]),
        ('set = { dataset = { use = "digits", validation = 100, train = 50 } }', ["dataset"]),
        ('add = { augmentation = [{ use = "flip" }, { use = "cutout" }] }', ["augmentation"]),
        ('set = { model = { use = "big" }, batch_size = 8 }', ["model", "batch_size"]),
        (
            'set = { scheduler = { use = "cosine" } }\nadd = { augmentation = [{ use = "flip" }] }',
            ["scheduler", "augmentation"],
        ),
        ("", []),
    ],
)
def test_the_factors_that_a_variant_changes_are_counted(change: str, factors: list[str]) -> None:
    one = study(f'[[variant]]\nname = "a"\n{change}')
    assert changed_factors(one, "a", one.variants[0].name) == factors
    assert places("several-factors", one) == (["a"] if len(factors) > 1 else [])


def test_factors_are_counted_against_the_variant_it_comes_from() -> None:
    text = ONE_CHANGE + '\n[[variant]]\nname = "b"\nfrom = "a"\nset = { epochs = 10, batch_size = 8 }'
    assert found("several-factors", study(text)) == []


def test_several_factors_are_named() -> None:
    (finding,) = found(
        "several-factors", study('[[variant]]\nname = "a"\nset = { model = { use = "big" }, batch_size = 8 }')
    )
    assert finding.reason == (
        "changes 2 factors against baseline (model, batch_size): its difference cannot be credited to any one of them"
    )


# The five phases of a student's report


@pytest.fixture(scope="module")
def phases() -> Study:
    return read_study(shipped("studies") / "cifar100_phases.toml").done()


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("several-factors", ["Phase 3", "Phase 4"]),
        ("unequal-epochs", ["epochs"]),
        ("no-validation", ["every variant"]),
        ("one-seed", []),
    ],
)
def test_the_five_phases_are_doubtful_where_they_are(phases: Study, code: str, where: list[str]) -> None:
    assert places(code, phases) == where


def test_the_five_phases_are_doubtful_in_the_order_of_a_reader(phases: Study) -> None:
    codes = list(dict.fromkeys(finding.code for finding in findings(phases)))
    assert codes == ["several-factors", "no-validation", "unequal-epochs", "unequal-search", "claim-against-reported"]


def test_the_five_phases_with_one_seed_have_no_error_bar() -> None:
    one = read_study(shipped("studies") / "cifar100_phases.toml", Changes(seeds=(0,))).done()
    assert places("one-seed", one) == ["study.seeds"]
