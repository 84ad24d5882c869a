"""The keys of the runs of the studies that ship: whoever has these runs stored loses them where a key changes.

What decides each key is committed in `tests/keys/`. Where a change is meant, regenerate these files:

    python tests/test_pinned_keys.py
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate.components.discover import discover
from ablate.paths import shipped
from ablate.study.plan import explain, key_of, run_specs
from ablate.study.resolve import resolve_study
from ablate.study.spec import parts
from ablate.study.toml import read_study

if TYPE_CHECKING:
    from ablate.study.spec import RunSpec

KEYS = Path(__file__).parent / "keys"
STUDIES = sorted(path.name for path in shipped("studies").glob("*.toml"))
REGENERATE = "Where that is meant, say so in CHANGELOG.md and regenerate tests/keys/: python tests/test_pinned_keys.py"
COMPUTES = "Where runs now compute something else, raise RESULTS_VERSION in ablate/study/plan.py."


def runs(study: str, data: Path) -> dict[str, RunSpec]:
    """Return each variant's run with the first seed, with the precision that every machine has."""
    reading = read_study(shipped("studies") / study)
    resolved = resolve_study(reading, discover(reading.file, reading.study.plugins), data, {}, precision="fp32")
    return {spec.variant: spec for spec in run_specs(resolved, resolved.seeds[:1])}


def sources(specs: dict[str, RunSpec]) -> dict[str, str]:
    """Return the digest of the source of each component that a study uses."""
    used = {f"{kind} {c.use}": c.origin for spec in specs.values() for kind, c in parts(spec.recipe)}
    return {name: origin.source for name, origin in sorted(used.items()) if origin}


def without_sources(identity: Any) -> Any:
    """Return what decides a key but for the digests of source, which change with every edit, and Python's version."""
    if isinstance(identity, dict):
        return {name: without_sources(value) for name, value in identity.items() if name not in ("source", "python")}
    return [without_sources(value) for value in identity] if isinstance(identity, list) else identity


def pinned(study: str) -> dict[str, Any]:
    file = KEYS / f"{Path(study).stem}.json"
    assert file.is_file(), f"studies/{study} is new. Write its keys: python tests/test_pinned_keys.py"
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("study", STUDIES)
def test_what_decides_the_keys_of_a_shipped_study_is_what_it_was(folder: Path, study: str) -> None:
    now, before = runs(study, folder / "data"), pinned(study)["runs"]
    assert list(now) == list(before), f"studies/{study} has other variants. {REGENERATE}"
    bare = {variant: replace(spec, identity=without_sources(spec.identity)) for variant, spec in now.items()}
    changed = {name: explain(spec, before[name]) for name, spec in bare.items() if spec.identity != before[name]}
    said = "\n".join(f"  {variant}: {why}" for variant, why in changed.items())
    assert not changed, f"Runs in studies/{study} become new:\n{said}\n{COMPUTES} {REGENERATE}"


@pytest.mark.parametrize("study", STUDIES)
def test_the_components_of_a_shipped_study_have_the_source_that_they_had(folder: Path, study: str) -> None:
    now, before = sources(runs(study, folder / "data")), pinned(study)["sources"]
    changed = [name for name in before if now.get(name, before[name]) != before[name]]
    said = f"The source of {', '.join(changed)} changed: in studies/{study} all runs that use it become new."
    assert not changed, f"{said} {REGENERATE}"


def test_a_key_is_the_same_hash_of_the_same_document() -> None:
    assert key_of({"seed": 0, "lr": 1e-3, "name": "é", "settings": {"b": [1, 2], "a": None}}) == "7e66e1864123c29da0aa"


def write() -> None:
    """Write what decides the keys of all studies that ship."""
    KEYS.mkdir(exist_ok=True)
    for study in STUDIES:
        with tempfile.TemporaryDirectory() as data:
            found = runs(study, Path(data))
        identities = {variant: without_sources(spec.identity) for variant, spec in found.items()}
        text = json.dumps({"sources": sources(found), "runs": identities}, indent=1)
        (KEYS / f"{Path(study).stem}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
