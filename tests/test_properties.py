"""What holds of every study file, good or bad: generated ones, through the real commands.

ABLATE_EXAMPLES=3000 makes so many examples of each property, drawn anew, in place of a few that are always the same.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.components.discover import discover
from ablate.components.schema import REQUIRED
from ablate.study.toml import parse_study
from ablate.study.written import good_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ablate.components.contracts import Kind
    from ablate.components.registry import Registry
    from ablate.components.schema import Setting

Document = dict[str, Any]
Place = tuple[str | int, ...]

LONG = "ABLATE_EXAMPLES" in os.environ


def examples(few: int) -> settings:
    """Return how much is tried: a few examples that are always the same, or as many as were asked for."""
    return settings(
        max_examples=int(os.environ.get("ABLATE_EXAMPLES", few)),
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=list(Phase) if LONG else [Phase.explicit, Phase.generate],
    )


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in a folder that is the same for all examples: plans change nothing."""
    with contextlib.chdir(tmp_path_factory.mktemp("properties")):
        yield
        assert os.listdir() == ["study.toml"]  # noqa: PTH208


def plan(text: str, *arguments: str) -> Result:
    Path("study.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["plan", "study.toml", "--store", "store", "--data-dir", "data", *arguments])


def planned(text: str) -> Document:
    """Return the plan of a study that has to be good."""
    done = plan(text, "--json")
    assert done.exit_code == 0, f"{text}\n{done.output}\n{done.exception!r}"
    found: Document = json.loads(done.stdout)
    return found


def keys(document: Document) -> list[tuple[str, int, str]]:
    return [(run["variant"], run["seed"], run["key"]) for run in document["runs"]]


def is_reported_well(done: Result, text: str) -> bool:
    """Check that a command did its work or said what is wrong, and wrote nothing that a terminal would obey."""
    assert done.exception is None or isinstance(done.exception, SystemExit), f"{text}\n{done.exception!r}"
    assert done.exit_code in (0, 2), text
    assert done.output.replace("\n", "").isprintable(), f"{text}\n{done.output!r}"
    if done.exit_code == 2:
        assert done.stdout == "", text
        assert re.search(r"^error: \S.*\w", done.stderr, re.MULTILINE), f"{text}\n{done.stderr}"
        assert len(done.stderr) < 100_000, text
    return done.exit_code == 0


# A writer of TOML


def string(text: str) -> str:
    escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(escaped)}"'


def key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else string(name)


def value(what: Any) -> str:
    match what:
        case bool():
            return str(what).lower()
        case int():
            return str(what) if abs(what) < 2**70 else hex(abs(what))
        case str():
            return string(what)
        case date() | time():
            return what.isoformat()
        case dict():
            return "{" + ", ".join(f"{key(k)} = {value(v)}" for k, v in what.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(value, what)) + "]"
    return repr(what)


def toml(document: Document, mix: Callable[[list[Any]], list[Any]] = list, dotted: bool = False) -> str:
    """Write a document. mix: puts tables and keys in another order; dotted: write `a.b = 1` for `a = { b = 1 }`."""
    lines: list[str] = []
    top = {name: part for name, part in document.items() if not _has_header(part)}
    lines += [f"{key(name)} = {value(part)}" for name, part in top.items()]
    for name, part in mix([(n, p) for n, p in document.items() if n not in top]):
        for table in part if isinstance(part, list) else [part]:
            lines.append(f"[[{key(name)}]]" if isinstance(part, list) else f"[{key(name)}]")
            for inner, what in mix(list(table.items())):
                if dotted and isinstance(what, dict) and what:
                    lines += [f"{key(inner)} . {key(k)} = {value(v)}" for k, v in mix(list(what.items()))]
                else:
                    lines.append(f"{key(inner)} = {value(_mixed(what, mix))}")
    return "\n".join([*lines, ""])


def _has_header(part: Any) -> bool:
    return isinstance(part, dict) or (isinstance(part, list) and bool(part) and all(isinstance(t, dict) for t in part))


def _mixed(what: Any, mix: Callable[[list[Any]], list[Any]]) -> Any:
    if isinstance(what, dict):
        return {name: _mixed(inner, mix) for name, inner in mix(list(what.items()))}
    return [_mixed(inner, mix) for inner in what] if isinstance(what, list) else what


# Good studies


@cache
def registry() -> Registry:
    return discover()


PRINTABLE = st.characters(exclude_categories=["C", "Z"])
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINES = st.text(PRINTABLE | st.just(" "), max_size=30)
COUNTS = st.integers(1, 50) | st.integers(1, 2**63 - 1)
SHARES = st.floats(0.01, 0.8)


def is_toml(what: Any) -> bool:
    if isinstance(what, (list, tuple)):
        return all(map(is_toml, what))
    return isinstance(what, (bool, float, str)) or (isinstance(what, int) and abs(what) < 2**63)


def values(setting: Setting) -> st.SearchStrategy[Any]:
    """Return what a component says that a setting can be."""
    found: st.SearchStrategy[Any] = st.from_type(setting.annotation)
    return found.filter(lambda what: is_toml(what) and not setting.check(what)[1])


@cache
def choices(kind: Kind) -> st.SearchStrategy[Document]:
    """Return the tables that name a component of a kind that ships, with settings made up from its schema."""
    found = []
    for entry in registry().entries(kind):
        if kind != "dataset" or entry.name == "digits":
            # What changes the size of images has to fit them: digits are 8 pixels a side.
            made = {s.name: st.just(8) if s.name == entry.side else values(s) for s in entry.settings}
            required = {s.name: made.pop(s.name) for s in entry.settings if s.default is REQUIRED}
            found.append(st.fixed_dictionaries({"use": st.just(entry.name), **required}, optional=made))
    return st.one_of(found)


def datasets() -> st.SearchStrategy[Document]:
    splits = {"train": st.integers(1, 100) | SHARES, "test": st.integers(1, 360) | SHARES}
    digits = {"use": st.just("digits"), "validation": st.integers(1, 1000) | SHARES}
    return st.fixed_dictionaries(digits, optional=splits)


def told() -> dict[str, st.SearchStrategy[Any]]:
    """Return what a study may say that decides nothing."""
    loss = st.floats(allow_nan=False, allow_infinity=False)
    return {
        "note": ANY_TEXT,
        "model_label": LINES,
        "enhancements": st.lists(LINES, max_size=3),
        "reported": st.fixed_dictionaries({}, optional={"accuracy": st.floats(0, 1), "loss": loss}),
    }


def augmentations() -> st.SearchStrategy[list[Document]]:
    return st.lists(choices("augmentation"), max_size=3)


def names() -> st.SearchStrategy[str]:
    odd = st.sampled_from(["<script>alert(1)<script>", "](javascript:x)", "${x}", "{{ 1 }}", "-rf", "~", "a=b", "名前"])
    free = (odd | st.text(PRINTABLE | st.just(" "), min_size=1, max_size=80)).map(lambda name: name.strip(" ."))
    return free.filter(lambda name: good_name(name) and name not in ("study", "baseline"))


@st.composite
def studies(draw: Any) -> Document:
    """Make a study that has nothing wrong; each variant has epochs of its own, so that no two are the same."""
    seeds = st.integers(1, 3) | st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True)
    ladder = draw(st.booleans())
    study = st.fixed_dictionaries(
        {"name": names()},
        optional={
            "title": LINES,
            "label": LINES,
            "seeds": seeds,
            "metric": st.sampled_from(["test/accuracy", "test/loss", "validation/accuracy", "validation/loss"]),
            "note": ANY_TEXT,
            "run_timeout": st.floats(0, exclude_min=True),
            "checkpoint_seconds": st.floats(0, exclude_min=True),
            "diverged": st.sampled_from(["fail", "continue"]),
            "cuda_graphs": st.sampled_from(["auto", "all", "none"]),
        },
    )
    parts = {"model": choices("model"), "optimizer": choices("optimizer"), "dataset": datasets()}
    optional = {"scheduler": choices("scheduler"), "augmentation": augmentations()}
    first = draw(st.integers(1, 2**62))
    baseline = draw(
        st.fixed_dictionaries({"batch_size": COUNTS, **parts}, optional={**optional, **told(), "name": names()})
    )
    chains = {baseline.get("name", "baseline"): [a["use"] for a in baseline.get("augmentation", [])]}
    variants = []
    for name in draw(st.lists(names(), max_size=3, unique=True).filter(lambda made: chains.keys().isdisjoint(made))):
        variant = draw(st.fixed_dictionaries({}, optional={**told(), "from": st.sampled_from([*chains])}))
        changed = draw(st.fixed_dictionaries({}, optional={**parts, **optional, "batch_size": COUNTS}))
        parent = variant.get("from", list(chains)[-1 if ladder else 0])
        uses = [a["use"] for a in changed["augmentation"]] if "augmentation" in changed else chains[parent]
        gone = draw(st.lists(st.sampled_from(sorted(set(uses))), unique=True)) if uses else []
        more = draw(augmentations())
        chains[name] = [use for use in uses if use not in gone] + [a["use"] for a in more]
        variant |= {"name": name, "set": {**changed, "epochs": first + len(chains)}}
        variant |= {"remove": [f"augmentation.{use}" for use in gone]} if gone else {}
        variants.append(variant | ({"add": {"augmentation": more}} if more else {}))
    document = {"study": {**draw(study), "ladder": ladder}, "baseline": {**baseline, "epochs": first}}
    return document | ({"variant": variants} if variants else {})


def retold(document: Document) -> Document:
    """Return a study with another name, title and notes, and with every default written out."""
    other = copy.deepcopy(document)
    other["study"] |= {"name": "another", "title": "Another", "note": "x", "label": "Phase", "checkpoint_seconds": 7.0}
    tables = [other["baseline"], *(v["set"] for v in other.get("variant", []))]
    for table in [*tables, *(v["add"] for v in other.get("variant", []) if "add" in v)]:
        for kind in ("model", "optimizer", "scheduler", "augmentation"):
            chosen = table.get(kind, [])
            for choice in chosen if isinstance(chosen, list) else [chosen]:
                use = choice.pop("use")
                whole = registry().get(kind, use).check(choice).settings
                choice |= {"use": use, **{name: what for name, what in whole.items() if what is not None}}
    return other


@examples(8)
@given(studies())
def test_a_good_study_is_planned_and_always_alike(document: Document) -> None:
    text = toml(document)
    found = planned(text)
    seeds = document["study"].get("seeds", 3)
    count = seeds if isinstance(seeds, int) else len(seeds)
    assert (
        len(found["runs"])
        == len({run["key"] for run in found["runs"]})
        == count * (1 + len(document.get("variant", [])))
    )
    assert all(re.fullmatch(r"[0-9a-f]{20}", run["key"]) for run in found["runs"])
    assert planned(text) == found
    assert is_reported_well(plan(text), text)
    one, two = (parse_study(text, Path("study.toml")).done() for _ in range(2))
    assert repr(one) == repr(two)  # where a setting is NaN, nothing equals itself


@examples(8)
@given(studies(), st.randoms(use_true_random=False), st.booleans())
def test_keys_do_not_hang_on_spelling_order_names_of_studies_or_defaults(
    document: Document, random: Any, dotted: bool
) -> None:
    found = keys(planned(toml(document)))
    assert keys(planned(toml(document, lambda part: random.sample(part, len(part)), dotted))) == found
    assert keys(planned(toml(retold(document)))) == found


ELSEWHERE = """
import json, sys
from pathlib import Path
from ablate.launch.study import Options, open_study
study = Path(sys.argv[1])
for line in sys.stdin:
    study.write_text(json.loads(line), encoding="utf-8")
    specs = open_study(Options(study, Path("store"), Path("data"))).specs
    print(json.dumps([[spec.variant, spec.seed, spec.key] for spec in specs]), flush=True)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Callable[[str], list[Any]]]]:
    """Other processes, whose hashes of strings differ: each takes a study and tells its keys."""

    def ask(process: subprocess.Popen[str], text: str) -> list[Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(text) + "\n")
        process.stdin.flush()
        return [tuple(run) for run in json.loads(process.stdout.readline())]

    with contextlib.ExitStack() as stack:
        asks: list[Callable[[str], list[Any]]] = []
        for seed in ("0", "1"):
            command = [sys.executable, "-c", ELSEWHERE, str(tmp_path_factory.mktemp("elsewhere") / "study.toml")]
            environment = {**os.environ, "PYTHONHASHSEED": seed}
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            )
            asks.append(partial(ask, process))
        yield asks


@pytest.mark.slow
@examples(4)
@given(document=studies())
def test_keys_do_not_hang_on_the_process(elsewhere: list[Callable[[str], list[Any]]], document: Document) -> None:
    text = toml(document)
    found = keys(planned(text))
    assert [ask(text) for ask in elsewhere] == [found, found]


# Bad studies


TEXTS = [
    *(
        "",
        " ",
        ".",
        "..",
        "../../x",
        "/etc/passwd",
        "\\\\host\\x",
        "C:\\x",
        "NUL",
        "~",
        "-rf",
        "*",
        "$(touch x)",
        "%s%n",
    ),
    *("<script>alert(1)</script>", "](javascript:alert(1))", "{{ 7 * 7 }}", "'\"", "a=b", "a.b", "[x]", "#"),
    *("a\nb", "a\r\nb", "\t", "\0", "\x1b[31m", "\x7f", "\x9b2J", "\u202etxt", "\u2028", "\ufeff", "é", "名前", "😀"),
    *("study", "baseline", "use", "simple_cnn", "SIMPLE-CNN", "digits", "image-folder", "flip", "x" * 81, "x" * 20_000),
]
LIBRARIES = ["torch:AdamW", "torch:nope", "timm:lion", "timm:resnet18", "timm:../x", "torchvision:", "torch:StepLR"]
NUMBERS = [0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**63, 16**5000, 0.0, -0.0, 0.5, 5e-324, 1e308]
ODD = [math.nan, math.inf, -math.inf, True, False, date(1979, 5, 27), time(7, 32), datetime(1979, 5, 27, tzinfo=UTC)]


def deep(levels: int) -> Any:
    nest: Any = 1
    for level in range(levels):
        nest = [nest] if level % 2 else {"a": nest}
    return nest


NESTS = [
    [],
    {},
    [[]],
    [{}],
    {"use": {}},
    {"use": "flip"},
    [{"use": "flip"}],
    deep(40),
    deep(150),
    [1] * 1500,
    ["x"] * 1500,
]
HOSTILE = st.one_of(
    st.sampled_from([*TEXTS, *NUMBERS, *ODD]),
    st.sampled_from(NESTS).map(copy.deepcopy),
    st.sampled_from(LIBRARIES) if LONG else ANY_TEXT,
)
TABLE_KEYS = ["name", "from", "set", "add", "remove", "reported", "seeds", "plugins", "metric", "use", "scheduler"]
KEYS = st.sampled_from(TEXTS) | st.sampled_from(TABLE_KEYS) | ANY_TEXT


def places(what: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every key and element."""
    inside = what.items() if isinstance(what, dict) else enumerate(what) if isinstance(what, list) else ()
    for name, inner in inside:
        yield (*place, name)
        yield from places(inner, (*place, name))


def at(document: Document, place: Place) -> Any:
    found: Any = document
    for step in place:
        found = found[step]
    return found


def broken(draw: Any, document: Document) -> None:
    """Do one thing to a study that it may not stand."""
    everywhere = list(places(document))
    *above, last = draw(st.sampled_from(everywhere))
    home = at(document, tuple(above))
    match draw(st.sampled_from(["set", "set", "wrap", "swap", "drop", "add", "add", "rename"])):
        case "wrap":
            home[last] = draw(st.sampled_from([[home[last]], {"use": home[last]}, str(home[last])]))
        case "swap":
            home[last] = copy.deepcopy(at(document, draw(st.sampled_from(everywhere))))
        case "drop" if above or len(document) > 1:
            del home[last]
        case "add" if isinstance(home, list):
            home.append(copy.deepcopy(home[last]))
        case "add":
            home[draw(KEYS)] = draw(HOSTILE)
        case "rename" if isinstance(home, dict):
            home[draw(KEYS)] = home.pop(last)
        case _:
            home[last] = draw(HOSTILE)


@st.composite
def bad_studies(draw: Any) -> str:
    document = copy.deepcopy(draw(studies()))
    for _ in range(draw(st.integers(1, 4))):
        broken(draw, document)
    return toml(document)


FIRST_TIME = re.compile(r"^(?:walking|loading) .*, the first time\n", re.MULTILINE)
"""What is said before something slow that this machine remembers afterwards."""


@examples(30)
@given(bad_studies())
def test_a_bad_study_is_reported_with_what_is_wrong(text: str) -> None:
    done = plan(text)
    is_reported_well(done, text)
    assert plan(text).output == FIRST_TIME.sub("", done.output)


@examples(15)
@given(studies().map(toml), st.data())
def test_a_file_with_odd_characters_is_reported_with_what_is_wrong(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + data.draw(st.sampled_from([*TEXTS, *"\"'[]{}=,#\n"]))
            + text[at + data.draw(st.integers(0, 20)) :]
        )
    is_reported_well(plan(text), text)


@examples(15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["baseline", "study", "flipped", "nobody", ""]),
            st.sampled_from(["epochs", "seeds", "name", "model", "optimizer.lr", "augmentation", "dataset.validation"])
            | st.sampled_from(TEXTS),
            HOSTILE.map(value) | ANY_TEXT,
        ).map(lambda parts: f"{parts[0]}.{parts[1]}={parts[2]}"),
        min_size=1,
        max_size=3,
    )
)
def test_a_setting_of_the_command_line_is_reported_with_what_is_wrong(wanted: list[str]) -> None:
    wanted = [setting.replace("\0", "") for setting in wanted]  # no command line can hold it
    is_reported_well(plan(GOOD, *(word for setting in wanted for word in ("--set", setting))), repr(wanted))


GOOD = """
[study]
name = "s"
[baseline]
epochs = 1
batch_size = 8
dataset = { use = "digits", validation = 100 }
model = { use = "simple-cnn" }
optimizer = { use = "adam", lr = 1e-3 }
[[variant]]
name = "flipped"
add = { augmentation = [{ use = "flip" }] }
"""
MANY = range(1000)
ENDLESS = {
    "20 MB": GOOD + "#" * 20_000_000,
    "arrays in arrays": "a = " + "[" * 900_000,
    "tables in tables": "a = " + "{a=" * 200_000 + "1" + "}" * 200_000,
    "a key of 400,000 parts": "a" + ".a" * 400_000 + " = 1",
    "a header of 400,000 parts": "[" + "a." * 400_000 + "a]",
    "a quoted key of 200,000 parts": '"a"' + ' . "a"' * 100_000 + " = 1",
    "long keys in each other": ("{" + ".".join("a" * 90) + "=") * 90 + "1" + "}" * 90,
    "a key of 900 kB": GOOD + "x" * 900_000 + " = 1",
    "a name of 900 kB": GOOD.replace("flipped", "x" * 900_000),
    "a component of 900 kB": GOOD.replace("simple-cnn", "x" * 900_000),
    "a number of 900 kB": GOOD.replace("1e-3", "9" * 900_000),
    "a hexadecimal number of 900 kB": GOOD.replace("1e-3", "0x" + "9" * 900_000),
    "100,000 numbers": GOOD.replace("1e-3", "[" + "1," * 100_000 + "]"),
    "1500 numbers": GOOD.replace("1e-3", "[" + "1," * 1500 + "]"),
    "1500 seeds": GOOD.replace('"s"', f'"s"\nseeds = {list(range(1500))}'),
    "1500 keys": GOOD.replace('"s"', '"s"\n' + "".join(f"k{i} = 1\n" for i in range(1500))),
    "1500 augmentations": GOOD.replace('{ use = "flip" }', '{ use = "flip" },' * 1500),
    "1500 variants": GOOD + "".join(f'[[variant]]\nname = "v{i}"\n' for i in range(1500)),
    "a loop of 1000 variants": GOOD + "".join(f'[[variant]]\nname = "{i}"\nfrom = "{(i + 1) % 1000}"\n' for i in MANY),
    "a chain of 1000 variants": GOOD + "".join(f'[[variant]]\nname = "{i}"\nfrom = "{i + 1}"\n' for i in MANY),
    "1000 runs of a thousand": GOOD.replace('"s"', '"s"\nseeds = 1000')
    + "".join(f'[[variant]]\nname = "{i}"\nset = {{ epochs = {i + 2} }}\n' for i in MANY[:-1]),
    "a plugin of 5000 characters": GOOD.replace('"s"', f'"s"\nplugins = ["{"x" * 5000}"]'),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.timeout(120)
def test_what_is_too_large_or_too_deep_is_reported_and_does_not_hang(what: str) -> None:
    done = plan(ENDLESS[what])
    assert not is_reported_well(done, what)
    assert len(done.stderr) < 40_000
