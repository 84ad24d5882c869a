"""Which edits of a plugin make its runs new."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from ablate.components.sources import source_digest
from ablate.errors import ComponentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Digest = Callable[..., str]

_NUMBERS = itertools.count()


def load(file: Path, factory: str) -> Any:
    name = f"sources_{next(_NUMBERS)}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return getattr(module, factory)
    finally:
        sys.path_importer_cache.clear()


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    """Return a function that writes files into a fresh folder and digests `net` of `plugin.py`.

    The plugin is not run: what it imports need not exist.
    """

    def digest(plugin: str, files: dict[str, str] = {}, factory: str = "net", at: str = "plugin.py") -> str:  # noqa: B006
        folder = tmp_path / str(next(_NUMBERS))
        for name, text in {at: plugin, **files}.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text), encoding="utf-8")
        stand_in = compile(f"def {factory}(): ...", str(folder / at), "exec")
        made: dict[str, Any] = {}
        exec(stand_in, made)
        return source_digest(made[factory])

    return digest


NET = """
SIZE = 3
OTHER = 4

def inner(x):
    return x * SIZE

def outer(x):
    return inner(x)

def net(*, width: int = 1):
    return outer(width)

def other_net(*, width: int = 1):
    return OTHER
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return outer(width)", "return outer(width) + 1"),
        ("def net(*, width: int = 1)", "def net(*, width: int = 2)"),
        ("return inner(x)", "return inner(x + 1)"),
        ("return x * SIZE", "return x / SIZE"),
        ("SIZE = 3", "SIZE = 5"),
        ("SIZE = 3", "SIZE = 3\nSIZE = 5"),
    ],
)
def test_an_edit_of_what_the_factory_reaches_is_new(digest: Digest, old: str, new: str) -> None:
    assert old in NET
    assert digest(NET) != digest(NET.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return OTHER", "return OTHER + 1"),
        ("OTHER = 4", "OTHER = 5"),
        ("SIZE = 3", "# a comment\nSIZE = 3  # another"),
        ("    return inner(x)", '    """Say what."""\n\n    return inner(x)  # why'),
        ("def outer", "\n\n\ndef outer"),
        ("def net", "def added(): ...\n\ndef net"),
        ("OTHER = 4", "OTHER = 4\n\nclass Added:\n    pass\n"),
    ],
)
def test_an_edit_of_anything_else_is_not_new(digest: Digest, old: str, new: str) -> None:
    assert old in NET
    assert digest(NET) == digest(NET.replace(old, new))


def test_the_order_of_definitions_does_not_matter(digest: Digest) -> None:
    one, two = "def net():\n    return a() + b()\n", ["def a():\n    return 1\n", "def b():\n    return 2\n"]
    assert digest(one + two[0] + two[1]) == digest(two[1] + one + two[0])


def test_the_folder_of_the_plugin_does_not_matter(digest: Digest) -> None:
    assert digest(NET) == digest(NET)


def test_the_docstrings_of_classes_and_methods_do_not_matter(digest: Digest) -> None:
    code = 'class A:\n  """{0}"""\n  def f(self):\n    """{0}\n\n    More."""\n    return 1\ndef net(): return A()\n'
    assert digest(code.format("One.")) == digest(code.format("Two."))


def test_code_on_the_line_of_a_docstring_matters(digest: Digest) -> None:
    code = 'def net(): """Say é."""; return {}\n'
    assert digest(code.format(1)) != digest(code.format(2))
    assert digest(code.format(1)) == digest(code.format(1).replace("Say é", "Tell"))


def test_a_string_that_is_no_docstring_matters(digest: Digest) -> None:
    code = 'def net():\n    x = 1\n    return """\n# {}\n"""\n'
    assert digest(code.format("one")) != digest(code.format("two"))


def test_a_line_of_a_string_that_looks_like_a_comment_matters(digest: Digest) -> None:
    assert digest("def net(): return 'a # b'") != digest("def net(): return 'a # c'")


@pytest.mark.parametrize("sign", ["\f", "\u2028", "\x1c", "\x85"])
def test_signs_that_end_lines_elsewhere_do_not_hide_an_edit(digest: Digest, sign: str) -> None:
    code = f"X = '{sign}'\n\ndef net():\n    return {{}}\n\ndef after():\n    return 3\n"
    assert digest(code.format(1)) != digest(code.format(2))
    assert digest(code.format(1)) == digest(code.format(1).replace("return 3", "return 4"))


def test_the_decorator_belongs_to_the_factory(digest: Digest) -> None:
    code = "def wrap(f): return f\n@wrap\ndef net(): return 1\n"
    assert digest(code) != digest(code.replace("return f", "return lambda: f"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("TABLE = {}\nTABLE['a'] = 1", "TABLE = {}\nTABLE['a'] = 2"),
        ("TABLE = {}\nTABLE.update(a=1)", "TABLE = {}\nTABLE.update(a=2)"),
        ("TABLE = {}\nfor i in range(3): TABLE[i] = i", "TABLE = {}\nfor i in range(4): TABLE[i] = i"),
        ("def TABLE(): ...\nTABLE.size = 1", "def TABLE(): ...\nTABLE.size = 2"),
        ("if BIG:\n  TABLE = 1\nelse:\n  TABLE = 2\nBIG = 1", "if BIG:\n  TABLE = 1\nelse:\n  TABLE = 2\nBIG = 0"),
        ("try:\n  TABLE = 1\nexcept KeyError:\n  TABLE = 2", "try:\n  TABLE = 1\nexcept KeyError:\n  TABLE = 3"),
        ("TABLE: int = 1", "TABLE: int = 2"),
        ("TABLE, b = 1, 2", "TABLE, b = 3, 2"),
        ("(TABLE := 1)", "(TABLE := 2)"),
        ("TABLE = 1\nTABLE += 1", "TABLE = 1\nTABLE += 2"),
        ("class TABLE:\n  x = 1", "class TABLE:\n  x = 2"),
    ],
)
def test_every_way_to_define_or_change_a_name_counts(digest: Digest, old: str, new: str) -> None:
    net = "\ndef net():\n    return TABLE\n"
    assert digest(old + net) != digest(new + net)


def test_another_table_is_not_new(digest: Digest) -> None:
    code = "TABLE = {{}}\nOTHER = {{'a': {}}}\ndef net(): return TABLE\ndef other(): return OTHER\n"
    assert digest(code.format(1)) == digest(code.format(2))


def test_a_factory_that_stands_under_no_name_of_its_own_is_covered_by_its_whole_file(digest: Digest) -> None:
    code = "def make():\n    def inner(): return {}\n    return inner\nnet = make()\n"
    assert digest(code.format(1), factory="inner") != digest(code.format(2), factory="inner")


# Helper files


@pytest.mark.parametrize(
    "plugin",
    [
        "from helper import size\ndef net(): return size",
        "import helper\ndef net(): return helper.size",
        "import helper as h\ndef net(): return h.size",
        "from helper import *\ndef net(): return size",
        "def net():\n    from helper import size\n    return size",
        "def net():\n    import helper\n    return helper.size",
        "def inner():\n    import helper\n    return helper.size\ndef net(): return inner()",
        "try:\n    import helper\nexcept ImportError:\n    pass\ndef net(): return helper.size",
    ],
)
def test_an_edit_of_a_helper_file_is_new(digest: Digest, plugin: str) -> None:
    assert digest(plugin, {"helper.py": "size = 1"}) != digest(plugin, {"helper.py": "size = 2"})


def test_an_edit_of_a_helper_of_a_helper_is_new(digest: Digest) -> None:
    plugin, helper = "from helper import size\ndef net(): return size", "from second import size"
    assert digest(plugin, {"helper.py": helper, "second.py": "size = 1"}) != digest(
        plugin, {"helper.py": helper, "second.py": "size = 2"}
    )


def test_a_comment_in_a_helper_file_is_not_new(digest: Digest) -> None:
    plugin = "from helper import size\ndef net(): return size"
    assert digest(plugin, {"helper.py": "size = 1"}) == digest(
        plugin, {"helper.py": '"""Sizes."""\n\nsize = 1  # pixel'}
    )


def test_a_helper_that_only_others_import_is_not_covered(digest: Digest) -> None:
    plugin = "from helper import size\ndef net(): return 1\ndef other(): return size"
    assert digest(plugin, {"helper.py": "size = 1"}) == digest(plugin, {"helper.py": "size = 2"})


def test_helpers_that_import_each_other_end(digest: Digest) -> None:
    plugin = "from a import x\ndef net(): return x"
    assert digest(plugin, {"a.py": "from b import y\nx = 1", "b.py": "import a\ny = 1"}) != digest(
        plugin, {"a.py": "from b import y\nx = 1", "b.py": "import a\ny = 2"}
    )


@pytest.mark.parametrize(
    ("plugin", "helper"),
    [
        ("from .helper import size\ndef net(): return size", "pkg/helper.py"),
        ("def net():\n    from . import helper\n    return helper.size", "pkg/helper.py"),
        ("def net():\n    from .sub.helper import size\n    return size", "pkg/sub/helper.py"),
        ("def net():\n    from .sub import helper\n    return helper.size", "pkg/sub/helper.py"),
        ("from pkg.helper import size\ndef net(): return size", "pkg/helper.py"),
        ("from pkg import helper\ndef net(): return helper.size", "pkg/helper.py"),
        ("import pkg.sub.helper\ndef net(): return pkg.sub.helper.size", "pkg/sub/helper.py"),
    ],
)
def test_an_edit_of_a_helper_in_the_plugins_package_is_new(digest: Digest, plugin: str, helper: str) -> None:
    def with_size(size: int) -> str:
        return digest(plugin, {"pkg/__init__.py": "", helper: f"size = {size}"}, at="pkg/plugin.py")

    assert with_size(1) != with_size(2)


def test_what_the_plugins_package_itself_defines_counts_where_it_is_imported(digest: Digest) -> None:
    plugin = "from . import SIZE\ndef net(): return SIZE"
    assert digest(plugin, {"pkg/__init__.py": "SIZE = 1"}, at="pkg/plugin.py") != digest(
        plugin, {"pkg/__init__.py": "SIZE = 2"}, at="pkg/plugin.py"
    )


def test_the_plugins_package_does_not_count_where_a_neighbour_is_imported(digest: Digest) -> None:
    plugin = "from .helper import size\ndef net(): return size"
    assert digest(plugin, {"pkg/__init__.py": "", "pkg/helper.py": "size = 1"}, at="pkg/plugin.py") == digest(
        plugin, {"pkg/__init__.py": "from . import many, others", "pkg/helper.py": "size = 1"}, at="pkg/plugin.py"
    )


def test_a_helper_package_counts_with_its_init(digest: Digest) -> None:
    plugin = "from tools.sizes import size\ndef net(): return size"
    assert digest(plugin, {"tools/__init__.py": "a = 1", "tools/sizes.py": "size = 1"}) != digest(
        plugin, {"tools/__init__.py": "a = 2", "tools/sizes.py": "size = 1"}
    )


def test_a_helper_package_can_import_a_file_beside_the_plugin(digest: Digest) -> None:
    files = {"tools/__init__.py": "from deep import size"}
    plugin = "from tools import size\ndef net(): return size"
    assert digest(plugin, {**files, "deep.py": "size = 1"}) != digest(plugin, {**files, "deep.py": "size = 2"})


def test_installed_libraries_are_not_covered(digest: Digest) -> None:
    plugin = "import lib\nfrom pkg.helper import size\ndef net(): return lib.x, size"

    def with_sizes(lib: int, size: int) -> str:
        files = {"lib/__init__.py": f"x = {lib}", "pkg/__init__.py": "", "pkg/helper.py": f"size = {size}"}
        return digest(plugin, {f"site-packages/{k}": v for k, v in files.items()}, at="site-packages/pkg/plugin.py")

    assert with_sizes(1, 1) == with_sizes(2, 1)
    assert with_sizes(1, 1) != with_sizes(1, 2)


def test_an_installed_single_file_does_not_cover_its_neighbours(digest: Digest) -> None:
    plugin = "def net():\n    import lib\n    return lib.x"
    one, two = (digest(plugin, {"site-packages/lib.py": f"x = {x}"}, at="site-packages/plugin.py") for x in (1, 2))
    assert one == two


def test_a_broken_helper_that_nothing_has_imported_yet_is_reported_with_file_and_line(digest: Digest) -> None:
    with pytest.raises(ComponentError, match=r"helper\.py:2: cannot be read: SyntaxError: "):
        digest("def net():\n    import helper", {"helper.py": "x = 1\ndef f(:\n"})


# Files as they are


def test_a_file_in_another_encoding_is_read_as_python_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_bytes("# coding: latin-1\ndef net(): return 'é'\n".encode("latin-1"))
    assert len(source_digest(load(file, "net"))) == 16


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_bytes(b"\xef\xbb\xbfdef net(): return 1\n")
    assert len(source_digest(load(file, "net"))) == 16


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(NET.encode())
    (tmp_path / "b.py").write_bytes(NET.replace("\n", "\r\n").encode())
    assert source_digest(load(tmp_path / "a.py", "net")) == source_digest(load(tmp_path / "b.py", "net"))


def test_an_edit_in_the_same_process_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text("def net(): return 1\n")
    before = source_digest(load(file, "net"))
    file.write_text("def net(): return 10\n")
    assert source_digest(load(file, "net")) != before


def test_the_digest_is_that_of_every_process(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(
        "from helper import *\nimport json, re\nA = {1, 2}\nB = {'x': A}\n"
        "def a(): return A, B, b\ndef b(): return json, re\ndef net(): return a, b, A, B\n"
    )
    (tmp_path / "helper.py").write_text("import second\nimport third\n")
    (tmp_path / "second.py").write_text("X = 1\n")
    (tmp_path / "third.py").write_text("X = 1\n")
    code = "from ablate.components.sources import source_digest; import plugin; print(source_digest(plugin.net))"
    found = set()
    for seed in ("0", "1", "4242"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
