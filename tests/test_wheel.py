"""The wheel: built, installed in an environment of its own, and used from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("ablate_studies-*.whl"))


def test_the_wheel_has_plugins_studies_and_templates(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("plugins", "studies", "templates"):
        here = {p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob("*.*") if "__pycache__" not in p.parts}
        assert {f"ablate/shipped/{name}" for name in here} <= set(names)
    assert not any(name.startswith(("plugins/", "tests/", "studies/")) for name in names)


@pytest.mark.slow
def test_the_wheel_runs_a_study_from_an_empty_folder(wheel: Path, folder: Path) -> None:
    # Torch and the other libraries come from this environment: they are 5 GB. ablate itself must not.
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ABLATE"))} | {"HOME": str(folder)}
    empty = folder / "empty"
    empty.mkdir()

    def ablate(*arguments: str) -> str:
        command = [str(environment / "bin" / "ablate"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=empty, env=clean)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import ablate, sys; sys.stdout.write(ablate.__file__)"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True, cwd=empty, env=clean)
    assert found.stdout.startswith(str(environment))
    ablate("new", "study", "first")
    ablate("run", "studies/first.toml", "--seeds", "1", "--set", "baseline.epochs=1")
    assert ablate("report").splitlines() == ["reports/first/report.html", "reports/first/report.md"]
    assert "digits" in ablate("components", "dataset")
    assert sorted(p.name for p in empty.iterdir()) == ["ablate-store", "reports", "studies"]
