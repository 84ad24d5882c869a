"""Code that no name shows: where a plugin looks code up, or does something when it is imported, all of it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ablate import paths
from ablate.components.code_scope import CodeScope, FileFacts
from ablate.components.contracts import KINDS
from ablate.components.discover import discover
from ablate.components.sources import _Module, source_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Digest = Callable[..., str]

HEAD = "from ablate import augmentation, model\n"


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    """Return a function that writes files into a fresh folder and digests `net` of `plugin.py`, which is not run."""
    count = iter(range(100))

    def digest(plugin: str, files: dict[str, str] | None = None) -> str:
        folder = tmp_path / str(next(count))
        for name, text in {"plugin.py": HEAD + plugin, **(files or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        made: dict[str, Any] = {}
        exec(compile("def net(): ...", str(folder / "plugin.py"), "exec"), made)
        return source_digest(made["net"])

    return digest


# Each has EDIT in code that `net` runs, and that it does not reach by names.
HIDDEN = {
    "a registry decorator": """
KERNELS = {}
def register(f):
    KERNELS[f.__name__] = f
    return f
@register
def scale(x): return EDIT
def net(): return KERNELS["scale"](1)
""",
    "a registry class": """
class Registry:
    def __init__(self): self.found = {}
    def add(self, f): self.found[f.__name__] = f; return f
ALL = Registry()
@ALL.add
def scale(x): return EDIT
def net(): return ALL.found["scale"](1)
""",
    "subclasses": """
class Base: ...
class Scale(Base):
    def change(self): return EDIT
def net(): return Base.__subclasses__()[0]().change()
""",
    "__init_subclass__": """
class Base:
    found = []
    def __init_subclass__(cls): Base.found.append(cls)
class Scale(Base):
    def change(self): return EDIT
def net(): return Base.found[0]().change()
""",
    "a metaclass": """
class Meta(type):
    found = []
    def __init__(cls, *a): Meta.found.append(cls)
class Scale(metaclass=Meta):
    def change(self): return EDIT
def net(): return Meta.found[0]().change()
""",
    "globals()": "def other(): return EDIT\ndef net(): return globals()['other']()\n",
    "vars()": "def other(): return EDIT\nALL = vars()\ndef net(): return ALL['other']()\n",
    "sys.modules": """
import sys
def other(): return EDIT
def net(): return getattr(sys.modules[__name__], "other")()
""",
    "sys.modules by another name": """
from sys import modules as m
def other(): return EDIT
def net(): return getattr(m[__name__], "other")()
""",
    "a function's globals": "def other(): return EDIT\ndef net(): return net.__globals__['other']()\n",
    "a frame's globals": """
import sys
def other(): return EDIT
def net(): return sys._getframe().f_globals["other"]()
""",
    "eval": "def other(): return EDIT\ndef net(): return eval('oth' + 'er')()\n",
    "exec": "def other(): return EDIT\ndef net(): exec('x = oth' + 'er()')\n",
    "builtins": """
import builtins
def other(): return EDIT
def net(): return getattr(builtins, "ev" + "al")("other")()
""",
    "a call that sets a global": """
FACTOR = None
def setup():
    global FACTOR
    FACTOR = EDIT
setup()
def net(): return FACTOR
""",
    "an assigned call that changes a table": """
TABLE = {}
def fill(): TABLE["a"] = EDIT; return 1
_ = fill()
def net(): return TABLE["a"]
""",
    "a loop of calls": """
TABLE = []
def scale(): return EDIT
for one in [scale]: TABLE.append(one)
def net(): return TABLE[0]()
""",
    "a comprehension of calls": """
TABLE = []
def scale(): return EDIT
_ = [add(f) for add, f in [(TABLE.append, scale)]]
def net(): return TABLE[0]()
""",
    "a second name for a table": "TABLE = {}\nOTHER = TABLE\nOTHER['a'] = EDIT\ndef net(): return TABLE\n",
    "a table added to in place": "TABLE = []\nOTHER = TABLE\nOTHER += [EDIT]\ndef net(): return TABLE\n",
    "a changed library": """
import torch
torch.nn.init.kaiming_uniform_ = lambda t: t * EDIT
def net(): return torch.nn.Linear(1, 1)
""",
    "setattr on a class": """
class Config: factor = None
ALIAS = Config
setattr(ALIAS, "factor", EDIT)
def net(): return Config.factor
""",
    "an argument's default": """
TABLE = {}
def other(x=TABLE.update(a=EDIT)): ...
def net(): return TABLE
""",
    "a decorator with a side effect": """
TABLE = {}
def note(value): TABLE["a"] = value; return lambda f: f
@note(EDIT)
def other(): ...
def net(): return TABLE
""",
    "a class body": """
TABLE = {}
class Other:
    TABLE.update(a=EDIT)
def net(): return TABLE
""",
    "a with block": """
TABLE = {}
class Filling:
    def __enter__(self): TABLE["a"] = EDIT
    def __exit__(self, *a): ...
with Filling(): pass
def net(): return TABLE
""",
    "an enumeration's own constructor": """
from enum import Enum
TABLE = {}
class Other(Enum):
    def __init__(self, value): TABLE[value] = EDIT
    A = 1
def net(): return TABLE
""",
    "a descriptor that names itself": """
TABLE = {}
class Field:
    def __set_name__(self, owner, name): TABLE[name] = EDIT
class Other: field = Field()
def net(): return TABLE
""",
    "a function's code exchanged": """
def other(): return EDIT
def inner(): ...
ALIAS = inner
ALIAS.__code__ = other.__code__
def net(): return inner()
""",
    "a registered generic function": """
from functools import singledispatch
@singledispatch
def change(x): ...
@change.register(int)
def _(x): return EDIT
def net(): return change(1)
""",
    "a module's __getattr__": """
import plugin
def __getattr__(name): return EDIT
def net(): return plugin.scale
""",
    "a pickle": """
import pickle
class Other:
    def __call__(self): return EDIT
def net(): return pickle.loads(DATA)()
""",
    "a library that looks code up": """
import some_framework
@some_framework.register("scale")
def scale(): return EDIT
def net(): return some_framework.build("scale")
""",
    "a call by a function that is given one": """
TABLE = []
def call(f): return f()
def fill(): TABLE.append(EDIT)
_ = call(fill)
def net(): return TABLE
""",
    "sorted with a key": """
TABLE = []
def key(x): TABLE.append(EDIT)
_ = sorted([1], key=key)
def net(): return TABLE
""",
    "a name that hides a builtin": """
TABLE = []
def tuple(x): TABLE.append(EDIT)
_ = tuple(1)
def net(): return TABLE
""",
    "an annotation that is text": "Wide = EDIT\ndef net(*, width: 'Wide | None' = 1): ...\n",
    "functools.reduce": """
from functools import reduce
TABLE = []
def add(a, b): TABLE.append(EDIT)
_ = reduce(add, [1, 2])
def net(): return TABLE
""",
    "a threads' target": """
import threading
TABLE = []
def fill(): TABLE.append(EDIT)
THREAD = threading.Thread(target=fill)
def net(): return THREAD.start(), TABLE
""",
}


@pytest.mark.parametrize("plugin", HIDDEN.values(), ids=tuple(HIDDEN))
def test_an_edit_of_code_that_no_name_shows_is_new(digest: Digest, plugin: str) -> None:
    assert digest(plugin.replace("EDIT", "1.0")) != digest(plugin.replace("EDIT", "0.0"))


FAR = {
    "importlib": "import importlib\ndef net(*, name='_far'): return importlib.import_module(name).make()",
    "import_module": "from importlib import import_module as get\ndef net(): return get('_' + 'far').make()",
    "__import__": "def net(): return __import__('_' + 'far').make()",
    "runpy": "import runpy\ndef net(): return runpy.run_path('_far.py')",
    "pkgutil": "import pkgutil\ndef net(): return pkgutil.resolve_name('_far:make')()",
    "exec of text": "def net(): exec('import _far')",
    "a helper that imports by name": "import helper\ndef net(): return helper.get('_far').make()",
}
HELPER = "from importlib import import_module as get\n"


@pytest.mark.parametrize("plugin", FAR.values(), ids=tuple(FAR))
@pytest.mark.parametrize("far", ["_far.py", "tools/_far.py"])
def test_where_code_is_imported_by_name_the_whole_folder_counts(digest: Digest, plugin: str, far: str) -> None:
    one, two = (digest(plugin, {"helper.py": HELPER, far: f"def make(): return {n}"}) for n in (1, 2))
    assert one != two


def test_a_helper_that_does_something_when_imported_counts_for_all(digest: Digest) -> None:
    plugin = "import helper\ndef net(): return 1\ndef other(): return helper"
    one, two = (digest(plugin, {"helper.py": f"import torch\ntorch.set_flush_denormal({x})"}) for x in (True, False))
    assert one != two


@pytest.mark.parametrize("other", ["TABLE = {'a': EDIT}", "def other(): return EDIT", "class Other:\n  x = EDIT"])
@pytest.mark.parametrize(
    "text",
    [
        "import math\nSIZE = math.sqrt(2)\n",
        "import re\nfrom pathlib import Path\nRULE = re.compile('a')\nHERE = Path('a')\n",
        "from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass A:\n  x: list = field(default=1)\n",
        "from torch import nn\nclass Net(nn.Module):\n  @property\n  def size(self): return 1\n",
        "import torch\n@torch.no_grad()\ndef inner(): return 1\n",
        "from enum import IntEnum\nclass Level(IntEnum):\n  A = 1\n  def text(self): return 'a'\n",
        "def made(x): return tuple(n for n in x)\nNAMES = made('ab')\n",
        "try:\n  import timm\nexcept ImportError:\n  timm = None\nif timm is None:\n  WIDE = 3\n",
        "import helper\nfrom helper import SIZE\n",
        "@model('m')\nclass Net:\n  def __init__(self, shape, classes, *, width: int = 1): ...\n",
    ],
)
def test_plain_files_keep_neighbours_apart(digest: Digest, text: str, other: str) -> None:
    one, two = (
        digest(f"{text}{other.replace('EDIT', x)}\ndef net(): return 1", {"helper.py": "SIZE = 3\n"}) for x in "12"
    )
    assert one == two


def test_every_shipped_plugin_keeps_its_components_apart() -> None:
    for file in sorted(paths.shipped("plugins").glob("*.py")):
        facts = _Module.of(file.read_bytes()).facts
        assert facts.scope(lambda _: False) is CodeScope.NAMES, file.name


def test_an_edit_of_a_shipped_component_leaves_its_neighbours_as_they_are(tmp_path: Path) -> None:
    for file in paths.shipped("plugins").glob("*.py"):
        text = file.read_text()
        (tmp_path / file.name).write_text(text + "\n\ndef added():\n    return 1\n")
    for kind in KINDS:
        for entry in discover().entries(kind):
            if entry.file.parent != paths.shipped("plugins").resolve():
                continue  # the figures that ship
            made: dict[str, Any] = {}
            name = entry.factory.__name__
            exec(compile(f"def {name}(): ...", str(tmp_path / entry.file.name), "exec"), made)
            assert source_digest(made[name]) == entry.source, entry.name


def test_facts_name_what_a_file_imports() -> None:
    import ast

    facts = FileFacts.of(ast.parse("import a.b\nfrom c import d\nfrom . import e\ndef f(): import g"))
    assert facts.modules == {"a", "c", "g"}
