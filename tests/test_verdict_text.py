"""What a comparison comes to in words, and that it reads the same in every form of a report."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd
import pytest

from ablate.api.notebook import Comparison as Shown
from ablate.api.notebook import results_html
from ablate.metrics import metric
from ablate.report import verdict_text
from ablate.report.conclusion_text import answer_sentences
from ablate.report.content import Records, report
from ablate.report.document import document
from ablate.report.table import table
from ablate.stats.comparison import Comparison
from ablate.stats.results import Results
from ablate.study.comparisons import Comparing, UsedMethod
from ablate.study.spec import Choice, Recipe, Study, Variant
from tests.support import whole
from tests.worded import worded

if TYPE_CHECKING:
    from pathlib import Path


def compared(**changes: Any) -> Comparison:
    """A comparison of 5 seeds that helped by 1.2 points, with changes."""
    known: dict[str, Any] = {
        "mean": 0.012, "low": 0.004, "high": 0.020, "n": 5, "metric": metric("test/accuracy"), "candidate": "cutout",
        "reference": "base", "n_candidate": 5, "n_reference": 5, "seeds": (0, 1, 2, 3, 4), "per_seed": (0.012,) * 5,
        "left_out": (), "method": "welch", "p": 0.003, "family": 4, "margin": 0.005, "verdict": "helped",
    }  # fmt: skip
    return Comparison(**(known | changes))


UNDECIDED = compared(mean=0.003, low=-0.001, high=0.007, p=0.2, margin=0.002, verdict="not decided", further_seeds=6)
WITHIN = compared(mean=0.001, low=-0.002, high=0.004, p=0.9, verdict="no practical difference")
ONE = compared(
    low=None, high=None, n=1, n_candidate=1, n_reference=1, seeds=(0,), per_seed=(0.012,), p=None, verdict="not decided"
)
NONE = dataclasses.replace(ONE, mean=math.nan, n=0, n_candidate=0, n_reference=0, seeds=(), per_seed=())


def plain(text: str) -> str:
    """Text with ordinary spaces."""
    return text.replace("\xa0", " ")


def line(found: Comparison, **more: Any) -> list[str]:
    return [plain(part) for part in vars(verdict_text.line(found, **more)).values()]


def test_a_line_has_pair_difference_interval_verdict_and_what_limits_it() -> None:
    hurt = compared(candidate="Phase 4", reference="Phase 3", mean=-0.094, low=-0.106, high=-0.082, verdict="hurt")
    assert line(hurt, changes=3) == [
        "Phase 4 against Phase 3", "−9.4 points", "(−10.6 to −8.2, 5 seeds)", "hurt",
        "3 changes at once: cannot be credited to one",
    ]  # fmt: skip
    assert line(compared())[4] == ""


def test_a_line_of_what_is_not_decided_says_what_would_decide_it() -> None:
    assert line(UNDECIDED)[1:] == [
        "+0.30 points", "(−0.10 to +0.70, 5 seeds)", "not decided",
        "about 6 more seeds would be enough to tell 0.30 points from zero",
    ]  # fmt: skip
    none = dataclasses.replace(UNDECIDED, mean=0.0, margin=None, further_seeds=1)
    assert line(none)[4] == "about 1 more seed would decide it"
    many = dataclasses.replace(UNDECIDED, further_seeds=101)
    assert line(many)[4] == "more than 100 more seeds would be enough to tell 0.30 points from zero"
    assert line(dataclasses.replace(UNDECIDED, further_seeds=None))[4] == ""
    never = dataclasses.replace(UNDECIDED, further_seeds=0)
    assert line(never)[4].startswith("if folds go on differing as much, no number of repetitions would be enough")


def test_seeds_for_a_difference_within_the_margin_are_those_that_tell_the_margin_from_none() -> None:
    small = dataclasses.replace(UNDECIDED, margin=0.005)
    assert line(small)[4] == "about 6 more seeds would be enough to tell 0.5 points from zero"
    assert plain(verdict_text.sentence(small)).endswith(
        "About 6 more seeds would be enough to tell 0.5 points from zero."
    )
    loss = dataclasses.replace(small, metric=metric("test/loss"), mean=-0.0001, margin=0.02)
    assert line(loss)[4] == "about 6 more seeds would be enough to tell 0.02 from zero"


def test_a_line_of_no_practical_difference_says_within_what() -> None:
    assert line(WITHIN)[3] == "no practical difference (within 0.5 points)"


def test_one_seed_and_no_result_are_said_in_words() -> None:
    assert line(ONE)[1:] == ["+1.20 points", "(one seed)", "not decided", "one seed gives no interval"]
    assert line(NONE)[1:] == ["–", "(no result for both)", "not decided", "not both have a result"]
    assert line(ONE, noun="run")[2] == "(one run)"
    assert verdict_text.sentence(NONE) == "cutout cannot be compared with base yet: no seed has a result for both."


def test_unequal_numbers_of_seeds_and_those_left_out_are_named() -> None:
    found = compared(n_candidate=5, n_reference=3, left_out=(3, 7))
    assert line(found)[2] == "(+0.40 to +2.00, 5 and 3 seeds)"
    assert line(found)[4] == "seeds 3, 7 left out"
    uneven = dataclasses.replace(found, left_out=(3,), one_sided=(3, 4))
    assert line(uneven)[4] == "seed 3 left out; seed 4 on one side only"
    assert line(uneven, noun="run")[4] == "run 3 left out"
    odd = compared(n_candidate=1, n_reference=3, low=None, high=None, p=None, verdict="not decided")
    assert line(odd)[4] == "one seed of cutout gives no interval"
    assert verdict_text.basis(odd) == "1 and 3 seeds, which give no interval"


def test_what_is_clear_alone_and_not_among_many_is_explained() -> None:
    found = compared(p=0.08, verdict="not decided")
    assert line(found)[4] == "clear alone, not among 4 comparisons (p = 0.08)"


def test_sentences() -> None:
    said = [plain(verdict_text.sentence(found)) for found in (compared(), UNDECIDED, WITHIN, ONE)]
    assert said == [
        (
            "cutout helped: +1.20 points in test accuracy against base "
            "(95 % interval +0.40 to +2.00, 5 seeds each, p = 0.003 over 4 comparisons)."
        ),
        (
            "It is not decided whether cutout helped: +0.30 points in test accuracy against base "
            "(95 % interval −0.10 to +0.70, 5 seeds each, p = 0.2 over 4 comparisons). "
            "About 6 more seeds would be enough to tell 0.30 points from zero."
        ),
        (
            "cutout made no practical difference: +0.10 points in test accuracy against base "
            "(95 % interval −0.20 to +0.40, within ±0.5 points, 5 seeds each)."
        ),
        (
            "It is not decided whether cutout helped: +1.20 points in test accuracy against base "
            "(one seed, which gives no interval)."
        ),
    ]


def test_a_loss_has_no_points() -> None:
    found = compared(metric=metric("test/loss"), mean=-0.2, low=-0.25, high=-0.15, margin=None, method="paired")
    said = plain(verdict_text.sentence(found))
    assert said.startswith("cutout helped: −0.200 in test loss against base (95 % interval −0.250 to −0.150, 5 paired")
    assert "±" not in verdict_text.terms([found])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0004, "p < 0.001"), (0.0034, "p = 0.0034"), (0.0496, "p = 0.0496"), (0.0501, "p = 0.05"), (1.0, "p = 1")],
)
def test_a_p_never_changes_its_side_by_rounding(value: float, text: str) -> None:
    assert plain(verdict_text.p(value)) == text


def test_the_answer_says_what_helped_what_hurt_and_what_is_open() -> None:
    hurt = compared(candidate="mixup", mean=-0.02, low=-0.03, high=-0.01, verdict="hurt")
    found = [
        compared(), dataclasses.replace(UNDECIDED, candidate="flip"), hurt,
        dataclasses.replace(WITHIN, candidate="smoothing"),
    ]  # fmt: skip
    assert plain(verdict_text.answer(found)) == (
        "On test accuracy against base: cutout (+1.20 points) helped; mixup (−2.0 points) hurt; "
        "smoothing (+0.10 points) made no practical difference; flip (+0.30 points) is not decided."
    )
    ladder = [compared(), dataclasses.replace(hurt, reference="cutout")]
    assert plain(verdict_text.answer(ladder)) == (
        "On test accuracy: cutout (+1.20 points against base) helped; mixup (−2.0 points against cutout) hurt."
    )


def test_the_answer_to_nothing() -> None:
    assert verdict_text.answer([]) == ""
    assert verdict_text.answer([NONE]).startswith("Nothing can be said about test accuracy yet")
    assert verdict_text.terms([NONE]) == ""


def test_the_answer_names_a_few_of_many() -> None:
    many = [compared(candidate=f"v{place}") for place in range(9)]
    assert plain(verdict_text.answer(many)).endswith("v4 (+1.20 points) and 4 more helped.")


def test_the_terms_are_method_risk_and_margin() -> None:
    assert plain(verdict_text.terms([compared()])) == (
        "By Welch’s t interval, where each side has a spread of its own. The 4 comparisons together call a difference "
        "where there is none in at most 5 % of studies. An interval within ±0.5 points means no practical difference."
    )


def test_every_method_has_words() -> None:
    assert set(verdict_text.METHODS) == set(get_args(UsedMethod))


# --- one planted study in every form ----------------------------------------------------------------------------

RECIPE = Recipe(1, 8, Choice("tiny"), Choice("mlp"), Choice("sgd"))
PLANTED = {
    "base": (0.700, 0.702, 0.699, 0.701),
    "cutout": (0.730, 0.731, 0.730, 0.732),
    "dropout": (0.650, 0.651, 0.652, 0.649),
    "relabelled": (0.7001, 0.7019, 0.6991, 0.7011),
    "noisy": (0.70, 0.75, 0.66, 0.72),
}
EXPECTED = {"cutout": "helped", "dropout": "hurt", "relabelled": "no practical difference", "noisy": "not decided"}


@pytest.fixture(scope="module")
def planted() -> Records:
    """A study whose verdicts are all four, by what was planted in it."""
    variants = tuple(Variant(name, RECIPE, "base" if name != "base" else None) for name in PLANTED)
    columns = ("train/loss", "validation/loss", "validation/accuracy", "test/loss")
    rows = [
        {"variant": name, "seed": seed, "key": f"{name}{seed}", "state": "stored", "reason": "", "seconds": 1.0,
         "weights": f"{name}{seed}", "parameters": 10.0, "dead_weights": 0.0, "test/accuracy": value,
         **dict.fromkeys(columns, 1.0 + 0.01 * seed)}
        for name, values in PLANTED.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    epochs = pd.DataFrame(rows).assign(epoch=1, lr=0.1, images_per_second=1.0)
    study = Study("planted", "Planted", variants, (0, 1, 2, 3), comparing=Comparing("paired"))
    return Records(Results(study, pd.DataFrame(rows), epochs), made="2026-01-02")


def test_verdicts_and_digits_are_the_same_in_every_form(planted: Records, tmp_path: Path) -> None:
    files = worded(planted, ["html", "md", "tex", "csv"], tmp_path)
    html, markdown, tex = (
        whole(next(file for file in files if file.suffix == suffix)) for suffix in (".html", ".md", ".tex")
    )
    told = json.loads(json.dumps(document(report(planted)), allow_nan=False))
    frame = table(planted.results).frame(planted.results).query("metric == 'test/accuracy'").set_index("variant")
    notebook = results_html(planted.results, "", ())
    rows = pd.read_csv(tmp_path / "comparisons.csv").set_index("candidate")

    headings = re.findall(r"(?m)^\| Variant \| Model .*$", plain(markdown))[0].split(" | ")
    headings = ["", *(heading.strip("| ") for heading in headings)]
    for found, numbers in zip(planted.results.comparisons, told["comparisons"], strict=True):
        name, verdict = found.candidate, EXPECTED[found.candidate]
        assert found.verdict == numbers["verdict"] == frame["verdict"][name] == rows["verdict"][name] == verdict
        assert [numbers[end] for end in ("difference", "low", "high", "p")] == [
            found.mean, found.low, found.high, found.p
        ]  # fmt: skip
        assert rows["difference"][name] == frame["difference"][name] == found.mean
        assert (rows["low"][name], rows["high"][name], rows["p"][name]) == (found.low, found.high, found.p)
        cells = verdict_text.line(found)
        bare, ends = plain(verdict_text.bare(found)), plain(verdict_text.interval(found))
        shown = plain(verdict_text.sentence(found))
        assert all(shown.replace("<", "&lt;") in plain(page) for page in (html, markdown))
        assert numbers["text"] == rows["text"][name] == verdict_text.sentence(found)
        row, *_ = re.findall(rf"(?m)^\| {name} \|.*$", plain(markdown))
        place = headings.index("Verdict")
        assert [cell.strip("\u2007\u2008 ") for cell in row.split("|")][place - 2 : place + 1] == [
            bare, ends, plain(cells.verdict)
        ]  # fmt: skip
        row = (
            re.findall(rf"(?m)^ +{name} &.*$", tex)[0].replace("~", " ").replace("$-$", "−").replace(r"\phantom{0}", "")
        )
        difference, judged = row.removesuffix(r" \\").split(" & ")[-2:]
        above, beneath = re.findall(r"^\\begin{tabular}.*?r@{}}(.*?)\\\\\[-2pt\]{\\scriptsize (.*?)}\\end", difference)[
            0
        ]
        assert [above, beneath, judged] == [bare, ends, plain(cells.verdict)]
        row = plain(html).partition(f">{name}</a></th>")[2].partition("</tr>")[0]
        assert (bare in row, ends in row, f">{plain(cells.verdict)}</b>" in row) == (True, True, True)
        row = plain(notebook).partition(f">{name}</td>")[2].partition("</tr>")[0]
        assert all(plain(part) in row for part in (cells.difference, ends, cells.verdict))
        assert shown.replace("<", "&lt;") in plain(Shown(**vars(found))._repr_html_())
    answer = plain(verdict_text.answer(planted.results.comparisons))
    assert answer in plain(notebook)
    sentences = [plain(sentence).replace("<", "&lt;") for sentence in answer_sentences(report(planted).conclusion)]
    assert " ".join(sentences) == plain(told["answer"]).replace("<", "&lt;")
    assert all(sentence in plain(page) for sentence in sentences for page in (html, markdown))
