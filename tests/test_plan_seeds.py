"""What `ablate plan` says that a study's seeds can show, and by which spread."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ablate.commands.run import run_study
from ablate.launch.make import RunOptions
from ablate.stats.power import Planned, smallest_detectable
from ablate.stats.spread import pooled_spread
from ablate.stats.tested import DEFAULT
from tests.support import Draws, ablate, options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def reach(study: Path, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ablate("plan", study, "--json", *more).stdout)["smallest difference"]
    return found


@pytest.fixture
def three(study: Path) -> Path:
    """The study with three seeds."""
    study.write_text(study.read_text().replace("seeds = 2", "seeds = 3"))
    return study


def drawn(study: Path, spread: float = 0.02) -> list[list[float]]:
    """Run a study and return the accuracies of each variant."""
    assert run_study(options(study), RunOptions(1), Draws({}, spread)) == 0
    runs = json.loads(ablate("status", "tiny", "--json").stdout)["runs"]
    return [[run["test/accuracy"] for run in runs if run["variant"] == name] for name in ("baseline", "flipped")]


def test_the_spread_of_runs_is_that_around_their_own_variants_means() -> None:
    one, other = [0.5, 0.52, 0.54], [0.9, 0.91]
    found = pooled_spread([one, other, [0.1], [], [math.nan, 0.3]])
    assert found is not None
    within = (2 * statistics.variance(one) + statistics.variance(other)) / 3
    assert found[0] == pytest.approx(math.sqrt(within), rel=1e-12)
    assert found[1] == 3
    assert pooled_spread([[0.5], [0.7]]) is None


def test_nothing_is_known_of_a_study_that_was_never_run_and_the_plan_says_what_to_do(three: Path) -> None:
    said = ablate("plan", three).stdout
    assert "smallest difference that the seeds can show: not known before runs show how much seeds differ" in said
    assert "ablate run studies/tiny.toml --only baseline makes those of one variant" in said
    assert "[compare] spread = 0.004" in said
    found = reach(three)
    assert (found["spread"], found["differences"]) == (None, [])


def test_a_guess_of_the_author_stands_in_for_results(three: Path) -> None:
    three.write_text(three.read_text() + "[compare]\nspread = 0.01\n")
    found = reach(three)
    assert (found["spread"], found["source"]) == (0.01, "the study's own guess")
    assert found["differences"] == [
        {"seeds": n, "difference": smallest_detectable(0.01, n, Planned(DEFAULT, 2))} for n in (3, 5, 8)
    ]
    said = ablate("plan", three).stdout
    assert "smallest difference shown in 4 of 5 such studies: " in said
    assert " with 3 seeds, " in said
    assert "1 comparison; seeds differ by 1.00 points (the study's own guess); one more seed is 2 runs" in said


def test_two_seeds_of_two_variants_are_said_to_show_hardly_anything(three: Path) -> None:
    three.write_text(three.read_text() + "[compare]\nspread = 0.09\n")
    said = ablate("plan", three, "--seeds", "2").stdout
    assert "smallest difference shown in 4 of 5 such studies: 2 seeds can hardly show any, " in said


def test_a_spread_in_points_is_refused(three: Path) -> None:
    three.write_text(three.read_text() + "[compare]\nspread = 0.4\n")
    assert "spread = 0.4 is a difference of 40 points" in ablate("plan", three).stderr


def test_results_of_the_study_say_it_better_than_a_guess(three: Path) -> None:
    three.write_text(three.read_text() + "[compare]\nspread = 0.01\n")
    values = drawn(three)
    found = reach(three)
    expected = pooled_spread(values)
    assert expected is not None
    assert (found["spread"], found["source"]) == (pytest.approx(expected[0]), "6 stored runs")


def test_results_of_other_studies_on_the_same_dataset_say_it_better_than_a_guess(
    three: Path, write: Callable[[str, str], Path]
) -> None:
    drawn(three)
    other = three.read_text().replace('name = "tiny"', 'name = "other"').replace("lr = 1e-2", "lr = 2e-2")
    new = write("studies/other.toml", other + "[compare]\nspread = 0.01\n")
    assert reach(new)["source"] == "6 other stored runs on this dataset"


def test_results_of_folds_do_not_say_how_much_seeds_differ(three: Path, write: Callable[[str, str], Path]) -> None:
    text = three.read_text()
    three.write_text(text.replace("seeds = 3", "folds = 3"))
    drawn(three)
    new = write("studies/other.toml", text.replace('name = "tiny"', 'name = "other"'))
    assert reach(new)["spread"] is None
    new.write_text(new.read_text() + "[compare]\nspread = 0.01\n")
    assert reach(new)["source"] == "the study's own guess"


def test_a_growing_study_is_told_for_its_fewest_and_its_most_seeds(three: Path) -> None:
    text = three.read_text().replace("seeds = 3", "seeds = { min = 3, max = 9 }")
    three.write_text(text + "[compare]\nspread = 0.01\n")
    assert [one["seeds"] for one in reach(three)["differences"]] == [3, 9]


def test_one_seed_shows_no_difference_but_more_would(three: Path) -> None:
    three.write_text(three.read_text() + "[compare]\nspread = 0.01\n")
    assert [one["seeds"] for one in reach(three, "--seeds", "1")["differences"]] == [2, 3]


def test_a_pilot_and_a_study_without_comparisons_say_nothing_of_differences(three: Path) -> None:
    assert reach(three, "--pilot") is None
    three.write_text(three.read_text().partition("[[variant]]")[0])
    assert reach(three) is None


def test_a_plan_loads_no_scipy_stats_for_it(three: Path) -> None:
    three.write_text(three.read_text() + "[compare]\nspread = 0.01\n")
    code = (
        "import sys; from ablate.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print('scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "plan", str(three)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
