"""`ablate explain`: which further variants tell the changes of one apart."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate.api.results import results
from ablate.commands.run import run_study
from ablate.launch.make import RunOptions
from ablate.study.comparisons import PlannedComparison
from ablate.study.listed import renamed
from ablate.study.toml import parse_study, read_study
from tests.conftest import TINY
from tests.planted import Planting, finals
from tests.support import ablate, contents, options, run_here

if TYPE_CHECKING:
    from ablate.api.notebook import Comparison
    from ablate.api.results import StudyResults
    from tests.conftest import Write

PHASES = Path(__file__).parent.parent / "studies" / "cifar100_phases.toml"
BASE = """
[study]
name = "s"
seeds = 2
[baseline]
epochs = 1
batch_size = 16
dataset = { use = "tiny", validation = 16 }
model = { use = "simple-cnn", width = 4, hidden = 8 }
augmentation = [{ use = "flip" }]
optimizer = { use = "sgd", lr = 0.1 }
"""


@pytest.fixture
def put(write: Write) -> Any:
    """Write a study with these variants below its baseline, beside the tiny dataset."""
    write("plugins/tiny.py", TINY)
    return lambda variants: write("s.toml", BASE + variants)


def explained(path: Path, variant: str, *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ablate("explain", variant, "--study", path, "--json", *flags).stdout)
    return found


def way(found: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    return [(s["variant"], s["against"], s["change"]["factor"], s["exists"]) for s in found["steps"]]


def test_the_fourth_phase_takes_two_further_variants(folder: Path) -> None:
    found = explained(PHASES, "Phase 4")
    assert way(found) == [
        ("Phase 3 + resnet34", "Phase 3", "model", False),
        ("Phase 3 + resnet34 + t_max 10", "Phase 3 + resnet34", "scheduler.t_max", False),
        ("Phase 4", "Phase 3 + resnet34 + t_max 10", "augmentation.cutout", True),
    ]
    assert (found["reference"], found["runs_to_make"], found["seconds"]) == ("Phase 3", 6, None)
    assert found["comparisons"] == [["Phase 4", "Phase 3 + resnet34 + t_max 10"]]


def test_all_orders_are_every_variant_between_the_two(folder: Path) -> None:
    found = explained(PHASES, "Phase 4", "--all-orders")
    assert sorted(found["missing"]) == sorted([
        "Phase 3 + resnet34", "Phase 3 + t_max 10", "Phase 3 + cutout", "Phase 3 + resnet34 + t_max 10",
        "Phase 3 + resnet34 + cutout", "Phase 3 + t_max 10 + cutout",
    ])  # fmt: skip
    assert found["runs_to_make"] == 18
    assert len(found["comparisons"]) == 12 - 6  # six are those of the new variants with what each comes from
    assert ["Phase 4", "Phase 3 + t_max 10 + cutout"] in found["comparisons"]
    assert ["Phase 3 + t_max 10 + cutout", "Phase 3 + cutout"] in found["comparisons"]
    assert 'note = "Phase 3, but model, augmentation.cutout as in Phase 4"' in found["text"]
    said = ablate("explain", "Phase 4", "--study", PHASES, "--all-orders").stdout
    assert "each change is then compared beside every set of the others: 12 comparisons" in said


def test_with_all_orders_the_study_that_is_written_compares_every_single_step(put: Any) -> None:
    path = put('[[variant]]\nname = "v"\nset = { epochs = 3, ema = 0.9, clip_norm = 1.0 }\n')
    assert ablate("explain", "v", "--study", path, "--all-orders", "--add", path).exit_code == 0
    study = read_study(path).done()
    recipes = {variant.name: variant.recipe for variant in study.variants}

    def apart(one: str, other: str) -> int:
        pair = recipes[one], recipes[other]
        return sum(getattr(pair[0], key) != getattr(pair[1], key) for key in ("epochs", "ema", "clip_norm"))

    compared = {(pair.candidate, pair.reference) for pair in study.comparisons} - {("v", "baseline")}
    assert len(compared) == 12
    assert all(apart(*pair) == 1 for pair in compared)


def test_a_study_in_a_file_of_its_own_has_the_files_name_so_that_both_share_a_store(put: Any) -> None:
    path = put('[[variant]]\nname = "both"\nset = { epochs = 2, ema = 0.9 }\n')
    assert ablate("explain", "both", "--study", path, "--add", "apart.toml").exit_code == 0
    assert read_study(Path("apart.toml")).done().name == "apart"
    assert ablate("explain", "both", "--study", path, "--add", "deeper/s.toml").exit_code == 0
    assert read_study(Path("deeper/s.toml")).done().name == "s-apart"


def test_a_study_keeps_its_permissions_and_is_left_alone_where_it_is_read_only(put: Any) -> None:
    path = Path(put('[[variant]]\nname = "both"\nset = { epochs = 2, ema = 0.9 }\n'))
    path.chmod(0o440)
    told = ablate("explain", "both", "--study", path, "--add", path)
    assert (told.exit_code, f"cannot write {path.name}: is read-only" in told.stderr) == (2, True), told.stderr
    path.chmod(0o640)
    assert ablate("explain", "both", "--study", path, "--add", path).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[study]\r\ntitle = "name"\r\n  name="s" # why\r\n', '[study]\r\ntitle = "name"\r\n  name="new" # why\r\n'),
        ("[data]\nname = 's'\n[study]\nname = 's'\n", "[data]\nname = 's'\n[study]\nname = \"new\"\n"),
        ('study = { name = "s" }\n', None),
        ('a = """\n[study]\nname = "s"\n"""\n', None),
    ],
)
def test_only_the_name_of_a_study_is_changed_or_nothing(text: str, found: str | None) -> None:
    assert renamed(text, "new") == found


def test_a_table_that_is_wider_than_the_terminal_has_lines_for_each_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = ablate("explain", "Phase 4", "--study", PHASES, "--all-orders").stdout.partition("6 further")[0]
    assert max(map(len, said.splitlines()[1:])) <= 60
    assert "Phase 3 + resnet34: 3 of 3 runs to make\n  against Phase 3: model: torchvision:resnet18 →" in said
    monkeypatch.setenv("COLUMNS", "200")
    assert "variant                        against" in ablate("explain", "Phase 4", "--study", PHASES).stdout


def test_of_all_factors_of_a_leave_one_out_design_nothing_more_is_needed(put: Any) -> None:
    path = put(
        "[factor.averaged]\nset = { ema = 0.9 }\n[factor.smoothed]\nset = { label_smoothing = 0.1 }\n"
        '[factor.clipped]\nset = { clip_norm = 1.0 }\n[design]\nkind = "leave-one-out"\n'
    )
    told = ablate("explain", "all", "--study", path)
    assert told.exit_code == 0
    assert told.stdout == (
        "all: the study's design tells its factors apart already: averaged (against all but averaged), "
        "smoothed (against all but smoothed), clipped (against all but clipped)\n"
    )


@pytest.mark.parametrize("flags", [(), ("--all-orders",)])
def test_the_study_written_with_them_keeps_its_text_and_lacks_nothing(folder: Path, flags: tuple[str, ...]) -> None:
    told = ablate("explain", "Phase 4", "--study", PHASES, "--add", "new.toml", *flags)
    assert told.exit_code == 0
    assert "written to new.toml; next: ablate run new.toml" in told.stdout
    new = folder / "new.toml"
    assert new.read_text().startswith(PHASES.read_text().replace('name = "cifar100-phases"', 'name = "new"'))
    found = explained(new, "Phase 4", *flags)
    assert (found["missing"], found["comparisons"], found["text"]) == ([], [], "")
    assert "nothing is missing" in ablate("explain", "Phase 4", "--study", new, *flags).stdout
    study = read_study(new).done()
    compared = [(pair.candidate, pair.reference) for pair in study.comparisons]
    assert ("Phase 4", "Phase 3 + resnet34 + t_max 10") in compared
    assert ("Phase 3 + resnet34", "Phase 3") in compared
    before = read_study(PHASES).done()
    assert study.variants[: len(before.variants)] == before.variants


def test_of_many_orders_the_cheapest_stays_the_way_when_all_are_added(put: Any) -> None:
    path = put('[[variant]]\nname = "v"\nset = { epochs = 3, ema = 0.9, clip_norm = 1.0, batch_size = 8 }\n')
    before = explained(path, "v", "--all-orders", "--add", "new.toml")
    assert before["steps"][-1]["change"]["factor"] == "epochs"  # the images of three epochs are gone through last
    assert len(before["missing"]) == 14
    after = explained(Path("new.toml"), "v", "--all-orders")
    assert [step["change"] for step in after["steps"]] == [step["change"] for step in before["steps"]]
    assert after["text"] == ""


def test_a_study_is_added_to_in_place_and_no_other_file_is_touched(put: Any) -> None:
    path = put('[[variant]]\nname = "both"\nset = { epochs = 2, ema = 0.9 }   # why\n')
    other = path.with_name("other.toml")
    other.write_text("mine")
    refused = ablate("explain", "both", "--study", path, "--add", other)
    assert refused.exit_code == 2
    assert "other.toml: is there already, and is not the study's file" in refused.stderr
    assert other.read_text() == "mine"
    before = path.read_text()
    assert ablate("explain", "both", "--study", path, "--add", path).exit_code == 0
    assert path.read_text().startswith(before)
    assert explained(path, "both")["missing"] == []
    after = contents(path.parent)
    assert ablate("explain", "both", "--study", path, "--add", path).exit_code == 0  # nothing more to add
    assert contents(path.parent) == after


@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
def test_the_bytes_of_a_study_stay_with_the_line_ends_that_they_have(put: Any, mark: str) -> None:
    path = put('[[variant]]\nname = "both"\nset = { epochs = 2, ema = 0.9 }')
    before = (mark + path.read_text()).replace("\n", "\r\n").encode()
    path.write_bytes(before)
    assert ablate("explain", "both", "--study", path, "--add", path).exit_code == 0
    after = path.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == after.count(b"\r\n")
    assert explained(path, "both")["missing"] == []


def test_a_study_whose_variants_are_an_inline_list_says_why_it_cannot_be_added_to(put: Any) -> None:
    path = put("")
    path.write_text('variant = [{ name = "both", set = { epochs = 2, ema = 0.9 } }]\n' + path.read_text())
    told = ablate("explain", "both", "--study", path, "--add", path)
    assert told.exit_code == 2
    assert "these variants cannot be added to the study as it is written" in told.stderr
    assert told.stderr.count("\n") < 5


def test_one_change_is_told_apart_already(put: Any) -> None:
    path = put('[[variant]]\nname = "longer"\nset = { epochs = 2 }\n')
    told = ablate("explain", "longer", "--study", path)
    assert told.exit_code == 0
    assert told.stdout == "longer changes epochs against baseline: there is nothing to tell apart\n"
    assert explained(path, "longer")["steps"] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("longr", "there is no variant 'longr' to explain; did you mean 'longer'?"),
        ("baseline", "baseline: is the baseline, which changes nothing"),
    ],
)
def test_what_cannot_be_explained_is_one_error(put: Any, name: str, said: str) -> None:
    path = put('[[variant]]\nname = "longer"\nset = { epochs = 2 }\n')
    told = ablate("explain", name, "--study", path)
    assert told.exit_code == 2
    assert said in told.stderr
    assert "accepts 'longer'" in told.stderr


def test_the_way_leads_over_variants_that_are_there(put: Any) -> None:
    path = put(
        '[[variant]]\nname = "smoothed"\nset = { label_smoothing = 0.1 }\n'
        '[[variant]]\nname = "smoothed and averaged"\nset = { label_smoothing = 0.1, ema = 0.9 }\n'
        '[[variant]]\nname = "all"\nset = { epochs = 2, label_smoothing = 0.1, ema = 0.9 }\n'
    )
    found = explained(path, "all")
    assert way(found) == [
        ("smoothed", "baseline", "label_smoothing", True),
        ("smoothed and averaged", "smoothed", "ema", True),
        ("all", "smoothed and averaged", "epochs", True),
    ]
    assert found["missing"] == []
    assert found["comparisons"] == [["smoothed and averaged", "smoothed"], ["all", "smoothed and averaged"]]
    assert "no further variant is needed, only comparisons" in ablate("explain", "all", "--study", path).stdout


@pytest.mark.slow
def test_stored_runs_are_reused_and_not_counted(put: Any) -> None:
    path = put('[[variant]]\nname = "averaged"\nset = { ema = 0.9 }\n')
    assert run_here(path) == 0
    path = put('[[variant]]\nname = "both"\nset = { label_smoothing = 0.1, ema = 0.9 }\n')
    found = explained(path, "both")
    assert way(found)[0] == ("baseline + ema 0.9", "baseline", "ema", False)
    assert (found["runs_to_make"], found["steps"][0]["runs"]) == (0, 2)
    assert "1 further variant, 0 runs to make, all of them stored" in ablate("explain", "both", "--study", path).stdout


@pytest.mark.slow
def test_what_takes_longer_comes_later_and_the_study_run_last_is_the_default(put: Any) -> None:
    path = put('[[variant]]\nname = "both"\nset = { epochs = 3, label_smoothing = 0.1 }\n')
    assert run_here(path) == 0
    found = json.loads(ablate("explain", "both", "--json").stdout)
    assert way(found)[0][2] == "label_smoothing"
    assert 0 < found["seconds"] < 60
    assert "1 further variant, 2 runs to make, about" in ablate("explain", "both").stdout


PAIRED = TINY.replace("images: int = 64", 'images: int = 64, kind: str = "large"').replace(
    "    def load():",
    '    if (images == 64) != (kind == "large"):\n        raise ValueError("the kind is wrong")\n\n    def load():',
)


def test_changes_that_cannot_be_made_singly_are_named_with_the_reason(put: Any, write: Write) -> None:
    path = put(
        '[[variant]]\nname = "less"\n'
        'set = { dataset = { use = "tiny", validation = 16, images = 48, kind = "small" } }\n'
    )
    write("plugins/tiny.py", PAIRED)
    told = ablate("explain", "less", "--study", path)
    assert told.exit_code == 1
    assert "cannot be run with dataset.images and none of the others: ValueError: the kind is wrong" in told.stdout
    assert "they cannot be told apart one by one" in told.stdout
    path = put(
        '[[variant]]\nname = "less"\n'
        'set = { epochs = 2, dataset = { use = "tiny", validation = 16, images = 48, kind = "small" } }\n'
    )
    assert explained(path, "less")["steps"] == []


def test_an_order_without_steps_that_cannot_be_run_is_found(put: Any) -> None:
    path = put(
        '[[variant]]\nname = "cut"\nset = { dataset = { use = "tiny", validation = 16, images = 32, train = 10 } }\n'
        '[[variant]]\nname = "more"\nset = { dataset = { use = "tiny", validation = 40, train = 20 } }\nfrom = "cut"\n'
    )
    found = explained(path, "more")
    assert found["steps"][0]["change"]["factor"] == "dataset.images"
    assert [one["factors"] for one in found["barred"]] == [
        "dataset.train", "dataset.train, dataset.validation", "dataset.validation",
    ]  # fmt: skip


def test_a_component_that_is_another_is_one_change_and_each_setting_of_the_same_one_too(put: Any) -> None:
    path = put(
        '[[variant]]\nname = "v"\n[variant.set]\noptimizer = { use = "sgd", lr = 0.2, momentum = 0.5 }\n'
        'model = { use = "enhanced-cnn" }\n'
    )
    assert [change["factor"] for change in explained(path, "v")["changes"]] == [
        "model", "optimizer.lr", "optimizer.momentum",
    ]  # fmt: skip


def test_a_default_that_is_spelled_out_is_no_change(put: Any) -> None:
    path = put(
        '[[variant]]\nname = "v"\nset = { optimizer = { use = "sgd", lr = 0.2, momentum = 0.9, nesterov = false } }\n'
    )
    assert [change["factor"] for change in explained(path, "v")["changes"]] == ["optimizer.lr"]


def test_augmentations_in_another_order_are_one_change(put: Any) -> None:
    path = put(
        '[[variant]]\nname = "a"\nadd = { augmentation = [{ use = "cutout", size = 2 }] }\n'
        '[[variant]]\nname = "v"\nfrom = "a"\nset = { ema = 0.9, augmentation = '
        '[{ use = "cutout", size = 4 }, { use = "random-crop", padding = 1 }, { use = "flip" }] }\n'
    )
    found = explained(path, "v")
    assert [change["factor"] for change in found["changes"]] == ["ema", "augmentation"]


def test_too_many_changes_keep_their_order_and_have_no_other(put: Any) -> None:
    path = put(
        '[[variant]]\nname = "v"\nremove = ["augmentation.flip"]\n[variant.set]\nepochs = 2\nema = 0.9\n'
        'clip_norm = 1.0\nlabel_smoothing = 0.1\naccumulate = 2\nbatch_size = 8\nmodel = { use = "enhanced-cnn" }\n'
        'scheduler = { use = "cosine" }\n'
    )
    found = explained(path, "v")
    assert len(found["changes"]) == 9
    assert [step["change"] for step in found["steps"]] == found["changes"]
    told = ablate("explain", "v", "--study", path, "--all-orders")
    assert told.exit_code == 2
    assert "9 changes have 510 variants between them, too many for all orders (at most 8 changes)" in told.stderr


CHOICES: dict[str, list[str]] = {
    "model": ['{ use = "simple-cnn", width = 4 }', '{ use = "simple-cnn", hidden = 9 }', '{ use = "enhanced-cnn" }'],
    "optimizer": ['{ use = "sgd", lr = 0.1 }', '{ use = "sgd", lr = { find = true }, momentum = 0.5 }',
                  '{ use = "adam", lr = 0.1 }'],
    "scheduler": ['{ use = "constant" }', '{ use = "cosine" }', '{ use = "cosine", eta_min = 0.01 }'],
    "dataset": ['{ use = "tiny", validation = 16 }', '{ use = "tiny", train = 20, validation = 8 }',
                '{ use = "tiny" }'],
    "epochs": ["1", "2"], "ema": ["0.0", "0.9"], "clip_norm": ["0.0", "2.5"],
}  # fmt: skip
AUGMENTATIONS = ['{ use = "flip" }', '{ use = "flip", p = 0.25 }', '{ use = "cutout", size = 2 }',
                 '{ use = "cutout", size = 3 }', '{ use = "random-crop", padding = 1 }']  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_whatever_two_recipes_are_each_step_between_them_is_one_change(put: Any, seed: int) -> None:
    draw = random.Random(seed)

    def recipe() -> str:
        some = {key: draw.choice(options) for key, options in CHOICES.items() if draw.random() < 0.5}
        some["augmentation"] = f"[{', '.join(draw.choices(AUGMENTATIONS, k=draw.randrange(4)))}]"
        return "{ " + ", ".join(f"{key} = {value}" for key, value in some.items()) + " }"

    path = put(f'[[variant]]\nname = "a"\nset = {recipe()}\n[[variant]]\nname = "b"\nfrom = "a"\nset = {recipe()}\n')
    found = explained(path, "b", "--add", "new.toml")
    assert len(found["steps"]) == (len(found["changes"]) if len(found["changes"]) > 1 else 0)
    if found["text"]:
        again = explained(Path("new.toml"), "b")
        assert [step["exists"] for step in again["steps"]] == [True] * len(found["steps"])
        for step in found["steps"]:  # each is one change against the one before it, by its own account too
            alone = explained(Path("new.toml"), step["variant"])
            assert step["exists"] or [change["factor"] for change in alone["changes"]] == [step["change"]["factor"]]


def test_a_study_lists_further_comparisons() -> None:
    text = BASE + '[[variant]]\nname = "a"\nset = { epochs = 2 }\n[[variant]]\nname = "b"\nset = { epochs = 3 }\n'
    found = parse_study(f'{text}[[comparison]]\nvariant = "b"\nagainst = "a"\n', Path("s.toml")).done()
    assert found.comparisons == (
        PlannedComparison("a", "baseline", "change"),
        PlannedComparison("b", "baseline", "change"),
        PlannedComparison("b", "a", "change"),
    )


@pytest.mark.parametrize(
    ("table", "where", "what"),
    [
        ('variant = "c"\nagainst = "a"', "comparison 1: variant", "there is no variant 'c'"),
        ('variant = "a"\nagainst = "a"', "comparison 1", "compares 'a' with itself"),
        ('variant = "a"', "comparison 1: against", "'against' is missing"),
    ],
)
def test_a_wrong_comparison_is_one_problem(table: str, where: str, what: str) -> None:
    text = f'{BASE}[[variant]]\nname = "a"\nset = {{ epochs = 2 }}\n[[comparison]]\n{table}\n'
    (problem,) = parse_study(text, Path("s.toml")).problems
    assert (problem.where, problem.what) == (where, what)


def test_the_steps_of_a_variant_sum_to_its_difference(folder: Path, write: Write) -> None:
    write("plugins/tiny.py", TINY)
    path = write("s.toml", BASE + '[[variant]]\nname = "both"\nset = { epochs = 2, ema = 0.9, clip_norm = 1.0 }\n')
    assert ablate("explain", "both", "--study", path, "--add", path).exit_code == 0
    values = {v.name: [0.5 + place / 50, 0.6 + place / 60] for place, v in enumerate(read_study(path).done().variants)}
    assert run_study(options(path), RunOptions(), Planting(finals(values))) == 0
    found = results("s", store=Path("ablate-store"))
    steps = [(step["variant"], step["against"]) for step in explained(path, "both")["steps"]]
    assert len(steps) == 3
    compared = {(one.candidate, one.reference): one.mean for one in planned(found)}
    assert math.fsum(compared[pair] for pair in steps) == pytest.approx(compared["both", "baseline"])
    assert explained(path, "both")["runs_to_make"] == 0


def planned(found: StudyResults) -> list[Comparison]:
    return [found.comparison(pair.candidate, pair.reference) for pair in found.study.comparisons]
