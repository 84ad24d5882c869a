"""Claims: how they are read, and what results say of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate
from ablate.checks.study import findings
from ablate.commands.verdict import verdicts_document
from ablate.console.claims import claim_lines
from ablate.errors import StudyError
from ablate.report import claim_text
from ablate.report.content import Records, report
from ablate.report.document import document
from ablate.study.comparisons import Claim, PlannedComparison
from ablate.study.toml import Changes, parse_study
from tests.support import whole
from tests.worded import worded

from .planted import finals, plant, planted

if TYPE_CHECKING:
    from ablate.stats.claims import JudgedClaim
    from ablate.stats.results import Results
    from ablate.study.spec import Study

HEAD = """
[study]
name = "s"
seeds = 4
[compare]
method = "paired"
[baseline]
name = "base"
epochs = 2
batch_size = 8
dataset = { use = "d" }
model = { use = "m", width = 1 }
augmentation = [{ use = "flip" }]
optimizer = { use = "sgd", lr = 0.1 }
[[variant]]
name = "one"
add = { augmentation = [{ use = "cutout", size = 8 }] }
[[variant]]
name = "two"
from = "one"
set = { model = { use = "m", width = 2, depth = 3 }, epochs = 3 }
"""
BASE = [0.500, 0.505, 0.495, 0.502]
HIGH = [0.600, 0.604, 0.597, 0.601]
SAME = [0.501, 0.504, 0.496, 0.501]
NOISY = [0.55, 0.42, 0.65, 0.40]


def claim(**keys: str) -> str:
    given = {"text": "T", "says": "better"} | {"variant": "one"} | keys
    return "[[claim]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items()) + "\n"


def study(*claims: str, head: str = HEAD, settings: tuple[str, ...] = ()) -> Study:
    return parse_study(head + "".join(claims), Path("s.toml"), Changes(settings)).done()


def judged(*claims: str, one: list[float] = HIGH, two: list[float] = SAME, head: str = HEAD) -> Results:
    return planted(study(*claims, head=head), finals({"base": BASE, "one": one, "two": two}))


def only(results: Results) -> JudgedClaim:
    (found,) = results.claims
    return found


# --- reading ---------------------------------------------------------------------------------------------------


def test_a_claim_is_against_what_its_variant_is_compared_with_first_unless_it_says_otherwise() -> None:
    found = study(claim(variant="two"), claim(variant="two", against="base"), claim(against="baseline")).claims
    assert [(one.variant, one.against) for one in found] == [("two", "one"), ("two", "base"), ("one", "base")]
    assert found[0] == Claim("T", "two", "one", "better")


def test_a_pair_that_only_a_claim_is_about_joins_the_comparisons_once_and_last() -> None:
    claims = claim(variant="two", against="base"), claim(variant="base", against="two", says="worse"), claim()
    assert study(*claims).comparisons == (
        PlannedComparison("one", "base", "change"),
        PlannedComparison("two", "one", "change"),
        PlannedComparison("two", "base", "claim"),
    )


def test_what_a_variant_is_compared_with_first_is_never_a_claims_pair() -> None:
    results = judged(claim(variant="base", against="two", says="worse"))
    assert results.reference("base") is None
    assert [found.family for found in results.comparisons] == [3, 3, 3]


@pytest.mark.parametrize(
    ("keys", "where", "what"),
    [
        ({"variant": "onee"}, "variant", r"there is no variant 'onee'; did you mean 'one'\?"),
        ({"against": "bas"}, "against", r"there is no variant 'bas'; did you mean 'base'\?"),
        ({"against": "one"}, "against", "'one' cannot be compared with itself"),
        ({"variant": "base"}, "", "'base' comes from no variant, so say what it is compared with"),
        ({"says": "bigger"}, "says", '"bigger" is not "better"'),
        ({"text": " "}, "text", "is empty"),
        ({"because": "cutout"}, "because", "accepts augmentation.cutout"),
        ({"because": "augmentation.cutot"}, "because", r"did you mean 'augmentation.cutout'\?"),
        ({"variant": "two", "because": "optimizer"}, "because", "accepts model.width, model.depth, epochs"),
        ({"why": "x"}, "why", "unknown key 'why'"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_a_problem_with_its_place(keys: dict[str, str], where: str, what: str) -> None:
    with pytest.raises(StudyError, match=what) as told:
        study(claim(**keys))
    assert len(told.value.problems) == 1
    assert told.value.problems[0].where == "claim 1" + (f": {where}" if where else "")
    assert told.value.problems[0].line is not None


@pytest.mark.parametrize("text", ["claim = 3\n", "[claim]\ntext = 'x'\n"])
def test_claims_that_are_no_list_are_a_problem(text: str) -> None:
    with pytest.raises(StudyError, match=r"write \[\[claim\]\]"):
        parse_study(text + HEAD, Path("s.toml")).done()


def test_a_claim_on_a_variant_with_problems_of_its_own_adds_none() -> None:
    with pytest.raises(StudyError) as told:
        study(claim(), head=HEAD.replace("size = 8 }", "size = 8 }, 3"))
    assert all("claim" not in problem.where for problem in told.value.problems)


def test_what_a_claim_credits_may_be_gone_after_a_change_on_the_command_line() -> None:
    credit = claim(variant="two", because="epochs")
    changed = study(credit, settings=("two.epochs=2",))
    results = planted(changed, finals({"base": BASE, "one": BASE, "two": HIGH}))
    assert claim_text.claim_verdict(only(results)) == "cannot be told: epochs did not change"


def test_a_claim_is_no_part_of_a_runs_recipe() -> None:
    assert study(claim()).variants == study().variants


# --- what results say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "values", "verdict"),
    [
        ("better", HIGH, "supported"),
        ("worse", HIGH, "contradicted"),
        ("no difference", HIGH, "contradicted"),
        ("better", SAME, "contradicted"),
        ("no difference", SAME, "supported"),
        ("better", NOISY, "not decided"),
        ("no difference", NOISY, "not decided"),
    ],
)
def test_a_claim_is_held_against_its_comparison(says: str, values: list[float], verdict: str) -> None:
    found = only(judged(claim(says=says), one=values))
    assert found.verdict == verdict
    assert (found.evidence.candidate, found.evidence.reference) == ("one", "base")


def test_less_loss_is_better() -> None:
    head = HEAD.replace("seeds = 4", 'seeds = 4\nmetric = "test/loss"')
    assert only(judged(claim(), head=head)).verdict == "supported"


def test_a_pair_that_is_planned_the_other_way_round_is_evidence_all_the_same() -> None:
    found = only(judged(claim(variant="base", against="one", says="worse")))
    assert (found.evidence.candidate, found.evidence.verdict, found.verdict) == ("one", "helped", "supported")
    assert only(judged(claim(variant="base", against="one", says="better"))).verdict == "contradicted"


def test_one_of_several_changed_factors_cannot_be_credited() -> None:
    credit = claim(variant="two", against="base", because="augmentation.cutout")
    found = only(judged(credit, two=HIGH))
    assert found.verdict == "cannot be told"
    assert found.factors == ("augmentation.cutout", "model", "epochs")
    assert claim_text.claim_verdict(found) == "cannot be told: 3 factors changed"
    assert only(judged(credit, two=NOISY)).verdict == "cannot be told"  # more seeds would not help


def test_where_several_factors_changed_it_is_said_what_would_tell() -> None:
    planned, other = judged(
        claim(variant="two", because="epochs"), claim(variant="two", against="base", because="epochs"), two=[0.7] * 4
    ).claims
    told = "Variants that change one of these at a time would tell"
    assert f"{told}; ablate explain two writes them." in claim_text.claim_evidence(planned)
    assert f"{told}." in claim_text.claim_evidence(other)
    back = only(judged(claim(variant="one", against="two", says="worse", because="epochs"), two=[0.7] * 4))
    assert f"{told}; ablate explain two writes them." in claim_text.claim_evidence(back)


def test_a_difference_that_contradicts_does_so_whatever_changed() -> None:
    credit = claim(variant="two", against="base", because="augmentation.cutout", says="worse")
    assert only(judged(credit, two=HIGH)).verdict == "contradicted"


def test_a_claim_about_the_difference_alone_does_not_care_what_changed() -> None:
    assert only(judged(claim(variant="two", against="base"), two=HIGH)).verdict == "supported"


def test_the_only_change_can_be_credited_also_by_the_name_of_its_component() -> None:
    assert only(judged(claim(because="augmentation.cutout"))).verdict == "supported"
    assert only(judged(claim(because="augmentation"))).verdict == "supported"


def test_one_setting_of_a_component_cannot_be_credited_where_another_changed_too() -> None:
    head = HEAD.replace(", epochs = 3", "")
    found = only(judged(claim(variant="two", because="model.width"), head=head, two=[0.7, 0.704, 0.697, 0.702]))
    assert (found.verdict, found.factors) == ("cannot be told", ("model.width", "model.depth"))
    whole = only(judged(claim(variant="two", because="model"), head=head, two=[0.7, 0.704, 0.697, 0.702]))
    assert whole.verdict == "supported"


def test_a_factor_of_a_design_can_be_credited_by_its_name() -> None:
    head = HEAD.partition("[[variant]]")[0] + (
        "[factor.long]\nset = { epochs = 3, batch_size = 16 }\n"
        "[factor.cut]\nadd = { augmentation = [{ use = 'cut' }] }\n"
        "[design]\nkind = 'factorial'\n"
    )
    claims = claim(variant="long", because="long"), claim(variant="long + cut", against="base", because="cut")
    values = {"base": BASE, "long": HIGH, "cut": BASE, "long + cut": HIGH}
    alone, both = planted(study(*claims, head=head), finals(values)).claims
    assert alone.verdict == "supported"
    assert (both.verdict, both.factors) == ("cannot be told", ("cut", "long"))


def test_without_runs_a_claim_is_not_decided() -> None:
    made = judged(claim())
    runs = made.runs.assign(state="new")
    found = only(type(made)(made.study, runs, made.epochs[:0]))
    assert found.verdict == "not decided"
    assert claim_text.claim_evidence(found) == ["one cannot be compared with base yet: no seed has a result for both."]


# --- reported numbers ------------------------------------------------------------------------------------------

REPORTED = HEAD.replace('name = "base"', 'name = "base"\nreported = { accuracy = 0.5468, loss = 1.81 }').replace(
    'name = "one"', 'name = "one"\nreported = { accuracy = 0.5262, loss = 1.74 }'
)


@pytest.mark.parametrize(
    ("metric", "says", "agrees"),
    [
        ("test/accuracy", "better", False),
        ("test/accuracy", "worse", True),
        ("test/accuracy", "no difference", False),
        ("test/loss", "better", True),
    ],
)
def test_reported_numbers_point_one_way_or_the_other(metric: str, says: str, agrees: bool) -> None:
    head = REPORTED.replace("seeds = 4", f'seeds = 4\nmetric = "{metric}"')
    found = only(judged(claim(says=says), head=head)).reported
    assert found is not None
    assert found.agrees is agrees


def test_reported_numbers_that_speak_against_a_claim_are_said_to_in_points_and_as_a_share() -> None:
    told = claim_text.claim_evidence(only(judged(claim(), head=REPORTED)))[-1].replace("\xa0", " ")
    assert told == (
        "The reported numbers themselves say −2.06 points (54.68 → 52.62 %, −3.8 % of the accuracy), "
        "against the claim; one number each, so without an interval."
    )


def test_a_validation_metric_has_no_reported_numbers() -> None:
    head = REPORTED.replace("seeds = 4", 'seeds = 4\nmetric = "validation/accuracy"')
    assert only(judged(claim(), head=head)).reported is None


@pytest.mark.parametrize(("says", "count"), [("better", 1), ("worse", 0)])
def test_reported_numbers_against_a_claim_are_a_finding_before_anything_runs(says: str, count: int) -> None:
    made = study(claim(says=says), claim(says=says, because="augmentation.cutout"), head=REPORTED)
    found = [finding for finding in findings(made) if finding.code == "claim-against-reported"]
    assert len(found) == count
    assert [(finding.where, finding.reason.replace("\xa0", " ")) for finding in found] == [
        ("one", "2 claims say that it is better than base, and the numbers that the study quotes say −2.06 points")
    ] * count


# --- in reports ------------------------------------------------------------------------------------------------


def test_every_form_of_the_report_has_the_claims_with_verdict_and_evidence(tmp_path: Path) -> None:
    claims = claim(text="Cutout | is <b>crucial</b>"), claim(variant="two", against="base", because="epochs")
    records = Records(judged(*claims, two=HIGH))
    for path in worded(records, ["html", "md", "tex"], tmp_path):
        page = re.sub(r"\s+", " ", whole(path).replace("~", " ").replace("\\", ""))
        assert "cannot be told: 3 factors changed" in page, path
        assert "supported" in page, path
        assert "one helped: +10.00 points in test accuracy against base (" in page, path
        assert "<b>crucial</b>" not in page.replace("textbf", "") or path.suffix == ".tex"
    made = document(report(records))
    assert [one["verdict"] for one in made["claims"]] == ["supported", "cannot be told"]
    assert made["claims"][0]["evidence"]["difference"] == pytest.approx(0.1)
    assert made["claims"][1]["factors"] == ["epochs", "model", "augmentation.cutout"]


def test_a_report_without_claims_has_no_part_for_them(tmp_path: Path) -> None:
    for path in worded(Records(judged()), ["html", "md", "tex"], tmp_path):
        assert "Claims" not in whole(path)


def test_a_claim_can_be_added_to_a_study_that_has_run(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    head = HEAD.replace('"d" }', '"digits" }').replace('"m", width', '"simple-cnn", width').replace(", depth = 3", "")
    file.write_text(head)
    plant(ablate.load_study(file, store=tmp_path / "store"), finals({"base": BASE, "one": HIGH, "two": SAME}))
    file.write_text(head + claim())
    results = ablate.results(file, store=tmp_path / "store")
    assert repr(results.claims) == "(<claim 'T': supported>,)"
    assert "supported: T" in results._repr_html_()
    assert set(results.runs["state"]) == {"stored"}


def test_the_terminal_lists_each_claim_with_its_verdict_and_what_reported_numbers_say() -> None:
    claims = claim(text="Cutout helps"), claim(text="So do epochs", variant="two", against="base", because="epochs")
    results = judged(*claims, two=HIGH, head=REPORTED)
    assert claim_lines(results.claims, width=200) == [
        "",
        "Claims",
        "  supported: Cutout helps",
        "      one is better than base; the reported numbers themselves say −2.06 points, against the claim",
        "  cannot be told: 3 factors changed: So do epochs",
        "      two is better than base, because of epochs",
    ]
    assert max(map(len, claim_lines(results.claims, width=40))) <= 40
    assert claim_lines(judged().claims) == []


def test_json_has_each_claim_with_its_evidence() -> None:
    (found,) = verdicts_document(judged(claim(because="augmentation.cutout"), head=REPORTED))["claims"]
    assert found["text"] == "T"
    assert (found["variant"], found["against"], found["says"]) == ("one", "base", "better")
    assert (found["verdict"], found["factors"]) == ("supported", ["augmentation.cutout"])
    assert found["evidence"]["difference"] == pytest.approx(0.1)
    assert found["reported"] == {"metric": "test/accuracy", "before": 0.5468, "after": 0.5262, "agrees": False}
    assert json.loads(json.dumps(found)) == found
