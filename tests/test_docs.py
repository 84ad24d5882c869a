"""The docs say what the code does."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ablate.checks.study import findings
from ablate.components.discover import discover
from ablate.errors import StudyError
from ablate.study.codes import CODES
from ablate.study.resolve import resolve_study
from ablate.study.tables import (
    BaselineTable,
    ClaimTable,
    ComparisonTable,
    DesignTable,
    FactorTable,
    FindTable,
    GroupsTable,
    PretrainedTable,
    SeedsTable,
    StudyTable,
    TuneTable,
    VariantTable,
    WaiveTable,
)
from ablate.study.toml import parse_study, read_study

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_reference_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "docs")
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    text = (ROOT / "docs" / "reference.md").read_text()
    assert text == generate.reference(), "run: python docs/generate.py"
    schema = (ROOT / "docs" / "report.schema.json").read_text()
    assert schema == generate.schema_text(), "run: python docs/generate.py"


def test_every_key_of_a_study_is_documented() -> None:
    text = (ROOT / "docs" / "study-file.md").read_text()
    for form in (
        StudyTable,
        BaselineTable,
        VariantTable,
        FindTable,
        FactorTable,
        DesignTable,
        ComparisonTable,
        ClaimTable,
        WaiveTable,
    ):
        for name, info in form.model_fields.items():
            assert f"`{info.alias or name}`" in text, name
    text = (ROOT / "docs" / "fine-tuning.md").read_text()
    for name in [*PretrainedTable.model_fields, *GroupsTable.model_fields]:
        assert f"`{name}`" in text, name
    text = (ROOT / "docs" / "seeds.md").read_text()
    for name in SeedsTable.model_fields:
        assert f"| `{name}` |" in text, name
    text = (ROOT / "docs" / "tuning.md").read_text()
    for name in TuneTable.model_fields:
        assert f"| `{name}` |" in text, name


def test_every_code_of_a_finding_is_documented() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    assert [name for name, code in CODES.items() if f"| `{name}` | {code.subject} | {code.level} |" not in text] == []


def test_no_code_is_documented_that_nothing_finds() -> None:
    """Each stands as a text in the check that finds it."""
    checks = "".join(file.read_text() for file in (ROOT / "ablate" / "checks").glob("*.py"))
    assert [name for name in CODES if f'"{name}"' not in checks] == []


def test_the_readmes_study_is_one(tmp_path: Path) -> None:
    (block,) = (b for b in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[study]" in b)
    assert len(parse_study(block, tmp_path / "x.toml").done().variants) == 3


def test_the_readmes_component_loads_and_has_ten_lines_or_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "noise.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    assert discover().get("augmentation", "noise").summary == "Add Gaussian noise"


def test_the_readmes_error_is_what_the_tool_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = re.findall(r"```\n(error: studies/cifar100_phases.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    study = ROOT / "studies" / "cifar100_phases.toml"
    text = study.read_text().replace('"cutout", size = 16', '"cutout", sise = 16')
    text = text.replace("set = { epochs = 30 }", 'set = { epochs = 30, optimizer = { use = "sdg", lr = 0.05 } }')
    reading = parse_study(text, study)
    with pytest.raises(StudyError) as told:
        resolve_study(reading, discover(study), tmp_path, {})
    lines = re.compile(r"\.py:\d+")  # where in a plugin a component stands moves with every edit
    assert lines.sub(".py:N", f"error: {told.value}".strip()) == lines.sub(".py:N", shown.strip())


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_two_commands_of_the_readme_are_targets_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target} " in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_ci_runs_all_tests_and_the_style() -> None:
    (all_of_it,) = re.findall(r"^check: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^make (\S+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE) == all_of_it.split()
    assert {"test", "test-slow", "check-style"} == {*all_of_it.split()}


def test_pins_lie_within_the_ranges_and_record_no_address() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s@/]+", line) for line in lines)
    pins = {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        wanted = Requirement(text)
        assert pins[wanted.name.lower()] in wanted.specifier, text


@pytest.mark.parametrize("name", ["digits.toml", "cifar100_phases.toml"])
def test_shipped_studies_read_without_a_problem(name: str) -> None:
    assert read_study(ROOT / "studies" / name).done().variants


def test_the_digits_study_has_nothing_doubtful() -> None:
    assert findings(read_study(ROOT / "studies" / "digits.toml").done()) == ()


def test_the_phases_carry_the_reports_own_numbers() -> None:
    study = read_study(ROOT / "studies" / "cifar100_phases.toml").done()
    assert [(v.recipe.epochs, v.reported["accuracy"], v.reported["loss"]) for v in study.variants] == [
        (5, 0.3620, 2.49), (5, 0.36, 2.48), (12, 0.5468, 1.81), (12, 0.4067, 2.26), (30, 0.5262, 1.74),
    ]  # fmt: skip
