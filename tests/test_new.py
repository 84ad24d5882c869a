"""Files that `ablate new` writes can be used, whatever their components are called."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ablate.commands.new import new_component
from ablate.components.contracts import KINDS, Horizon, ImageShape
from ablate.components.discover import discover
from ablate.errors import InputError
from ablate.testing import example_report

if TYPE_CHECKING:
    from pathlib import Path

    from ablate.components.contracts import Kind
    from ablate.components.registry import Entry

NAMES = [
    "class",
    "lambda",
    "def",
    "none",
    "match",
    "type",
    "case",
    "import",
    "async",
    "torch",
    "np",
    "nn",
    "numpy",
    "images",
    "generator",
    "transform",
    "noise",
    "strength",
    "folder",
    "load",
    "draw",
    "labels",
    "shape",
    "classes",
    "width",
    "params",
    "optimizer",
    "scheduler",
    "horizon",
    "end",
    "lr",
    "model",
    "dataset",
    "augmentation",
    "path",
    "source",
    "split",
    "range",
    "int",
    "float",
    "print",
    "list",
    "annotations",
    "ablate",
    "random",
    "wide-resnet",
    "init",
    "test",
    "a",
    "self",
]


def use(entry: Entry, folder: Path) -> Any:
    """Build a component and use it."""
    import torch

    weights = [torch.nn.Parameter(torch.zeros(1))]
    if entry.kind == "dataset":
        return entry.build(folder, settings={}).facts()
    if entry.kind == "model":
        return entry.build(ImageShape(1, 8, 8), 3, settings={})(torch.zeros(2, 1, 8, 8))
    if entry.kind == "augmentation":
        return entry.build(settings={})(torch.zeros(2, 1, 8, 8), torch.Generator())
    if entry.kind == "optimizer":
        return entry.build(weights, settings={"lr": 0.1})
    if entry.kind == "loss":
        return entry.build(torch.zeros(2, 3), torch.eye(3)[:2], settings={})
    if entry.kind == "metric":
        return entry.build(np.zeros((2, 3), np.float32), np.array([0, 2]), settings={})
    if entry.kind == "task":
        return entry.task
    if entry.kind == "figure":
        return entry.build(example_report(), settings={})
    return entry.build(torch.optim.SGD(weights, lr=0.1), Horizon(2, 3), settings={})


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_gives_a_file_that_runs(folder: Path, kind: Kind) -> None:
    names = [name for name in NAMES if not discover().taken(kind, name)]
    for name in names:
        new_component(kind, name)
    registry = discover()
    made = [registry.get(kind, name) for name in names]
    for entry in made:
        assert use(entry, folder) is not None
        # The function is what a reader looks for in the file.
        assert entry.factory.__name__.rstrip("_") == entry.name.replace("-", "_")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_component_keeps_its_contract(folder: Path, kind: Kind) -> None:
    from ablate.testing.checks import all_checks
    from ablate.testing.subject import subject_of

    new_component(kind, "mine")
    checks = all_checks(subject_of(discover().get(kind, "mine"), {}, folder))
    assert [check for check in checks if check.outcome == "failed"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_that_is_shown_for_a_new_component_is_one(
    folder: Path, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    new_component(kind, "my-thing")
    shown = capsys.readouterr().err.partition("the same checks as tests:\n")[2]
    found: dict[str, Any] = {}
    exec(textwrap.dedent(shown), found)
    entry = found["TestMyThing"].subject().entry
    assert (entry.kind, entry.name) == (kind, "my-thing")


@pytest.mark.parametrize("name", ["timm", "simple-cnn", "torchvision"])
def test_a_name_that_is_taken_is_reported_with_by_what(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"the model name '{name}' is taken by .*models\.py:\d+"):
        new_component("model", name)
    assert not (folder / "plugins").exists()


@pytest.mark.parametrize("name", ["Net", "net_a", "1net", "net.a", "../net", "", "n" * 300, "é", "net-", "-net", "a b"])
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_written(folder: Path, name: str) -> None:
    with pytest.raises(InputError):
        new_component("model", name)
    assert not list(folder.rglob("*.py"))


def test_a_file_that_exists_is_left_as_it_is(folder: Path) -> None:
    (folder / "plugins").mkdir()
    (folder / "plugins/net.py").write_text("# mine\n")
    with pytest.raises(InputError, match="exists already"):
        new_component("model", "net")
    assert (folder / "plugins/net.py").read_text() == "# mine\n"
