"""How a study was made: methods in words, what to cite, what a report rests on; and accuracy against cost."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablate.commands.outcome import results_table
from ablate.launch.git import git_state
from ablate.report.content import Records, report
from ablate.report.facts import Amount
from ablate.report.methods_text import bibtex, cost_sentence, methods_text
from ablate.report.references import ENTRIES, references
from ablate.stats.cost_fronts import cost_fronts
from ablate.store.store import Store
from ablate.store.studies import find_study
from tests.support import ablate, run_here

from . import test_report_tuning
from .test_report_answer import phases, study_of, without

if TYPE_CHECKING:
    from ablate.stats.results import Results


def said(results: Results, **records: object) -> str:
    made = report(Records(results, **records)).methods  # type: ignore[arg-type]
    assert made
    return " ".join(methods_text(made)).replace("\xa0", " ")


def test_methods_say_how_variants_were_trained_and_compared() -> None:
    text = said(phases(), environments=("cpu (a chip), 2 threads; torch 2.15.0",))
    assert "No validation split was held out." in text
    assert "with model simple-cnn, augmentation random-crop (padding 4), flip, optimizer adam (lr 0.001)" in text
    assert "Every variant was trained with 3 seeds (0, 1, 2)." in text
    assert "Variants are compared on test accuracy after the last epoch; no epoch is chosen by its result." in text
    assert "The 5 comparisons are one family: p is adjusted by Holm’s method and multiplied by a constant" in text
    assert "An interval within ±0.5 points is called no practical difference." in text
    assert text.endswith("Runs were made on cpu (a chip), 2 threads; torch 2.15.0.")


def test_methods_of_a_study_under_way_say_how_many_runs_are_done() -> None:
    text = said(without(phases(), "Phase 5", "new", first=1))
    assert "Every variant is to be trained with 3 seeds (0, 1, 2): 13 of 15 runs are done." in text


def test_methods_say_how_settings_were_tuned() -> None:
    made = report(test_report_tuning.realistic()).methods
    assert made
    assert next(part for part in methods_text(made) if "tuned" in part) == (
        "Settings of Phase 1, Phase 2, Phase 3, Phase 4 were tuned with 50 trials each, proposed by Optuna’s tpe "
        "sampler, for the best validation accuracy after 5 epochs with seed 1000."
    )


def test_what_to_cite_is_what_was_used() -> None:
    made = report(Records(phases())).methods
    assert made
    assert [one.key for one in made.references] == [
        "krizhevsky2009learning",
        "paszke2019pytorch",
        "torchvision2016",
        "student1908probable",
        "satterthwaite1946approximate",
        "holm1979simple",
    ]


def test_a_study_without_comparisons_names_no_method() -> None:
    text = said(study_of({"a": [0.5, 0.51]}))
    assert "intervals" not in text
    made = report(Records(study_of({"a": [0.5, 0.51]}))).methods
    assert made
    assert "holm1979simple" not in bibtex(made)


def test_a_single_comparison_is_not_adjusted() -> None:
    assert "A difference is called where p is below 0.05." in said(study_of({"a": [0.5, 0.51], "b": [0.6, 0.612]}))


def test_entries_are_bibtex_and_each_stands_once() -> None:
    every = references([*ENTRIES])
    assert len({one.key for one in every}) == len(every) == len(ENTRIES) - 1
    for one in every:
        assert re.match(rf"@[a-z]+{{{one.key},\n", one.bibtex)
        assert one.bibtex.count("{") == one.bibtex.count("}")
        assert all(f"  {field} = {{" in one.bibtex for field in ("title", "author", "year"))
    assert next(one for one in every if one.key == "krizhevsky2009learning").what == "CIFAR-10, CIFAR-100"


def test_the_front_has_what_none_beats_in_both() -> None:
    results = study_of({"a": [0.5, 0.5], "b": [0.6, 0.6], "c": [0.55, 0.55], "d": [0.7, 0.7]})
    results.runs["seconds"] = results.runs["variant"].map({"a": 10.0, "b": 20.0, "c": 30.0, "d": 60.0})
    results.runs["parameters"] = 1e6  # the same for all: nothing to tell
    (front,) = cost_fronts(results)
    assert [point.variant for point in front.front] == ["a", "b", "d"]
    assert {point.variant: point.beaten_by for point in front.points}["c"] == "b"
    assert cost_sentence(front).replace("\xa0", " ") == (
        "3 of 4 variants are beaten by no other in mean test accuracy at the same or lower median training time: "
        "a (50.00 %, 10 s), b (60.00 %, 20 s), d (70.00 %, 1 min). Another is as good or better and costs no more: "
        "c (by b)."
    )


def test_for_a_loss_less_is_better_on_the_front() -> None:
    results = study_of({"a": [0.5, 0.5], "b": [0.6, 0.6]}, metric="test/loss")
    results.runs["seconds"] = results.runs["variant"].map({"a": 30.0, "b": 20.0})
    (front,) = cost_fronts(results)
    assert [point.variant for point in front.front] == ["b"]


def test_one_disturbed_run_moves_neither_the_front_nor_the_table_and_the_section_tells_it() -> None:
    results = study_of({"a": [0.5, 0.5, 0.5], "b": [0.6, 0.6, 0.6]})
    results.runs["seconds"] = [10.0, 900.0, 11.0, 20.0, 21.0, 22.0]
    made = report(Records(results))
    (front,) = made.costs
    assert [(point.variant, point.cost) for point in front.front] == [("a", 11.0), ("b", 21.0)]
    assert [row.seconds for row in made.table.rows] == [11.0, 21.0]
    told = [section.finals[-1] for section in made.sections]
    assert [(fact.label, fact.value.value, fact.detail) for fact in told if isinstance(fact.value, Amount)] == [
        ("time a run", 11.0, "median; runs took 10\xa0s to 15\xa0min"),
        ("time a run", 21.0, ""),
    ]
    assert results_table(results).splitlines()[-2].endswith("11\xa0s")


def test_one_that_is_as_good_for_clearly_less_beats() -> None:
    results = study_of({"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.6, 0.6]})
    results.runs["seconds"] = results.runs["variant"].map({"a": 10.0, "b": 20.0, "c": 60.0})
    (front,) = cost_fronts(results)
    assert [point.variant for point in front.front] == ["a", "c"]


def test_a_pilot_and_costs_that_are_the_same_have_no_front() -> None:
    alike = study_of({"a": [0.5, 0.5], "b": [0.6, 0.6]})
    alike.runs["seconds"] = [10.0, 10.1, 10.1, 10.0]
    assert cost_fronts(alike) == ()
    assert cost_fronts(study_of({"a": [0.5, 0.5], "b": [0.6, 0.6]}, pilot=True)) == ()


def test_provenance_has_the_key_and_the_state_of_every_run() -> None:
    made = report(Records(phases(), sources=(("plugins/mine.py", "abc"),), git="commit 123")).provenance
    assert made
    assert (len(made.runs), made.runs[0].key, made.runs[0].state) == (15, "cifar100-phases Phase 1 0", "stored")
    assert (made.sources, made.git) == ((("plugins/mine.py", "abc"),), "commit 123")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_repository_of_a_study_is_recorded_when_it_is_run(study: Path) -> None:
    def git(*arguments: str) -> str:
        named = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(["git", *named, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert git_state(study.resolve()) == ""
    git("init", "-q")
    git("add", "studies", "plugins")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert git_state(study.resolve()) == f"commit {commit}"
    assert run_here(study) == 0
    _, record = find_study(Store(Path("ablate-store")), "tiny", None)
    assert record.git == f"commit {commit}"
    study.write_text(study.read_text(encoding="utf-8") + "\n# more\n", encoding="utf-8")
    assert git_state(study.resolve()) == f"commit {commit}, with changes that are not committed"
    assert ablate("report", study, "--format", "md", "--out", "out").exit_code == 0
    text = Path("out/report.md").read_text(encoding="utf-8")
    assert f"- study file: commit {commit}" in text
    assert "- made by: `ablate run studies/tiny.toml`\n- made by: `ablate report tiny`\n" in text
    assert ablate("report", study, "--format", "md", "--out", "out", "--method", "welch").exit_code == 0
    assert "- made by: `ablate report tiny --method welch`" in Path("out/report.md").read_text(encoding="utf-8")
    assert "plugins/tiny.py" in text
