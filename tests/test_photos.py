"""A folder of photos from the study file to the report, as a user meets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ablate.commands.run import run_study
from ablate.execute.inline import Inline
from ablate.launch.announce import announce_data
from ablate.launch.make import RunOptions
from ablate.launch.study import open_study
from tests.support import ablate, options

STUDY = """
[study]
name = "photos"
seeds = 2
[baseline]
epochs = 1
batch_size = 8
dataset = { use = "image-folder", root = "photos", size = 8, CUT }
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-3 }
"""
ONCE = "image-folder: train 13, test 4 images of 2 classes; left out: dark: 2 .heic, 1 hidden"


@pytest.fixture
def project(folder: Path) -> Path:
    """A project in a folder of its own: `photos/CLASS/...` and a study beside it; the working folder is another."""
    draw = np.random.default_rng(0)
    for name, grey, count in (("dark", 60, 9), ("light", 180, 8)):
        place = folder / "project" / "photos" / name
        (place / "indoors").mkdir(parents=True)
        for number in range(count):
            pixels = draw.normal(grey, 25, (10, 10, 3)).clip(0, 255).astype(np.uint8)
            file = place / ("indoors" * (number % 2)) / f"{number}.{['bmp', 'webp', 'png'][number % 3]}"
            Image.fromarray(pixels).save(file)
    for name in ("a.heic", "b.HEIC", ".hidden.png"):
        (folder / "project" / "photos" / "dark" / name).write_bytes(b"")
    return folder / "project"


def study(project: Path, cut: str = "test = 4") -> Path:
    (project / "photos.toml").write_text(STUDY.replace("CUT", cut))
    return project / "photos.toml"


def test_what_is_used_and_what_is_left_out_is_reported_before_while_and_after(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study(project)
    planned = ablate("plan", path, "--data-dir", "data")
    assert f"data: {ONCE}" in planned.stdout
    assert "few-images" in planned.stdout
    assert run_study(options(path), RunOptions(jobs=1), Inline()) == 0
    assert f"  {ONCE}" in capsys.readouterr().err
    reported = ablate("report", "photos", "--format", "md", "--out", "out")
    assert reported.exit_code == 0, reported.output
    text = Path("out/report.md").read_text().replace("\\", "")
    assert f"images: {ONCE}" in text
    assert "4 test images: each is 25.0 points of accuracy" in text


def test_a_plan_as_json_has_what_the_data_holds(project: Path) -> None:
    found = json.loads(ablate("plan", study(project), "--data-dir", "data", "--json").stdout)["data"]["baseline"]
    assert found["sizes"] == {"train": 13, "test": 4}
    assert found["left_out"] == [["dark", ".heic", 2], ["dark", "hidden", 1]]


def test_a_relative_root_starts_at_the_study_file_and_is_not_in_the_key(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study(project)
    first = open_study(options(path)).specs[0]
    assert first.recipe.dataset.settings["root"] == str(project / "photos")
    assert str(project) not in json.dumps(first.identity)
    moved = project.rename(project.with_name("moved"))
    monkeypatch.chdir(moved)
    again = open_study(options(Path("photos.toml")))
    assert again.specs[0].key == first.key
    assert again.study.variants[0].recipe.dataset.settings["root"] == "photos"


def test_a_project_in_a_folder_whose_name_is_no_utf8_is_planned(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = project.rename(project.with_name(os.fsdecode(b"pr\xffject")))
    study(strange)
    monkeypatch.chdir(strange)
    planned = ablate("plan", "photos.toml", "--data-dir", "data")
    assert planned.exit_code == 0, planned.output
    assert f"data: {ONCE}" in planned.stdout


def test_photos_without_a_test_set_need_one_cut(project: Path) -> None:
    told = ablate("plan", study(project, "validation = 4"), "--data-dir", "data")
    assert told.exit_code == 2
    assert "set test = 0.2 to take one from the training images" in " ".join(told.output.split())


def test_all_damaged_photos_are_reported_by_the_plan(project: Path) -> None:
    for name in ("dark/x.png", "light/y.tif"):
        (project / "photos" / name).write_text("no image")
    told = " ".join(ablate("plan", study(project), "--data-dir", "data").output.split())
    assert "2 images cannot be decoded" in told
    assert "dark/x.png: cannot be decoded" in told
    assert "light/y.tif: cannot be decoded" in told


def test_photos_that_are_replaced_after_they_were_planned_are_not_trained_on(project: Path) -> None:
    path = study(project)

    class Late(Inline):
        def run(self, *arguments: Any, **named: Any) -> None:
            Image.new("RGB", (10, 10)).save(project / "photos" / "dark" / "0.bmp")
            super().run(*arguments, **named)

    assert run_study(options(path), RunOptions(jobs=1), Late()) == 1
    (failed, *_) = Path("ablate-store/runs").glob("*/failure.json")
    assert "the data of 'image-folder' changed after this run was planned" in failed.read_text()


def test_a_run_tells_of_some_cuts_and_says_how_many_more_there_are(project: Path) -> None:
    path = study(project)
    data = 'dataset = { use = "image-folder", root = "photos", size = 8, test = N }'
    variants = [f'[[variant]]\nname = "N"\nset = {{ {data} }}\n'.replace("N", str(n)) for n in range(5, 10)]
    path.write_text(path.read_text() + "".join(variants))
    told: list[str] = []
    announce_data(open_study(options(path)).study, told.append)
    assert [line.split(", test")[0] for line in told[:4]] == [f"  image-folder: train {n}" for n in (13, 12, 11, 10)]
    assert told[4:] == ["  … and 2 other cuts of the data: see 'ablate plan'"]
