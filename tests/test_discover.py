"""Where components are looked for, and what a broken plugin says."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from ablate import paths
from ablate.components.discover import discover
from ablate.errors import ComponentError

if TYPE_CHECKING:
    from pathlib import Path

    from ablate.components.registry import Registry


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of our own, and forget the plugin folders that a test puts on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))
    return file


def model(name: str) -> str:
    return f"from ablate import model\n\n@model('{name}')\ndef net(shape, classes, *, width: int = 1): ...\n"


def named(registry: Registry) -> set[str]:
    """Return the models that do not ship."""
    return {e.name for e in registry.entries("model") if e.file.parent != paths.shipped("plugins").resolve()}


# Places


def test_plugins_in_the_working_folder_are_found(here: Path) -> None:
    write(here / "plugins/nets.py", model("mine"))
    assert discover().get("model", "mine").place == "plugins/nets.py:3"


def test_plugins_beside_the_study_are_found(here: Path) -> None:
    write(here / "work/plugins/nets.py", model("mine"))
    assert named(discover(here / "work/study.toml")) == {"mine"}


def test_plugins_beside_a_studies_folder_are_found(here: Path) -> None:
    write(here / "work/plugins/nets.py", model("mine"))
    assert named(discover(here / "work/studies/study.toml")) == {"mine"}


def test_plugins_beside_another_folder_are_not_found(here: Path) -> None:
    write(here / "work/plugins/nets.py", model("mine"))
    assert named(discover(here / "work/others/study.toml")) == set()


def test_plugins_of_both_places_are_found(here: Path) -> None:
    write(here / "plugins/nets.py", model("mine"))
    write(here / "work/plugins/nets.py", model("theirs"))
    assert named(discover(here / "work/study.toml")) == {"mine", "theirs"}


def test_one_folder_reached_by_two_ways_is_loaded_once(here: Path) -> None:
    file = write(here / "plugins/nets.py", model("mine"))
    registry = discover(here / "studies/study.toml", [here / "plugins", file])
    assert registry.files.count(file) == 1


def test_a_file_that_the_study_names_is_found(here: Path) -> None:
    file = write(here / "elsewhere/nets.py", model("mine"))
    assert discover(named=[file]).files[-1] == file


def test_a_folder_that_the_study_names_is_found(here: Path) -> None:
    write(here / "elsewhere/a.py", model("one"))
    write(here / "elsewhere/b-c.py", model("two"))
    assert named(discover(named=[here / "elsewhere"])) == {"one", "two"}


def test_a_helper_that_the_study_names_itself_is_loaded(here: Path) -> None:
    assert named(discover(named=[write(here / "elsewhere/_nets.py", model("mine"))])) == {"mine"}


def test_a_file_that_is_no_python_file_cannot_be_loaded(here: Path) -> None:
    with pytest.raises(ComponentError, match=r"^notes\.txt: not a Python file that can be loaded"):
        discover(named=[write(here / "notes.txt", "hello")])


def test_a_taken_name_is_reported_with_both_files(here: Path) -> None:
    write(here / "plugins/a.py", model("mine"))
    write(here / "plugins/b.py", "\n" + model("mine"))
    with pytest.raises(ComponentError, match=r"^plugins/b\.py:4: the model name 'mine' is taken by plugins/a\.py:3"):
        discover()


def test_files_with_an_underscore_are_helpers(here: Path) -> None:
    write(here / "plugins/_broken.py", "raise RuntimeError('never loaded by itself')")
    assert named(discover()) == set()


def test_a_plugin_can_import_a_helper_beside_it(here: Path) -> None:
    write(here / "plugins/_widths_of_discover.py", "WIDE = 64")
    write(
        here / "plugins/nets.py",
        """
        from ablate import model
        from _widths_of_discover import WIDE

        @model("mine")
        def net(shape, classes, *, width: int = WIDE): ...
        """,
    )
    assert discover().get("model", "mine").signature == "width: int = 64"


def test_a_plugin_never_hides_an_installed_package(here: Path) -> None:
    write(here / "plugins/pydantic.py", model("mine"))
    found = discover()
    assert named(found) == {"mine"}
    code = "import sys; sys.path.append('plugins'); import pydantic; print(pydantic.VERSION)"
    assert python(code, here).strip()


# Broken plugins


@pytest.mark.parametrize(
    ("code", "line", "text"),
    [
        ("import nothing_of_this_name", 1, "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("\nfrom ablate import modle", 2, "ImportError: cannot import name 'modle'"),
        ("x = 1\ndef broken(:\n", 2, r"SyntaxError: invalid syntax \(nets\.py, line 2\)"),
        ("def f():\n    return {}['a']\n\nf()\n", 2, "KeyError: 'a'"),
        ("import sys\nsys.exit('enough')", 2, "SystemExit: enough"),
        ("import json\njson.loads('{')", 2, "JSONDecodeError: "),
        ("x = '\0'", 1, "source code"),
    ],
)
def test_a_broken_plugin_is_reported_with_file_and_line(here: Path, code: str, line: int, text: str) -> None:
    write(here / "plugins/nets.py", code)
    with pytest.raises(ComponentError, match=rf"^plugins/nets\.py:{line}: this plugin does not import: .*{text}"):
        discover()


def test_a_broken_plugin_is_reported_with_what_to_do(here: Path) -> None:
    write(here / "plugins/nets.py", "1 / 0")
    with pytest.raises(ComponentError, match=r"\n  mend the file, or move it out of the plugins folder$"):
        discover()


def test_a_broken_file_that_a_study_names_is_in_no_plugins_folder(here: Path) -> None:
    file, study = write(here / "nets.py", "1 / 0"), here / "study.toml"
    with pytest.raises(ComponentError, match=r"\n  mend the file, or take it out of `plugins` of the study$"):
        discover(study, [file])
    with pytest.raises(ComponentError, match=r"\n  mend the file, or name it no longer$"):
        discover(named=[file])


def test_a_broken_helper_is_reported_with_the_line_that_imports_it(here: Path) -> None:
    write(here / "plugins/_broken_of_discover.py", "def f(:\n")
    write(here / "plugins/nets.py", "\n\nimport _broken_of_discover")
    with pytest.raises(ComponentError, match=r"^plugins/nets\.py:3: .*_broken_of_discover\.py, line 1"):
        discover()


def test_a_broken_contract_stays_as_it_is_reported(here: Path) -> None:
    write(here / "plugins/nets.py", "from ablate import model\n@model('x')\ndef net(shape): ...")
    with pytest.raises(ComponentError, match=r"^plugins/nets\.py:2: model 'x': takes 1 positional"):
        discover()


def test_a_plugin_that_was_broken_is_loaded_once_it_is_mended(here: Path) -> None:
    file = write(here / "plugins/nets.py", "1 / 0")
    with pytest.raises(ComponentError, match="ZeroDivisionError"):
        discover()
    write(file, model("mine"))
    assert named(discover()) == {"mine"}


def test_an_interrupt_while_a_plugin_loads_is_an_interrupt(here: Path) -> None:
    write(here / "plugins/nets.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        discover()


# Installed packages


def install(folder: Path, value: str, point: str = "mine") -> None:
    """Write what an installer leaves of a distribution with one entry point."""
    info = folder / f"tiny_{point}-1.0.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: tiny-{point}\nVersion: 1.0\n")
    write(info / "entry_points.txt", f"[ablate.plugins]\n{point} = {value}\n")
    sys.path.append(str(folder))


def test_an_installed_package_is_found(here: Path) -> None:
    write(here / "site/tiny_found/nets.py", model("mine"))
    install(here / "site", "tiny_found.nets")
    assert discover().get("model", "mine").place == "site/tiny_found/nets.py:3"


@pytest.mark.parametrize("star", [False, True])
def test_the_packages_around_an_installed_plugin_count_and_run(here: Path, star: bool) -> None:
    site, top = here / "site", f"tiny_around_{star}".lower()
    write(site / top / "__init__.py", "from ._version import VERSION\n")
    write(site / top / "_version.py", "VERSION = 1\n")
    write(site / top / "unused.py", "")
    inner = write(site / top / "nets/__init__.py", "from math import pi\n" if not star else "from math import *\n")
    write(site / top / "nets/mine.py", model("mine"))
    install(site, f"{top}.nets.mine")
    code = (
        "from ablate.components.discover import discover, opened\n"
        "registry = discover()\nprint(registry.get('model', 'mine').source)\n"
        "snapshot, before = registry.snapshot({('model', 'mine')}), set(__import__('sys').modules)\n"
        f"[__import__('sys').modules.pop(name) for name in before if name.startswith('{top}')]\n"
        "opened(snapshot).get('model', 'mine')"
    )

    def digest() -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = digest()
    write(site / top / "unused.py", "HERE = 1\n")
    assert digest() == first
    write(site / top / "_version.py", "VERSION = 2.5\n")
    second = digest()
    write(inner, "from math import tau\n")
    assert len({first, second, digest()}) == 3


def test_an_entry_point_that_names_no_module_is_reported(here: Path) -> None:
    write(here / "site/tiny_function.py", model("mine"))
    install(here / "site", "tiny_function:net")
    with pytest.raises(
        ComponentError,
        match=r"^ablate\.plugins entry point 'mine' \(tiny_function:net\): names no module; "
        r"write 'package\.module' without a colon",
    ):
        discover()


@pytest.mark.parametrize(
    ("module", "code", "text"),
    [
        ("tiny_division", "1 / 0", "ZeroDivisionError: division by zero"),
        ("tiny_exit", "import sys\nsys.exit(3)", "SystemExit: 3"),
    ],
)
def test_an_installed_package_that_does_not_import_is_reported(here: Path, module: str, code: str, text: str) -> None:
    write(here / f"site/{module}.py", code)
    install(here / "site", module)
    with pytest.raises(ComponentError, match=rf"entry point 'mine' \({module}\): does not import: {text}"):
        discover()


def test_an_entry_point_to_nothing_is_reported(here: Path) -> None:
    install(here / "site", "tiny_nothing")
    with pytest.raises(ComponentError, match="does not import: ModuleNotFoundError: No module named 'tiny_nothing'"):
        discover()


def test_an_installed_package_that_takes_a_shipped_name_is_reported(here: Path) -> None:
    write(here / "site/tiny_taken.py", model("simple-cnn"))
    install(here / "site", "tiny_taken")
    with pytest.raises(ComponentError, match=r"^site/tiny_taken\.py:3: the model name 'simple-cnn' is taken by "):
        discover()


def test_an_installed_package_that_is_also_in_the_plugins_folder_is_loaded_once(here: Path) -> None:
    file = write(here / "plugins/tiny_both.py", model("mine"))
    install(here / "plugins", "tiny_both")
    assert discover().files.count(file) == 1


# Shipped plugins


def python(code: str, folder: Path) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_shipped_plugins_are_discovered_without_torch(here: Path) -> None:
    code = """
import sys
from ablate.components.discover import discover
registry = discover()
print(all(registry.entries(kind) for kind in ("dataset", "model", "augmentation", "optimizer", "scheduler")))
print({"torch", "torchvision", "timm", "sklearn", "matplotlib", "pandas"} & sys.modules.keys())
"""
    assert python(code, here).split("\n")[:2] == ["True", "set()"]


def test_the_shipped_folder_is_no_folder_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths.shipped("plugins").parent)
    assert paths.of_user("plugins") == []


def test_a_file_that_is_edited_is_loaded_anew_in_the_same_process(here: Path) -> None:
    file = write(here / "plugins/nets.py", model("mine"))
    before = discover().get("model", "mine")
    file.write_text(file.read_text().replace("width: int = 1", "width: int = 2"))
    after = discover().get("model", "mine")
    assert (before.settings[0].default, after.settings[0].default) == (1, 2)
    assert before.factory is not after.factory


def test_two_folders_may_not_have_a_helper_of_the_same_name(here: Path) -> None:
    write(here / "plugins/nets.py", model("mine"))
    write(here / "work/plugins/others.py", model("theirs"))
    for folder in ("plugins", "work/plugins"):
        write(here / folder / "_helper.py", "")
    with pytest.raises(
        ComponentError, match=r"_helper.py: another plugin folder has a helper of this name\n.*another name"
    ):
        discover(here / "work/study.toml")


def package(site: Path, text: str) -> None:
    write(site / "nets_of_mine/__init__.py", text)
    write(site / "nets_of_mine/deep.py", model("deep"))
    info = site / "nets_of_mine-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: nets-of-mine\nVersion: 1.0\n")
    write(info / "entry_points.txt", "[ablate.plugins]\nmine = nets_of_mine\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [("from .deep import net", "deep.py:3"), ("", "the module defines no component, nor imports one from its package")],
)
def test_a_package_registers_what_it_imports_from_its_own_modules(here: Path, text: str, says: str) -> None:
    package(here / "site", text)
    code = (
        "from ablate.components.discover import discover\nfrom ablate.errors import ComponentError\n"
        "try:\n    print(discover().get('model', 'deep').place)\nexcept ComponentError as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(here / "site")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert says in done.stdout
