"""Studies whose seeds are added where comparisons are not decided, through the seam: runs are drawn, not trained."""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate
from ablate.commands.run import run_study
from ablate.commands.status import show_status
from ablate.execute.jobs import Job
from ablate.launch.make import RunOptions
from ablate.launch.plan import plan
from ablate.launch.study import open_study
from ablate.training.machine import Machine
from tests.support import Draws, KilledError, options
from tests.support import ablate as command

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.launch.plan import Plan

GROWING = """
[study]
name = "growing"
seeds = { min = 3, max = 12 }
[baseline]
epochs = 1
batch_size = 16
dataset = { use = "tiny", validation = 16 }
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-2 }
"""
EFFECTS = {"clear": 0.5, "placebo": 0.0}


def variants(*names: str) -> str:
    """Variants that differ from the baseline in nothing that matters here: results are drawn."""
    return "".join(
        f'[[variant]]\nname = "{name}"\nset = {{ label_smoothing = 0.{place + 1} }}\n'
        for place, name in enumerate(names)
    )


@pytest.fixture
def growing(study: Path, write: Callable[[str, str], Path]) -> Path:
    """A study of a baseline, a variant with a clear effect and one with none."""
    assert study.exists()  # its plugin has the dataset
    return write("studies/growing.toml", GROWING + variants("clear", "placebo"))


def run(study: Path, executor: Draws, *settings: str, only: tuple[str, ...] = (), retry: bool = False) -> int:
    return run_study(options(study, *settings, only=only), RunOptions(1, retry), executor)


def planned(study: Path, *settings: str) -> Plan:
    return plan(open_study(options(study, *settings)))


def seeds(made: Plan) -> Counter[str]:
    return Counter(one.spec.variant for one in made.runs)


def test_a_clear_effect_stops_at_the_first_look_and_what_is_not_decided_gets_more_with_its_reference(
    growing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draws = Draws(EFFECTS)
    assert run(growing, draws) == 0
    told = capsys.readouterr()
    assert seeds(planned(growing)) == {"baseline": 12, "clear": 3, "placebo": 12}
    assert Counter(name for name, _ in draws.made) == {"baseline": 12, "clear": 3, "placebo": 12}
    assert draws.rehearsed == ["baseline", "clear", "placebo"]
    assert "growing: 9 runs (at most 36), 0 stored, 9 to make" in told.err
    assert (
        "looked at 3 seeds: clear against baseline helped; 1 of 2 open comparisons not decided: "
        "4 seeds next, 2 more runs" in told.err
    )
    assert "looked at 12 seeds: 1 of 1 open comparison not decided, and 12 seeds are the most" in told.err


def test_the_first_seeds_of_all_variants_come_before_any_that_a_look_adds(growing: Path) -> None:
    draws = Draws(EFFECTS)
    run(growing, draws)
    assert draws.made[:9] == [(name, seed) for seed in range(3) for name in ("baseline", "clear", "placebo")]


def test_equal_variants_are_no_practical_difference_before_the_most_seeds(growing: Path) -> None:
    growing.write_text(growing.read_text() + "[compare]\nmargin = 0.05\n")
    draws = Draws({"clear": 0.0, "placebo": 0.0}, spread=0.004)
    run(growing, draws)
    found = ablate.results(growing).comparison("placebo")
    assert found.verdict == "no practical difference"
    assert found.look is not None
    assert found.look < 12
    assert set(seeds(planned(growing)).values()) <= {3, 4, 6}


def test_a_study_that_was_killed_goes_on_to_the_same_runs_and_makes_none_twice(growing: Path) -> None:
    whole = Draws(EFFECTS)
    elsewhere = replace(options(growing), store=growing.parent / "elsewhere")
    run_study(elsewhere, RunOptions(1), whole)
    made: list[tuple[str, int]] = []
    for _ in range(20):
        part = Draws(EFFECTS, stops_after=4)
        try:
            run(growing, part)
        except KilledError:
            made += part.made
        else:
            made += part.made
            break
    assert made == whole.made
    again = Draws(EFFECTS)
    assert run(growing, again) == 0
    assert again.made == []


def test_what_is_asked_for_is_a_pure_function_of_what_is_stored(growing: Path) -> None:
    """Whatever else is stored, and in whatever order it came, a decision stands and the same runs are wanted."""
    study = open_study(options(growing))
    study.home.make_writable()
    order = list(study.specs)
    random.Random(0).shuffle(order)
    Draws(EFFECTS).run(
        [Job(spec, study.home.root, Machine(Path("data"), "cpu", 1)) for spec in order], lambda event: None
    )
    wanted = plan(study)
    assert seeds(wanted) == {"baseline": 12, "clear": 3, "placebo": 12}  # 9 runs of "clear" are not looked at
    assert wanted.later == ()


def test_seeds_that_were_never_asked_for_are_no_gap(growing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(growing, Draws(EFFECTS))
    found = ablate.results(growing)
    assert set(found.runs["state"]) == {"stored"}
    assert len(found.runs) == 27
    capsys.readouterr()
    assert show_status(options(growing).store, None, as_json=True) == 0
    (told,) = json.loads(capsys.readouterr().out)["studies"]
    assert told["runs"] == {"stored": 27, "failed": 0, "unfinished": 0, "new": 0}
    show_status(options(growing).store, "growing")
    assert "new" not in capsys.readouterr().out


def test_a_decided_comparison_is_of_its_look_and_says_so(growing: Path) -> None:
    run(growing, Draws(EFFECTS))
    found = ablate.results(growing)
    clear, placebo = found.comparison("clear"), found.comparison("placebo")
    assert (clear.verdict, clear.look, clear.seeds) == ("helped", 3, (0, 1, 2))
    assert clear.p is not None
    assert clear.p < clear.level < 0.05
    assert (placebo.verdict, placebo.look, len(placebo.seeds)) == ("not decided", 12, 12)
    assert found.comparison("clear", metric="test/loss").look == 3
    assert found.comparison("clear", "placebo").look == 12
    other = json.loads(command("verdict", "growing", "--metric", "test/loss", "--json").stdout)["comparisons"]
    assert [(one["metric"], one["look"]) for one in other] == [("test/loss", 3), ("test/loss", 12)]


def test_a_look_does_without_runs_that_failed_and_names_them(growing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draws = Draws(EFFECTS, fails={("placebo", 1)})
    assert run(growing, draws) == 1
    assert "looked at 3 seeds (without placebo seed 1, which failed): clear" in capsys.readouterr().err
    assert ("placebo", 11) in draws.made
    again = Draws(EFFECTS)
    assert run(growing, again, retry=True) == 0
    assert again.made == [("placebo", 1)]


def test_a_variant_that_is_added_later_begins_with_the_first_seeds(growing: Path) -> None:
    run(growing, Draws(EFFECTS))
    growing.write_text(GROWING + variants("clear", "placebo", "late"))
    draws = Draws({**EFFECTS, "late": 0.4})
    run(growing, draws)
    assert draws.made == [("late", 0), ("late", 1), ("late", 2)]
    assert ablate.results(growing).comparison("late").verdict == "helped"


def test_only_some_variants_make_their_part_and_say_what_the_look_waits_for(
    growing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draws = Draws(EFFECTS)
    run(growing, draws, only=("placebo",))
    assert draws.made == [("placebo", 0), ("placebo", 1), ("placebo", 2)]
    assert (
        "the look at 3 seeds waits for runs that were not asked for: baseline seed 0, clear seed 0, baseline seed 1, "
        "clear seed 1, … (2 more)" in capsys.readouterr().err
    )


def test_what_a_run_of_some_variants_ends_with_is_what_the_report_says(
    growing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(growing, Draws(EFFECTS))
    capsys.readouterr()
    run(growing, Draws(EFFECTS), only=("clear",))
    told = capsys.readouterr().out
    assert told.count("clear ") == 2  # its row and its comparison
    assert "3 seeds)   helped" in " ".join(told.split("\n"))


def test_a_report_says_that_seeds_were_added_and_what_p_has_to_be_below(growing: Path) -> None:
    run(growing, Draws(EFFECTS))
    (page,) = ablate.results(growing).report("out", "html")
    text = page.read_text(encoding="utf-8")
    assert "Seeds were added while a comparison was not decided." in text
    assert "over 2 comparisons, to be below 0.0007 at 3 seeds" in text
    assert "the first 3 for every variant, more where a comparison was not decided by fewer" in text
    assert "3 to 12 as needed" in text
    assert "Our numbers are means over the seeds that each variant has results of, which are 3 to 12;" in text


def test_seeds_of_the_command_line_take_the_place_of_looks(growing: Path) -> None:
    assert command("plan", growing, "--seeds", "2").stdout.count(" new ") == 6
    assert command("plan", growing, "--pilot").stdout.count(" new ") == 3
    assert command("plan", growing, "--set", "study.seeds={ min = 2, max = 4 }").stdout.count(" new ") == 6


def test_a_study_from_python_grows_too(growing: Path) -> None:
    study = ablate.load_study(growing)
    found = ablate.run(study, executor=Draws(EFFECTS), progress=False)
    assert len(found.runs) == 27
    assert len(ablate.plan(study)) == 27


def test_the_plan_has_the_runs_that_are_sure_and_says_how_many_there_may_be(growing: Path) -> None:
    made = planned(growing)
    assert (len(made.runs), len(made.later)) == (9, 27)
    assert [look.size for look in made.looks] == [3]
    assert len(made.looks[0].waiting) == 9


def test_the_plan_of_a_growing_study_says_what_looks_came_to(growing: Path) -> None:
    said = command("plan", growing).stdout
    assert "9 of 9 runs to make" in said
    assert "at most 27 more runs: up to 12 seeds where fewer do not decide a comparison" in said
    run(growing, Draws(EFFECTS))
    said = command("plan", growing).stdout
    assert "0 of 27 runs to make" in said
    assert "looked at 3 seeds: clear against baseline helped; 1 of 2 open comparisons not decided\n" in said
    later = json.loads(command("plan", growing, "--json").stdout)["later"]
    assert (later["runs"], later["seconds"]) == (0, 0)
    assert [look["seeds"] for look in later["looks"]] == [3, 4, 6, 8, 12]
    assert later["looks"][0]["decided"] == {"clear - baseline": "helped"}
    assert later["looks"][-1]["not decided"] == ["placebo - baseline"]


def test_two_commands_in_turn_come_to_the_runs_of_one(growing: Path) -> None:
    """Each begins where the other was killed, with other variants asked for."""
    made: list[tuple[str, int]] = []
    for only in [("placebo",), ("baseline",), ("clear", "baseline"), (), ()]:
        part = Draws(EFFECTS, stops_after=5)
        with contextlib.suppress(KilledError):
            run(growing, part, only=only)
        made += part.made
    while planned(growing).todo():
        part = Draws(EFFECTS)
        run(growing, part)
        made += part.made
    assert Counter(name for name, _ in made) == {"baseline": 12, "clear": 3, "placebo": 12}
    assert len(set(made)) == len(made)
