"""The eight faults of the report that studies/cifar100_phases.toml re-creates, each shown by the tool by itself.

What its author wrote in notes does not count: it is looked for among findings, claims and comparisons.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate
from ablate.checks.study import findings
from ablate.paths import shipped

from .planted import five_phases, phase_2_from_scratch, plant
from .support import ablate as typed

if TYPE_CHECKING:
    from ablate.api.results import StudyResults
    from ablate.checks.finding import Finding
    from ablate.stats.claims import JudgedClaim

STUDY = shipped("studies") / "cifar100_phases.toml"
PAGES = ("report.html", "report.md")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the report's own curves as the results of three seeds each."""
    folder = tmp_path_factory.mktemp("phases")
    loaded = ablate.load_study(STUDY, store=folder / "store", data_dir=folder / "no-data", device="cpu")
    plant(loaded, five_phases)
    return folder / "store"


@pytest.fixture(scope="module")
def results(store: Path) -> StudyResults:
    return ablate.results(STUDY, store=store)


@pytest.fixture(scope="module")
def pages(results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of the report in each form, without markup, with ordinary spaces, on one line."""
    made = results.report(tmp_path_factory.mktemp("report"), ["html", "md"])
    return {path.name: plain(path.read_text()) for path in made}


def plain(page: str) -> str:
    bare = re.sub(r"<(style|script|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    bare = html.unescape(re.sub(r"<[^>]+>", " ", bare)).replace("\\", "")
    return re.sub(r"\s+", " ", bare)


@cache
def before_training() -> tuple[Finding, ...]:
    return ablate.load_study(STUDY, data_dir=Path("no-data"), device="cpu").findings


def doubts(results: StudyResults, code: str) -> list[Finding]:
    return [finding for finding in results.findings if finding.code == code]


def claimed(results: StudyResults, word: str) -> JudgedClaim:
    (found,) = (judged for judged in results.claims if word in judged.claim.text)
    return found


# 1. "Increased by 18.68 %" for points, "decreased slightly by 14 %" for a quarter of the accuracy.


@pytest.mark.parametrize("page", PAGES)
def test_1_differences_are_in_points_and_a_relative_change_says_of_what(pages: dict[str, str], page: str) -> None:
    for said in ("+18.68 points", "−14.01 points", "+11.95 points", "−25.6 % of the accuracy", "−27.0 % of the loss"):
        assert said in pages[page], said
    assert re.search(r"[+−][\d.]+ ?%(?! of the (accuracy|loss))", pages[page]) is None


# 2. Phases change several things at once, and the text credits each.


def test_2_phases_that_change_several_factors_are_named_before_anything_runs() -> None:
    said = {finding.where: finding for finding in before_training() if finding.code == "several-factors"}
    assert list(said) == ["Phase 3", "Phase 4"]
    assert "changes 4 factors against Phase 2 (model, optimizer, scheduler, epochs)" in said["Phase 3"].reason
    assert "changes 3 factors against Phase 3 (model, scheduler, augmentation)" in said["Phase 4"].reason
    assert {finding.level for finding in said.values()} == {"serious"}


@pytest.mark.parametrize("page", PAGES)
def test_2_no_claim_on_one_of_several_factors_is_supported(
    results: StudyResults, pages: dict[str, str], page: str
) -> None:
    credited = [judged for judged in results.claims if judged.claim.variant == "Phase 3"]
    assert [judged.claim.because for judged in credited] == ["model", "optimizer", "scheduler"]
    assert {judged.verdict for judged in credited} == {"cannot be told"}
    assert "cannot be told: 4 factors changed" in pages[page]
    assert "4 changes at once: cannot be credited to one." in pages[page]


# 3. The dip at epoch 20 is the schedule's.


def test_3_the_rate_that_rises_again_is_seen_before_anything_runs() -> None:
    said = {finding.where: finding.reason for finding in before_training() if finding.code == "rate-rises-again"}
    assert "reaches its minimum after epoch 10 of 12, then rises again to the end" in said["Phase 4"]
    assert "reaches its minimum after epoch 10 of 30" in said["Phase 5"]
    assert "is back at its maximum after epoch 20" in said["Phase 5"]


@pytest.mark.parametrize("page", PAGES)
def test_3_the_dip_is_shown_with_what_the_rate_did_meanwhile(
    results: StudyResults, pages: dict[str, str], page: str
) -> None:
    (finding,) = doubts(results, "dip")
    assert finding.where == "Phase 5"
    said = plain(finding.reason)
    assert re.search(r"from 42\.\d % at epoch 12 to 28\.\d % at epoch 20, and recovers", said)
    assert "meanwhile the learning rate rose from 0.00122 to 0.0488" in said
    assert finding.remedy.startswith("dip and recovery are the schedule's")
    assert said in pages[page]


# 4. Phase 2 does not train.


@pytest.mark.parametrize("page", PAGES)
def test_4_a_loss_that_is_flat_from_the_first_epoch_is_named(
    results: StudyResults, pages: dict[str, str], page: str
) -> None:
    (finding,) = doubts(results, "flat-loss")
    assert (finding.where, finding.level) == ("Phase 2", "serious")
    assert plain(finding.reason) == "its training loss does not fall: 2.30 in the first epoch, 2.30 in the last of 5"
    assert finding.remedy.startswith("check that the optimizer has this model's parameters, that its weights are new")
    assert plain(finding.reason) in pages[page]


def test_4_reported_numbers_that_no_run_from_scratch_comes_near_are_named(tmp_path: Path) -> None:
    loaded = ablate.load_study(STUDY, store=tmp_path / "store", data_dir=tmp_path, device="cpu")
    plant(loaded, phase_2_from_scratch)
    made = ablate.results(loaded)
    assert doubts(made, "flat-loss") == []
    found = doubts(made, "reported-not-reached")
    assert {finding.where for finding in found} == {"Phase 2"}
    accuracy, loss = (plain(finding.reason) for finding in found)
    assert accuracy.startswith("the study quotes a test accuracy of 36 %, and no run comes near it: 3 runs end at 27.")
    assert loss.startswith("the study quotes a test loss of 2.48, and no run comes near it: 3 runs end at 2.8")


# 5. The conclusions contradict the table.


def test_5_cutout_is_contradicted_by_runs_and_by_the_reports_own_numbers(results: StudyResults) -> None:
    found = claimed(results, "Cutout")
    assert (found.verdict, found.evidence.verdict) == ("contradicted", "hurt")
    assert found.evidence.mean == pytest.approx(-0.14, abs=0.01)
    assert found.reported is not None
    assert not found.reported.agrees


def test_5_a_deeper_network_is_contradicted_by_runs_and_by_the_reports_own_numbers(results: StudyResults) -> None:
    found = claimed(results, "deeper")
    assert found.verdict == "contradicted"
    assert (found.claim.variant, found.claim.against, found.evidence.verdict) == ("Phase 5", "Phase 3", "hurt")
    assert found.reported is not None
    assert not found.reported.agrees


def test_5_dropout_is_not_found_to_help(results: StudyResults) -> None:
    found = claimed(results, "dropout")
    assert found.verdict != "supported"
    assert found.reported is not None
    assert not found.reported.agrees


@pytest.mark.parametrize("page", PAGES)
def test_5_the_report_says_which_claims_its_numbers_speak_against(pages: dict[str, str], page: str) -> None:
    assert "contradicted" in pages[page]
    assert "−2.06 points (54.68 → 52.62 %, −3.8 % of the accuracy), against the claim" in pages[page]
    assert "−14.01 points (54.68 → 40.67 %, −25.6 % of the accuracy), against the claim" in pages[page]
    assert "−0.2 points (36.2 → 36 %, −0.6 % of the accuracy), against the claim" in pages[page]


def test_5_the_reports_own_numbers_speak_against_it_before_anything_runs(tmp_path: Path) -> None:
    loaded = ablate.load_study(STUDY, store=tmp_path / "store", data_dir=tmp_path, device="cpu")
    plant(loaded, five_phases, seeds=())
    judged = {one.claim.text: one for one in ablate.results(loaded).claims}
    against = [text for text, one in judged.items() if one.reported and not one.reported.agrees]
    assert len(against) == 4
    assert {one.verdict for one in judged.values()} == {"not decided", "cannot be told"}
    said = {(one.where, one.reason.replace("\xa0", " ")) for one in loaded.findings if "claim" in one.code}
    quoted = "and the numbers that the study quotes say"
    assert said == {
        ("Phase 2", f"1 claim says that it is better than Phase 1, {quoted} −0.2 points"),
        ("Phase 4", f"2 claims say that it is better than Phase 3, {quoted} −14.01 points"),
        ("Phase 5", f"1 claim says that it is better than Phase 3, {quoted} −2.06 points"),
    }


def test_5_the_terminal_says_which_claims_are_contradicted(store: Path) -> None:
    said = plain(typed("verdict", STUDY, "--store", store).output)
    assert "contradicted: Cutout is essential for generalisation" in said
    assert "contradicted: A deeper network raises accuracy a lot" in said
    assert "the reported numbers themselves say −2.06 points, against the claim" in said


# 6. One seed each, so no difference has an error bar.


@pytest.mark.parametrize("page", PAGES)
def test_6_reported_numbers_are_said_to_have_no_interval(pages: dict[str, str], page: str) -> None:
    assert (
        "Reported numbers are those that the study quotes, with the digits it quotes; they have no interval."
        in (pages[page])
    )
    assert "one number each, so without an interval" in pages[page]


def test_6_a_study_of_one_seed_is_told_that_nothing_has_an_error_bar(tmp_path: Path) -> None:
    loaded = ablate.load_study(STUDY, seeds=[0], store=tmp_path / "store", data_dir=tmp_path, device="cpu")
    (finding,) = (one for one in loaded.findings if one.code == "one-seed")
    assert finding.reason == "with one seed no difference has an error bar"
    plant(loaded, five_phases)
    made = ablate.results(loaded)
    assert {made.comparison(f"Phase {number}").verdict for number in (2, 3, 4, 5)} == {"not decided"}
    (path,) = made.report(tmp_path / "report", "md")
    assert "One seed each gives no interval: what looks like a difference may be chance." in plain(path.read_text())
    assert "supported" not in {judged.verdict for judged in made.claims}


# 7. The test set is watched every epoch, and steers the next phase.


@pytest.mark.parametrize("page", PAGES)
def test_7_that_everything_is_decided_on_the_test_set_is_said(pages: dict[str, str], page: str) -> None:
    (finding,) = (finding for finding in before_training() if finding.code == "no-validation")
    assert finding.where == "every variant"
    assert "whatever is decided from these numbers is decided on the test set" in finding.reason
    assert finding.reason in pages[page]


# 8. Unequal budgets.


@pytest.mark.parametrize("page", PAGES)
def test_8_unequal_budgets_are_named_with_their_numbers(pages: dict[str, str], page: str) -> None:
    (finding,) = (finding for finding in before_training() if finding.code == "unequal-epochs")
    assert "5, 12, 30 epochs (250,000, 600,000, 1,500,000 images)" in finding.reason
    assert finding.reason in pages[page]


def test_8_that_one_phase_looks_for_its_rate_and_the_one_before_does_not_is_said() -> None:
    (finding,) = (finding for finding in before_training() if finding.code == "unequal-search")
    assert finding.reason.startswith("finds its learning rate by a range test, and that of Phase 2 is fixed")


# All of them, where a user looks first.


@pytest.mark.long
def test_the_terminal_names_the_doubts_of_the_study(store: Path) -> None:
    said = plain(typed("check", STUDY, "--store", store).output)
    before = "several-factors", "rate-rises-again", "no-validation", "unequal-epochs", "claim-against-reported"
    for code in (*before, "flat-loss", "dip"):
        assert f"[{code}]" in said


def test_the_findings_are_those_of_the_study_alone_and_not_of_its_notes() -> None:
    loaded = ablate.load_study(STUDY, data_dir=Path("no-data"), device="cpu")
    bare = replace(loaded.study, note="", variants=tuple(replace(one, note="") for one in loaded.study.variants))
    assert {one.code for one in findings(bare, loaded.walks)} >= {"several-factors", "no-validation", "unequal-epochs"}
