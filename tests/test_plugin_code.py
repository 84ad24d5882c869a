"""What is imported is what was read: the code of plugins and their helpers, whatever happens to the files."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from ablate.components.discover import discover, opened, shipped
from ablate.components.import_hook import FINDER
from ablate.components.plugin_code import PluginCode
from ablate.errors import ComponentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Write = Callable[[str, str], Path]

NET = """
from ablate import model
from _size import SIZE

@model("mine")
def net(shape, classes, *, width: int = 1):
    return SIZE
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Leave no helper of a test's imported."""
    before, path = set(sys.modules), [*sys.path]
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("_size", "tools", "elsewhere", "ablate_plugin_")):
            del sys.modules[name]
    sys.path[:] = path
    FINDER.use(PluginCode())


def built(registry: Any) -> Any:
    return registry.get("model", "mine").build(None, 2, settings={"width": 1})


def test_an_edited_helper_is_imported_anew_in_the_same_process(write: Write) -> None:
    write("plugins/net.py", NET)
    write("plugins/_size.py", "SIZE = 1")
    first = discover()
    write("plugins/_size.py", "SIZE = 2")
    second = discover()
    assert (built(first), built(second)) == (1, 2)
    assert first.get("model", "mine").source != second.get("model", "mine").source


def test_a_cached_compilation_of_another_text_is_not_run(write: Write) -> None:
    import py_compile

    write("plugins/net.py", NET)
    helper = write("plugins/_size.py", "SIZE = 1")
    py_compile.compile(str(helper))
    stat = helper.stat()
    helper.write_text("SIZE = 2")  # of the same length
    os.utime(helper, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert built(discover()) == 2


def test_no_compilation_is_left_beside_plugins(write: Write) -> None:
    write("plugins/net.py", NET)
    helper = write("plugins/_size.py", "SIZE = 1")
    discover()
    assert not (helper.parent / "__pycache__").exists()


def test_a_run_has_the_code_as_it_was_planned(write: Write) -> None:
    plugin, helper = write("plugins/net.py", NET), write("plugins/_size.py", "SIZE = 1")
    code = discover().snapshot([("model", "mine")])
    write("plugins/_size.py", "SIZE = 2")
    assert built(opened(code)) == 1
    helper.unlink()
    plugin.write_text("half a fi(")
    assert built(opened(code)) == 1


def test_a_run_has_only_the_plugins_that_it_names(write: Write) -> None:
    write("plugins/net.py", NET)
    write("plugins/_size.py", "SIZE = 1")
    write("plugins/unused.py", "import sys\nsys.unused_was_imported = True")
    code = discover().snapshot([("model", "mine"), ("optimizer", "adam")])
    del sys.unused_was_imported  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.startswith("ablate_plugin_")]:
        del sys.modules[name]
    registry = opened(code)
    assert sorted(file.name for file in registry.files) == ["net.py", "optimizers.py"]
    assert not hasattr(sys, "unused_was_imported")
    assert {file.name for file in code.files} == {"net.py", "_size.py", "optimizers.py"}


def test_a_copy_of_a_plugin_saved_meanwhile_changes_nothing_for_a_run(write: Write) -> None:
    plugin = write("plugins/net.py", NET)
    write("plugins/_size.py", "SIZE = 1")
    code = discover().snapshot([("model", "mine")])
    write("plugins/net_copy.py", plugin.read_text())
    assert built(opened(code)) == 1
    with pytest.raises(ComponentError, match="is taken by"):
        discover()


def test_a_file_that_no_plugin_was_seen_to_import_is_refused_in_a_run(write: Write) -> None:
    write(
        "plugins/net.py",
        """
from ablate import model
from some_library import get

@model("mine")
def net(shape, classes, *, width: int = 1):
    return get("_size").SIZE
""",
    )
    write("plugins/_size.py", "SIZE = 1")
    library = write(
        "site/site-packages/some_library.py", "import importlib as i\ndef get(n): return i.import_module(n)"
    )
    sys.path.append(str(library.parent))
    registry = discover()
    with pytest.raises(ImportError, match=r"plugins/_size\.py was not read when the command started: .*import _size"):
        built(opened(registry.snapshot([("model", "mine")])))


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("from tools.sizes import SIZE", "plugins/tools/sizes.py"),
        ("from tools import SIZE", "plugins/tools/__init__.py"),
        ("import tools.deep.sizes\nSIZE = tools.deep.sizes.SIZE", "plugins/tools/deep/sizes.py"),
    ],
)
def test_helpers_in_folders_beside_a_plugin_are_found_in_a_run_too(write: Write, line: str, file: str) -> None:
    write("plugins/net.py", NET.replace("from _size import SIZE", line))
    helper = write(file, "SIZE = 1")
    registry = discover()
    assert built(registry) == 1
    before = registry.get("model", "mine").source
    code = registry.snapshot([("model", "mine")])
    helper.write_text("SIZE = 22")
    assert built(opened(code)) == 1
    assert built(discover()) == 22
    assert discover().get("model", "mine").source != before


@pytest.mark.parametrize("how", ["on the path", "put there by the plugin"])
def test_code_of_the_users_own_elsewhere_counts_and_is_sent_as_well(write: Write, how: str) -> None:
    module = write("src/elsewhere.py", "SIZE = 1")
    head = f"import sys\nsys.path.append({str(module.parent)!r})\n" if how != "on the path" else ""
    if not head:
        sys.path.append(str(module.parent))
    write("plugins/net.py", head + NET.replace("from _size", "from elsewhere"))
    registry = discover()
    before = registry.get("model", "mine").source
    code = registry.snapshot([("model", "mine")])
    module.write_text("SIZE = 22")
    assert built(opened(code)) == 1
    assert built(discover()) == 22
    assert discover().get("model", "mine").source != before


LATE = """
import sys
from ablate import model

@model("mine")
def net(shape, classes, *, width: int = 1):
    sys.path.append(FOLDER)
    from elsewhere import SIZE
    return SIZE
"""


@pytest.mark.parametrize(
    "line", ["from elsewhere import SIZE", "import importlib as i\n    SIZE = i.import_module('elsewhere').SIZE"]
)
def test_code_that_a_plugin_makes_importable_only_when_it_is_used_is_refused_in_a_run(write: Write, line: str) -> None:
    module = write("src/elsewhere.py", "SIZE = 1")
    late = LATE.replace("FOLDER", repr(str(module.parent))).replace("from elsewhere import SIZE", line)
    write("plugins/net.py", late)
    registry = discover()
    with pytest.raises(
        ImportError, match=r"src/elsewhere\.py was not read when the command started: .*import elsewhere"
    ):
        built(opened(registry.snapshot([("model", "mine")])))


def test_a_module_of_the_users_own_that_a_library_imports_for_its_package_is_refused_in_a_run(write: Write) -> None:
    library = write("site/site-packages/some_library.py", "import importlib\nget = importlib.import_module")
    package = write("src/elsewhere/__init__.py", "import some_library\ndef get(n): return some_library.get(n)")
    write("src/elsewhere/sizes.py", "SIZE = 1")
    sys.path += [str(library.parent), str(package.parent.parent)]
    made = "import elsewhere\nSIZE = property(lambda _: elsewhere.get('elsewhere.sizes').SIZE)"
    write("plugins/net.py", NET.replace("from _size import SIZE", made).replace("return SIZE", "return SIZE.fget(0)"))
    registry = discover()
    with pytest.raises(ImportError, match=r"sizes\.py was not read .*write 'import elsewhere\.sizes'"):
        built(opened(registry.snapshot([("model", "mine")])))


def test_a_package_of_the_users_own_that_imports_its_modules_by_name_counts_whole(write: Write) -> None:
    get = "from importlib import import_module\ndef get(name): return import_module('.' + name, __package__)"
    package = write("src/elsewhere/__init__.py", get)
    module = write("src/elsewhere/deep/sizes.py", "SIZE = 1")
    write("src/elsewhere/deep/__init__.py", "")
    sys.path.append(str(package.parent.parent))
    write(
        "plugins/net.py",
        NET.replace("from _size import SIZE", "import elsewhere\nSIZE = elsewhere.get('deep.sizes').SIZE"),
    )
    registry = discover()
    code = registry.snapshot([("model", "mine")])
    module.write_text("SIZE = 22")
    assert built(opened(code)) == 1
    assert built(discover()) == 22
    assert discover().get("model", "mine").source != registry.get("model", "mine").source


def test_an_installed_package_goes_before_a_file_beside_the_plugin(write: Write) -> None:
    write("plugins/net.py", NET.replace("from _size import SIZE", "import yaml_of_mine\nSIZE = yaml_of_mine.X"))
    write("plugins/yaml_of_mine.py", "X = 1")
    installed = write("site/site-packages/yaml_of_mine.py", "X = 2")
    sys.path.append(str(installed.parent))
    try:
        assert built(discover()) == 2
    finally:
        sys.modules.pop("yaml_of_mine", None)


def test_files_that_changed_are_known(write: Write) -> None:
    plugin = write("plugins/net.py", NET)
    helper = write("plugins/_size.py", "SIZE = 1")
    code = discover().get("model", "mine").plugin.code  # type: ignore[union-attr]
    assert code.changed() == []
    helper.write_text("SIZE = 2")
    plugin.unlink()
    assert set(code.changed()) == {plugin, helper}


def test_the_shipped_plugins_alone_are_what_the_server_loads(write: Write) -> None:
    write("plugins/unused.py", "1 / 0")
    assert all(file.name != "unused.py" for file in shipped().files)


# Plugins that are odd


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("class E(BaseException): 'as pyo3_runtime.PanicException'\nraise E('panic')", r":6: .*E: panic"),
        (
            "class E(Exception):\n    def __str__(self): raise ValueError('in text')\nraise E",
            r":7: .*E: \(its text raises ValueError\)",
        ),
        ("import asyncio\nraise asyncio.CancelledError", r":6: .*: CancelledError"),
        ("raise GeneratorExit", r":5: .*: GeneratorExit"),
        ("import sys\nsys.exit(3)", r":6: .*: SystemExit: 3"),
        (r"raise ValueError('bad \udcff name')", r":5: .*: ValueError: bad \\udcff name"),
        ("raise ValueError('x' * 10_000)", r":5: .*: ValueError: x+…\n"),
        ("import os\nos.chdir('/')", r":1: .*: it changes the working folder \(os\.chdir\)"),
        ("import os\nos.chdir('/')\n1 / 0", r":7: .*: ZeroDivisionError"),
        ("import warnings\nwarnings.simplefilter('error')\nwarnings.warn('w')", r":7: .*: UserWarning: w"),
    ],
)
def test_whatever_a_plugin_raises_it_is_named_with_the_cause_once(write: Write, code: str, says: str) -> None:
    write("plugins/odd.py", "from ablate import augmentation\n\n\n\n" + code)
    before = Path.cwd()
    with pytest.raises(ComponentError, match=rf"^plugins/odd\.py{says}") as caught:
        discover()
    assert str(caught.value).count("odd.py") == 1
    assert Path.cwd() == before


@pytest.mark.parametrize(
    "code",
    [
        """
class Lazy:
    def __getattr__(self, name): raise RuntimeError("not configured yet")
    __module__ = property(lambda self: self.x)
settings = Lazy()
""",
        """
class Lazy:
    def __getattribute__(self, name): raise RuntimeError("not configured yet")
settings = Lazy()
""",
        """
class Lazy:
    def __eq__(self, other): raise RuntimeError("not comparable")
    __hash__ = None
settings = Lazy()
""",
        "p.__wrapped__ = p",
    ],
)
def test_what_stands_beside_a_component_does_not_trip_the_discovery(write: Write, code: str) -> None:
    text = 'from ablate import augmentation\n@augmentation("p")\ndef p():\n    """Pass."""\n    return lambda i, g: i\n'
    write("plugins/odd.py", text + code)
    assert discover().get("augmentation", "p").build(settings={}) is not None
    assert len(discover().get("augmentation", "p").source) == 16


def test_nothing_but_named_plugins_comes_from_the_working_folder(write: Write) -> None:
    for name in ("random", "queue", "statistics", "torch", "runpy", "typer", "selectors", "signal"):
        write(f"{name}.py", f"raise SystemExit('{name} of the working folder')")
    write("ablate/__init__.py", "")
    code = dedent(
        """
        import os, sys
        sys.path = [place for place in sys.path if place]
        from ablate.execute import server
        if __name__ == "__main__":
            process, ours = server.start(print, "a process that was started")
            process.join()
            print(process.exitcode, os.environ.get("PYTHONSAFEPATH"))
        """
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "0 None\n", done.stderr
    assert "a process that was started" in done.stderr
    assert "of the working folder" not in done.stderr


def test_python_dash_m_looks_for_nothing_in_the_working_folder(write: Write) -> None:
    write("random.py", "raise SystemExit('random of the working folder')")
    write("typer.py", "raise SystemExit('typer of the working folder')")
    done = subprocess.run([sys.executable, "-m", "ablate", "components", "dataset"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_plugin_leaves_in_the_environment_and_on_the_path_is_not_for_other_processes(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ablate.execute.server import starting

    monkeypatch.setenv("WAS_THERE", "before")
    monkeypatch.setenv("IS_REMOVED", "before")
    monkeypatch.setenv("CHANGED_SINCE", "before")
    write(
        "plugins/loud.py",
        "import os, sys\nos.environ.update(WAS_THERE='x', IS_NEW='x', CHANGED_SINCE='x')\n"
        "del os.environ['IS_REMOVED']\nsys.path.insert(0, '/nowhere')\n",
    )
    discover()
    monkeypatch.setenv("CHANGED_SINCE", "after")
    names = ("WAS_THERE", "IS_NEW", "IS_REMOVED", "CHANGED_SINCE")
    with starting():
        assert [os.environ.get(name) for name in names] == ["before", None, "before", "after"]
        assert "/nowhere" not in sys.path
    assert [os.environ.get(name) for name in names] == ["x", "x", None, "after"]
    assert sys.path[0] == "/nowhere"
    monkeypatch.delenv("IS_NEW")


def test_a_plugins_filters_of_warnings_are_not_for_all(write: Write) -> None:
    before = [*warnings.filters]
    write("plugins/strict.py", "import warnings\nwarnings.simplefilter('error')\n")
    discover()
    assert warnings.filters == before
