"""A study file to a `Study`, with all its problems at once.

This first reading knows no component: it checks tables, keys, types and names, and resolves `from`,
`set`, `add` and `remove`. `components` then checks what the tables name. Reports need only this part.
"""

from __future__ import annotations

import contextlib
import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..components.schema import value_text
from ..errors import InputError, Problem, StudyError, did_you_mean, one_line, printable
from ..paths import shown
from .overrides import COMMAND_LINE, Override
from .positions import MAX_DEPTH, has_endless_key, line_of, positions
from .spec import Limits, Place, Study, Tuning
from .tables import BaselineTable, Form, SetTable, StudyTable, TuneTable, VariantTable, check_table, dotted, odd_values
from .tuning import Found, read_tuning, tuned_variants
from .variants import Builder, Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
MAX_VARIANTS = 1000
MAX_SEEDS = 1000
MAX_RUNS = 100_000
NAME_RULE = "a name has 1 to 80 printable characters, no '/', '\\' or '..', and no '.' or blank at its ends"
PILOT_IMAGES = 2000


@dataclass(frozen=True)
class Changes:
    """What the command line changes in a study, as if its file had been edited.

    settings: texts of the form `baseline.optimizer.lr=0.1`, from `--set`.
    seeds: the seeds to use in place of the file's.
    pilot: one epoch of one seed on `PILOT_IMAGES` images.
    tuned: variants to add, each another one with the best settings that tuning found; None where nobody asks, and
    those that were added before stay.
    """

    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    pilot: bool = False
    tuned: Found | None = None


@dataclass
class Reading:
    """A study as read so far: the study, its problems, and the line of each key."""

    source: str
    study: Study
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Place, int] = field(default_factory=dict)

    def problem(self, place: Place, where: str, text: str) -> None:
        """Add a problem; the text's first line says what is wrong, the others what is accepted."""
        what, _, hint = text.partition("\n")
        self.problems.append(Problem(line_of(self.lines, place), where, what, hint))

    def done(self) -> Study:
        """Return the study, or raise StudyError with every problem."""
        if self.problems:
            raise StudyError(self.source, self.problems)
        return self.study


def read_study(path: Path, changes: Changes = Changes()) -> Reading:
    """Read a study file. Problems are collected in the result; a file that is no TOML raises at once."""
    return parse_study(read_text(path), path, changes)


def read_text(path: Path) -> str:
    """Return a study file's text, or raise InputError that says why it cannot be one."""
    name = shown(path)
    if str(path) != str(path).encode(errors="replace").decode():
        raise InputError(f"{printable(name)}: its name is not UTF-8, and cannot be recorded\n  rename it")
    if path.is_dir():
        raise InputError(f"{name}: is a folder, not a study file\n  name a .toml file, such as {name}/my-study.toml")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{name}: not a regular file\n  name a .toml file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{name}: {size:,} bytes is too large for a study file (at most {MAX_BYTES:,})")
        return path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except (FileNotFoundError, NotADirectoryError):
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else [])
        raise InputError(f"{name}: no such file{near}\n  'ablate new study NAME' writes one to start from") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not a text file in UTF-8 (byte {error.start})") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_study(text: str, path: Path, changes: Changes = Changes()) -> Reading:
    """Read a study from its text; `path` names it in messages and says what `plugins` are relative to."""
    too_deep = InputError(f"{shown(path)}: nested too deeply for a study file (at most {MAX_DEPTH} levels)")
    try:
        if has_endless_key(text):
            raise too_deep
        raw = tomllib.loads(text)
        lines = positions(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{shown(path)}: not valid TOML: {error}") from None
    except ValueError:  # Python's own, which reads no number of more digits
        raise InputError(f"{shown(path)}: not valid TOML: a number in it has thousands of digits") from None
    except RecursionError:
        raise too_deep from None
    if len(lines) > MAX_VALUES:
        raise InputError(
            f"{shown(path)}: {len(lines):,} keys and values are too many for a study file (at most {MAX_VALUES:,})"
        )
    reading = Reading(shown(path), Study(path.stem, "", (), ()), lines=lines)
    for place, what in odd_values(raw):
        reading.problem(place, one_line(dotted(place), 80), what)
    reading.done()  # nothing further can be told of such values
    overrides = _overrides(reading, raw, changes.settings)
    head = _study_head(reading, raw, changes, path)
    written = _written(reading, raw)
    builder = Builder(reading.problem, head.ladder, overrides)
    variants = builder.build(written)
    tune = _check(reading, TuneTable, raw.get("tune", {}), ("tune",), "tune")
    reading.study = replace(
        head,
        title=head.title or head.name,
        variants=(*variants, *tuned_variants(reading.problem, variants, changes.tuned or ())),
        pilot=changes.pilot,
        tuning=read_tuning(reading.problem, tune) if tune else Tuning(),
    )
    runs = len(written) * len(head.seeds)
    if runs > MAX_RUNS:
        text = f"{len(written):,} variants with {len(head.seeds):,} seeds are {runs:,} runs, too many for one study"
        reading.problem(("study", "seeds"), "study: seeds", f"{text} (at most {MAX_RUNS:,})")
    return reading


def good_name(name: str) -> bool:
    """Tell whether a study's or a variant's name keeps to NAME_RULE."""
    plain = name.isprintable() and 0 < len(name) <= 80 and name == name.strip() == name.strip(".")
    return plain and not any(bad in name for bad in ("/", "\\", ".."))


def _study_head(reading: Reading, raw: Mapping[str, Any], changes: Changes, path: Path) -> Study:
    """Return the study without its variants."""
    for key in raw:
        if key not in ("study", "baseline", "variant", "tune"):
            near = did_you_mean(key, ("study", "baseline", "variant", "tune"))
            accepts = "accepts [study], [baseline] and, as wanted, [[variant]] and [tune]"
            reading.problem((key,), key, f"unknown key '{key}'{near}\n{accepts}")
    table = _check(reading, StudyTable, raw.get("study"), ("study",), "study")
    if table is None:
        given = raw.get("study")
        # What variants come from is still to be right, so that they are not told wrong.
        return replace(reading.study, ladder=isinstance(given, dict) and given.get("ladder") is True)
    if not good_name(table.name):
        reading.problem(("study", "name"), "study: name", f"{value_text(table.name)} cannot name a study\n{NAME_RULE}")
    count = table.seeds if isinstance(table.seeds, int) else len(table.seeds)
    if count > MAX_SEEDS:
        hint = f"\nto name one seed, write [{count}]" if isinstance(table.seeds, int) else ""
        text = f"{count} seeds are too many (at most {MAX_SEEDS:,}){hint}"
        reading.problem(("study", "seeds"), "study: seeds", text)
    listed = list(range(min(table.seeds, MAX_SEEDS))) if isinstance(table.seeds, int) else table.seeds
    seeds = [0] if changes.pilot else list(changes.seeds or listed)
    if not seeds or len(set(seeds)) != len(seeds):
        what = "no seed is named" if not seeds else f"{value_text(seeds)} names a seed twice"
        reading.problem(
            ("study", "seeds"), "study: seeds", f"{what}\naccepts a number of seeds or a list of different ones"
        )
    plugins = []
    for given in table.plugins:
        plugin = (path.resolve().parent / given).resolve()
        if _exists(plugin):
            plugins.append(plugin)
        else:
            reading.problem(("study", "plugins"), "study: plugins", f"{given}: no such file or folder beside the study")
    going_on = table.diverged == "continue"
    limits = Limits(table.run_timeout, table.checkpoint_seconds, going_on, table.keep_checkpoints)
    return Study(
        table.name, table.title, (), tuple(seeds), table.label, table.metric, table.ladder, table.note, tuple(plugins),
        limits=limits,
    )  # fmt: skip


def _exists(path: Path) -> bool:
    with contextlib.suppress(OSError):  # a name that is too long, a folder that may not be looked into
        return path.exists()
    return False


def _written(reading: Reading, raw: Mapping[str, Any]) -> list[Written]:
    """Return the baseline and the variants as the file has them, also those with problems."""
    baseline = _check(reading, BaselineTable, raw.get("baseline"), ("baseline",), "baseline")
    if baseline is None:
        found = [_stand_in(raw.get("baseline"), ("baseline",), "baseline")]
    else:
        recipe = {key: getattr(baseline, key) for key in SetTable.model_fields}
        found = [Written.of(baseline, ("baseline",), recipe, None)]
    tables = raw.get("variant", [])
    if not isinstance(tables, list):
        reading.problem(("variant",), "variant", "is not a list of tables; write [[variant]]")
        tables = []
    if len(tables) > MAX_VARIANTS:
        text = f"{len(tables):,} variants are too many (at most {MAX_VARIANTS:,})\nmake several studies of them"
        reading.problem(("variant", MAX_VARIANTS), "variant", text)
        tables = tables[:MAX_VARIANTS]
    for index, table in enumerate(tables):
        place = ("variant", index)
        name = table.get("name") if isinstance(table, dict) else None
        where = f"variant {value_text(str(name))}" if name else f"variant {index + 1}"
        variant = _check(reading, VariantTable, table, place, where)
        if variant is None:
            found.append(_stand_in(table, place, f"variant {index + 1}"))
        else:
            recipe = {key: getattr(variant.set, key) for key in variant.set.model_fields_set}
            found.append(Written.of(variant, place, recipe, variant.parent))
    for one in found:
        _check_told(reading, one)
    return found


def _stand_in(raw: Any, place: Place, name: str) -> Written:
    """Return what is known of a table with problems, so that variants that refer to it are not told wrong."""
    table = raw if isinstance(raw, dict) else {}
    given, parent = (value if isinstance(value := table.get(key), str) else None for key in ("name", "from"))
    return replace(Written.of(VariantTable.model_validate({"name": given or name}), place, {}, parent), good=False)


def _check_told(reading: Reading, one: Written) -> None:
    """Check what a variant says about itself."""
    if not good_name(one.name):
        text = f"{value_text(one.name)} cannot name a variant\n{NAME_RULE}"
        reading.problem((*one.place, "name"), f"{one.where}: name", text)
    if one.name == "study" or (one.name == "baseline" and one.place != ("baseline",)):
        text = f"'{one.name}' is what the study's own table is called\ngive the variant another name"
        reading.problem((*one.place, "name"), f"{one.where}: name", text)
    accuracy = one.reported.get("accuracy", 0.0)
    if not 0 <= accuracy <= 1:
        text = f"{accuracy:g} is not a fraction" + (f"; write {accuracy / 100:g}" if 1 < accuracy <= 100 else "")
        reading.problem((*one.place, "reported", "accuracy"), f"{one.where}: reported.accuracy", text)


def _check(reading: Reading, form: type[Form], raw: Any, place: Place, where: str) -> Form | None:
    """Validate a table and report its problems; None where nothing can be made of it."""
    header = "[[variant]]" if place[0] == "variant" else f"[{where}]"
    if raw is None:
        reading.problems.append(Problem(1, where, f"the table {header} is missing", "see 'ablate new study NAME'"))
        return None
    if not isinstance(raw, dict):
        reading.problem(place, where, f"is not a table; write {header}")
        return None
    table, problems = check_table(form, raw)
    for path, text in problems.items():
        reading.problem((*place, *path), f"{where}: {dotted(path)}", text)
    return table


def _overrides(reading: Reading, raw: dict[str, Any], settings: Sequence[str]) -> list[Override]:
    """Apply `--set study.…` to the raw table, and return the others for the builder."""
    tables = raw.get("variant", [])
    names = [str(t.get("name")) for t in tables if isinstance(t, dict)] if isinstance(tables, list) else []
    base = raw.get("baseline", {})
    names += [str(base.get("name", "baseline"))] if isinstance(base, dict) else []
    names += ["study", "baseline"]
    found: list[Override] = []
    for setting in settings:
        # A name may hold dots, blanks and equals signs, so it is looked for before anything is split.
        head = max((name for name in names if setting.strip().startswith(f"{name}.")), key=len, default="")
        left, equals, right = setting.strip()[len(head) :].partition("=")
        keys = left.strip().removeprefix(".").split(".")
        target = f"{head}{left}".strip()
        if not equals or not head or not all(keys):
            near = "" if head else did_you_mean(target.partition(".")[0], names)
            reading.problem(
                COMMAND_LINE, setting, f"is not NAME.KEY=VALUE{near}\nNAME is study, baseline or a variant's name, "
                "as in baseline.epochs=2 or 'Phase 3.optimizer.lr=0.1'"
            )  # fmt: skip
            continue
        value = _toml_value(right.strip())
        if odd := next(odd_values(value), None):
            reading.problem(COMMAND_LINE, target, odd[1])
            continue
        if head != "study":
            found.append(Override(head, tuple(keys), value, target))
        elif isinstance(raw.setdefault("study", {}), dict):
            raw["study"][".".join(keys)] = value
            reading.lines["study", ".".join(keys)] = 0  # a problem with it is none of the file
    return found


def _toml_value(text: str) -> Any:
    """Read a value as TOML writes it; what is no TOML value is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
