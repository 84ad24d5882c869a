from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from ablate.commands.run import run_study
from ablate.errors import InputError
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.report.pages import Templates
from ablate.report.render import render
from tests.conftest import STUDY, TINY
from tests.support import Draws, ablate, contents
from tests.test_report import phases, records

HOSTILE = '<b>&|"x\\'


@pytest.fixture(autouse=True)
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of templates in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    return tmp_path / "templates"


@pytest.fixture
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study with results, which is not in the working folder."""
    study = tmp_path_factory.mktemp("elsewhere") / "tiny.toml"
    study.write_text(STUDY)
    (study.parent / "plugins").mkdir()
    (study.parent / "plugins" / "tiny.py").write_text(TINY)
    options = Options(study, Path("ablate-store").resolve(), Path("data").resolve(), device="cpu")
    assert run_study(options, RunOptions(jobs=1), Draws({})) == 0
    return study


def markdown(text: str = "", **facts: object) -> str:
    """Return what a template for Markdown makes of facts."""
    if text:
        Path("templates/report.md.jinja").write_text(text)
    return Templates.of().page("report.md.jinja", facts)


def whole(study_file: Path | None = None) -> str:
    """Return a report in Markdown, of a study without results: nothing is drawn."""
    made = dataclasses.replace(records(without=nothing()), study_file=study_file)
    (page,) = render(made, ["md"], Path("out"))
    return page.read_text()


def nothing() -> dict[tuple[str, int], tuple[str, str]]:
    return {(v.name, s): ("new", "") for v in phases().variants for s in phases().seeds}


# --- whose template it is ----------------------------------------------------------------------------------


def test_a_part_is_overridden_by_its_name_and_nothing_else_changes(templates: Path) -> None:
    before = whole()
    (templates / "report.provenance.md.jinja").write_text("## Mine\n\n{{ report.title }}\n")
    after = whole()
    assert after.endswith("## Mine\n\nPhases on CIFAR-100\n")
    assert after.partition("## Mine")[0] == before.partition("## How it was made")[0]


def test_the_shipped_part_stays_within_reach(templates: Path) -> None:
    before = whole()
    (templates / "report.header.md.jinja").write_text('{% include "shipped/report.header.md.jinja" %}\n\nOurs.\n')
    head = before.partition("\n## ")[0]
    assert whole().startswith(head.strip() + "\n\nOurs.\n")


def test_the_frame_can_be_extended_and_its_parts_put_in_another_order(templates: Path) -> None:
    (templates / "report.md.jinja").write_text(
        '{% extends "shipped/report.md.jinja" %}{% set parts = ["provenance", "header"] %}'
    )
    text = whole()
    assert text.startswith("## How it was made")
    assert "# Phases on CIFAR-100" in text
    assert "## Comparison" not in text


def test_templates_stand_beside_the_study_and_those_where_the_user_works_come_first(tmp_path: Path) -> None:
    study = tmp_path / "elsewhere" / "studies" / "mine.toml"
    for folder, text in ((study.parent.parent, "Around."), (study.parent, "Beside."), (tmp_path, "Here.")):
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        assert text not in whole(study)
        (folder / "templates" / "report.header.md.jinja").write_text(text)
        assert whole(study).startswith(text + "\n")


def test_a_study_named_by_its_file_brings_its_templates_and_one_named_by_its_name_does_not(
    drawn: Path,
) -> None:
    (drawn.parent / "templates").mkdir()
    (drawn.parent / "templates" / "report.header.md.jinja").write_text("of the study")
    done = ablate("report", drawn, "--format", "md", "--out", "a")
    assert done.exit_code == 0, done.output
    done = ablate("report", drawn.stem, "--format", "md", "--out", "b")
    assert done.exit_code == 0, done.output
    assert Path("a/report.md").read_text().startswith("of the study")
    assert Path("b/report.md").read_text().startswith("# ")


# --- forms of one's own ------------------------------------------------------------------------------------


def test_a_form_of_ones_own_is_written_into_the_folder_under_its_name(drawn: Path) -> None:
    Path("my.md.jinja").write_text("# {{ report.title }}\n\n{{ report.sections | length }} variants\n")
    Path("table.csv.jinja").write_text(
        "variant,runs\n{% for row in report.table.rows %}{{ row.name }},{{ row | runs }}\n{% endfor %}"
    )
    named = ["--template", "my.md.jinja", "--template", "table.csv.jinja"]
    done = ablate("report", drawn, *named, "--out", "out")
    assert done.exit_code == 0, done.output
    written = contents(Path("out"))
    assert {name: text.decode() for name, text in written.items() if not name.startswith("figures/")} == {
        "my.md": "# tiny\n\n2 variants\n",
        "table.csv": "variant,runs\nbaseline,2 of 2\nflipped,2 of 2\n",
    }
    done = ablate("report", drawn, *named, "--format", "csv", "--json", "--out", "both")
    files = [Path(file).name for file in json.loads(done.stdout)["files"]]
    assert files[:2] == ["runs.csv", "epochs.csv"]
    assert files[-2:] == ["my.md", "table.csv"]


WRITTEN = {
    "a.html": "&lt;b&gt;&amp;|&#34;x\\",
    "a.md": '&lt;b&gt;&amp;&#124;"x\\\\\n',
    "a.tex": r"\textless{}b\textgreater{}\&\textbar{}\symbol{34}x\textbackslash{}" + "\n",
    "a.csv": '"<b>&|""x\\"',
    "a.json": r'"<b>&|\"x\\"',
    "a.txt": HOSTILE,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_name_of_a_template_says_how_values_are_escaped(name: str, templates: Path) -> None:
    signs = ("<<", ">>") if name == "a.tex" else ("{{", "}}")
    (templates / f"{name}.jinja").write_text(f"{signs[0]} x {signs[1]}")
    assert Templates.of().page(f"{name}.jinja", {"x": HOSTILE}) == WRITTEN[name]


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_macro_or_a_block_makes_is_not_escaped_again(name: str, templates: Path) -> None:
    text = "{% macro m(y) %}{{ y }}{% endmacro %}{% set z %}{{ x }}{% endset %}{{ m(x) }} {{ z }} {{ m(z) }}"
    if name == "a.tex":
        text = text.replace("{%", "<%").replace("%}", "%>").replace("{{", "<<").replace("}}", ">>")
    (templates / f"{name}.jinja").write_text(text)
    once = WRITTEN[name].rstrip("\n")
    assert Templates.of().page(f"{name}.jinja", {"x": HOSTILE}).rstrip("\n") == f"{once} {once} {once}"


def test_numbers_of_a_csv_keep_their_digits_and_what_is_absent_is_empty_or_null(templates: Path) -> None:
    for name in ("a.csv", "a.json"):
        (templates / f"{name}.jinja").write_text("{{ 1 / 3 }},{{ none }},{{ 7 }},{{ -1 }},{{ '=1' }}")
    assert Templates.of().page("a.csv.jinja", {}) == "0.3333333333333333,,7,-1,'=1"
    assert Templates.of().page("a.json.jinja", {}) == '0.3333333333333333,null,7,-1,"=1"'


MISNAMED = {
    "my.jinja": "is called as the file that it makes",
    "my.md": "is called as the file that it makes",
    "my.docx.jinja": r"not known how values are escaped in \.docx\n  accepted: \.html\.jinja",
    "none.md.jinja": "there is no such template",
}


@pytest.mark.parametrize("name", MISNAMED)
def test_a_template_that_makes_no_file_is_told_before_anything_is_read(name: str) -> None:
    if name != "none.md.jinja":
        Path(name).write_text("")
    with pytest.raises(InputError, match=MISNAMED[name]):
        render(records(without=nothing()), [], Path("out"), own=[Path(name)])


def test_two_templates_of_one_name_are_told() -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "my.md.jinja").write_text("")
    with pytest.raises(InputError, match=r"b/my\.md\.jinja and a/my\.md\.jinja: both would be written as my\.md"):
        render(records(without=nothing()), [], Path("out"), own=[Path("a/my.md.jinja"), Path("b/my.md.jinja")])


def test_a_template_of_ones_own_includes_what_stands_beside_it_and_parts_of_reports() -> None:
    Path("style").mkdir()
    Path("style/macros.jinja").write_text("{% macro loud(x) %}**{{ x }}**{% endmacro %}")
    Path("style/my.md.jinja").write_text(
        '{% from "macros.jinja" import loud %}{{ loud(report.title) }}\n\n{% include "report.provenance.md.jinja" %}'
    )
    (page,) = render(records(without=nothing()), [], Path("out"), own=[Path("style/my.md.jinja")])
    assert page.read_text().startswith("**Phases on CIFAR-100**\n\n## How it was made")


def test_a_template_that_is_named_may_be_a_link_and_what_it_includes_stands_beside_the_link() -> None:
    for folder in ("here", "there"):
        Path(folder).mkdir()
        Path(folder, "part.jinja").write_text(folder)
    Path("there", "other.md.jinja").write_text('{% include "part.jinja" %}: {{ report.title }}')
    Path("here", "mine.md.jinja").symlink_to(Path("there", "other.md.jinja").resolve())
    Path("linked").symlink_to("here")
    for named in (Path("here/mine.md.jinja"), Path("linked/mine.md.jinja")):
        (page,) = render(records(without=nothing()), [], Path("out"), own=[named])
        assert (page.name, page.read_text()) == ("mine.md", "here: Phases on CIFAR-100\n")
    Path("here", "part.jinja").unlink()
    Path("here", "part.jinja").symlink_to(Path("there", "part.jinja").resolve())
    with pytest.raises(InputError, match=r"here/part.jinja: is a link to .*there/part.jinja, which is not in here"):
        render(records(without=nothing()), [], Path("out"), own=[Path("here/mine.md.jinja")])


# --- the sandbox -------------------------------------------------------------------------------------------

ATTACKS = [
    "{{ report.__class__ }}",
    "{{ report['__class__'] }}",
    "{{ report | attr('__class__') }}",
    "{{ [report] | map(attribute='__class__') | list }}",
    "{{ [report] | map(attribute='title.__class__') | list }}",
    "{{ [report] | map('attr', '__init__') | list }}",
    "{{ [report] | sort(attribute='__class__') }}",
    "{{ [report] | groupby('__class__') }}",
    "{{ [report, report] | sum(attribute='__class__') }}",
    "{{ [report] | selectattr('__class__') | list }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ '{0.__class__}'.format(report) }}",
    "{{ '{x.__class__}'.format_map({'x': report}) }}",
    "{{ '{0.__init__.__globals__}' | format(report) }}{{ ('{0.__class__}' ~ '').format(report) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(report) }}",
    "{{ ['{0.__class__}'.format] | map('call') | list }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner.__init__ }}",
    "{{ namespace.__init__ }}",
    "{{ dict.__base__ }}",
    "{{ dict.mro() }}",
    "{{ range.__self__ }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m._func }}",
    "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "{{ lipsum.__globals__ }}",
    "{{ (report.title | upper).encode().__class__ }}",
    # A method of a record may lead anywhere: this one makes a frame, which writes files and runs code.
    "{% macro r(x) %}{% endmacro %}{{ report.table.frame(namespace(reference=r)).to_csv('stolen') }}",
    "{{ report.table.frame }}",
    "{{ report.table['frame'] }}",
    "{{ [report.table] | map(attribute='frame') | list }}",
    "{{ [1].append(2) }}",
    "{{ {}.update(a=1) }}",
    "{{ {'a': 1}.pop('a') }}",
    "{{ range(10 ** 7) }}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{% include '/etc/passwd' %}",
    "{% include '../secret.jinja' %}",
    "{% include 'templates/../../secret.jinja' %}",
    "{% include 'linked.jinja' %}",
    "{% include 'notes.txt' %}",
    "{% include 'shipped/../README.md' %}",
    "{% extends '../secret.jinja' %}",
    "{% import '../secret.jinja' as x %}",
    "{% from 'os' import system %}",
    "{% include ['/etc/passwd', '../secret.jinja'] %}",
    "{{ config }}",
    "{{ open('secret.jinja') }}",
    "{{ __builtins__ }}",
    "{{ get_flashed_messages.__globals__ }}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_reaches_nothing_but_the_report(attack: str, tmp_path: Path, templates: Path) -> None:
    (tmp_path / "secret.jinja").write_text("a secret")
    (templates / "linked.jinja").symlink_to(tmp_path / "secret.jinja")
    (templates / "notes.txt").write_text("a secret")
    (templates / "report.md.jinja").write_text("\n" + attack)
    try:
        (page,) = render(records(without=nothing()), ["md"], Path("out"))
    except InputError as error:
        assert re.match(r"templates/(report\.md\.jinja:2|linked\.jinja): ", str(error))  # noqa: PT017
        assert not Path("out").exists()
    else:  # what is out of reach may stand in a list, as what is not defined
        assert not re.search(r"secret|&lt;(class|bound|function|built|module|slot|method)", page.read_text())
        assert "root:" not in page.read_text()
    assert not Path("stolen").exists()


GREEDY = {
    "{{ '%1000000000d' % 1 }}": "'%' with 1,000,000,000: widths and places are at most 10,000",
    "{{ '%.1000000000f' | format(1) }}": "'%' with 1,000,000,000",
    "{{ '%*d' % (10 ** 9, 1) }}": "'%' takes a width from a value, which templates cannot: write the number",
    "{{ '{:1000000000}'.format(1) }}": "'format' with 1,000,000,000",
    "{{ '{:{}}'.format(1, 10 ** 9) }}": "'format' takes a width from a value",
    "{{ '{x:>1000000000}'.format_map({'x': 1}) }}": "'format' with 1,000,000,000",
    "{{ 'x'.ljust(10 ** 9) }}": "'ljust' with 1,000,000,000",
    "{{ 'x'.rjust(10 ** 9) }}": "'rjust' with 1,000,000,000",
    "{{ 'x'.center(10 ** 9) }}": "'center' with 1,000,000,000",
    "{{ 'x'.zfill(10 ** 9) }}": "'zfill' with 1,000,000,000",
    "{{ '\t'.expandtabs(10 ** 9) }}": "'expandtabs' with 1,000,000,000",
    "{{ 'x' | center(10 ** 9) }}": "'center' with 1,000,000,000",
    "{{ ['x'] | map('center', 10 ** 9) | list }}": "'center' with 1,000,000,000",
    "{{ 'x' | indent(10 ** 9, true) }}": "'indent' with 1,000,000,000",
    "{{ ('x\\n' * 10 ** 6) | indent(10 ** 3) }}": "a text that 'indent' makes would have 1,002,000,000 parts",
    "{{ [1] | batch(10 ** 9, 0) | list }}": "'batch' with 1,000,000,000",
    "{{ [1] | slice(10 ** 9) | list }}": "'slice' with 1,000,000,000",
    "{{ 1.5 | round(10 ** 9, 'floor') }}": "'round' with 1,000,000,000",
    "{{ [1] | tojson(10 ** 9) }}": "'tojson' with 1,000,000,000",
    "{{ ('x' * 10 ** 4).replace('x', 'y' * 10 ** 4) }}": "a text that 'replace' makes would have",
    "{{ ('x' * 10 ** 4) | replace('x', 'y' * 10 ** 4) }}": "a text that 'replace' makes would have",
    "{{ range(10 ** 4) | join('y' * 10 ** 4) }}": "a text that 'join' makes would have 100,000,000 parts",
    "{{ ('y' * 10 ** 4).join(['x'] * 10 ** 4) }}": "a text that 'join' makes would have 100,010,000 parts",
    "{{ ([[0] * 10 ** 6] * 100) | sum(start=[]) }}": "a list that 'sum' makes would have 100,000,000 parts",
    "{{ 'x' * 10 ** 9 }}": "a text or list repeated would have 1,000,000,000 parts, which are at most 10,000,000",
    "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x=n.x~n.x %}{% endfor %}": "a text with another",
    "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x=n.x+n.x %}{% endfor %}": "a text or list with",
    "{{ range(10 ** 7) }}": "Range too big",
    "{{ 9 ** (9 ** 9) }}": "a power is too large",
}
"""What fills the memory, with what is said of it."""


@pytest.mark.parametrize("greedy", GREEDY)
def test_a_template_that_would_fill_the_memory_is_told_with_file_and_line(greedy: str, templates: Path) -> None:
    (templates / "report.md.jinja").write_text("\n" + greedy)
    with pytest.raises(
        InputError, match=rf"^templates/report\.md\.jinja:2: (OverflowError: )?{re.escape(GREEDY[greedy])}"
    ):
        Templates.of().page("report.md.jinja", {})


HARMLESS = [
    ("{{ 'a-b'.split('-') | join(' ') }}", "a b"),
    ("{{ '%.2f' | format(1 / 3) }}", "0.33"),
    ("{{ '{:>4}'.format(7) }}!", "7!"),
    ("{% for x in range(3) %}{{ loop.cycle('a', 'b') }}{{ loop.index }}{% endfor %}", "a1b2a3"),
    ("{% set n = namespace(x=1) %}{% set n.x = 2 %}{{ n.x }}", "2"),
    ("{{ {'a': 1, 'b': 2}.items() | list | length }}", "2"),
    ("{% set j = joiner('; ') %}{% for x in [1, 2] %}{{ j() }}{{ x }}{% endfor %}", "1;2"),
    ("{{ 'a' | center(3) }}{{ 'b'.ljust(3) | trim }}{{ 'a-b' | replace('-', '+') }}!", "aba+b!"),
    ("{{ [1, 2] | join(', ') }}{{ [[1], [2]] | sum(start=[]) | length }}{{ 1.55 | round(1) }}", "1, 221.6"),
    ("{{ 'ab' * 2 }}{{ 2 ** 3 }}{{ 2 * 3 }}{{ 2 ** 0.5 > 1 }}", "abab86True"),
    ("{% block a %}x{% endblock %}{{ self.a() }}", "xx"),
    ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}", "x"),
]


@pytest.mark.parametrize(("text", "made"), HARMLESS)
def test_what_templates_are_written_with_stays_allowed(text: str, made: str) -> None:
    assert markdown(text).strip() == made


# --- errors ------------------------------------------------------------------------------------------------

BROKEN = {
    "syntax": (b"a\n{% if %}", "report.md.jinja:2: Expected an expression"),
    "undefined": (
        b"a\n\n{{ report.titel }}",
        "report.md.jinja:3: Report has no 'titel'; did you mean 'title'?",
    ),
    "nothing near": (b"{{ report.xyz }}", "report.md.jinja:1: Report has no 'xyz'; it has name, title, label, note"),
    "undefined name": (b"{{ raport.title }}", "report.md.jinja:1: 'raport' is not defined; did you mean 'report'?"),
    "of a text": (b"{{ report.title.name }}", "report.md.jinja:1: a text has no 'name'"),
    "method": (b"{{ report.table.frame }}", "ComparisonTable: 'frame' is not for templates; it has 'label', 'metric'"),
    "missing include": (
        b'\n{% include "report.cliams.md.jinja" %}',
        "report.md.jinja:2: there is no template 'report.cliams.md.jinja'; did you mean 'report.claims.md.jinja'?",
    ),
    "wrong type": (b"a\n{{ 1 + 'x' }}", "report.md.jinja:2: TypeError: unsupported operand"),
    "division": (b"{{ 1 / 0 }}", "report.md.jinja:1: ZeroDivisionError: division by zero"),
    "itself": (b'{% include "report.md.jinja" %}', "report.md.jinja:1: it calls or includes itself without end"),
    "macro": (b"{% macro m() %}{{ m() }}{% endmacro %}\n{{ m() }}", "it calls or includes itself without end"),
    "nested": (b"{{ " + b"(" * 9000 + b"1" + b")" * 9000 + b" }}", "report.md.jinja: "),
    "latin": (b"caf\xe9", "report.md.jinja: is not UTF-8 text: unexpected end of data (byte 4)"),
    "no filter": (
        b"\n{{ 1 | intervall }}",
        "report.md.jinja:2: there is no filter 'intervall'; did you mean 'interval'?",
    ),
    "no test": (b"{{ 1 is defind }}", "report.md.jinja:1: there is no test 'defind'; did you mean 'defined'?"),
    "bad filter": (b"{{ 5 | join }}", "report.md.jinja:1: TypeError: "),
    "filter of another thing": (b"{{ report.title | cell }}", "report.md.jinja:1: TypeError: "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_whatever_a_template_raises_is_the_users_error_with_file_and_line(kind: str, templates: Path) -> None:
    template, told = BROKEN[kind]
    (templates / "report.md.jinja").write_bytes(template)
    with pytest.raises(InputError) as found:
        render(records(without=nothing()), ["md"], Path("out"))
    assert str(found.value).startswith("templates/report.md.jinja:")
    assert told in str(found.value)
    assert not Path("out").exists()


def test_an_error_in_a_part_or_a_macro_of_another_file_names_that_one(templates: Path) -> None:
    (templates / "report.header.md.jinja").write_text("\n\n{{ report.titel }}")
    with pytest.raises(InputError, match=r"^templates/report\.header\.md\.jinja:3: Report has no 'titel'"):
        whole()
    (templates / "m.jinja").write_text("{% macro m(x) %}\n{{ x.tytle }}\n{% endmacro %}")
    (templates / "report.header.md.jinja").write_text('{% import "m.jinja" as ms %}{{ ms.m(report) }}')
    with pytest.raises(InputError, match=r"^templates/m\.jinja:2: Report has no 'tytle'"):
        whole()
    (templates / "m.jinja").write_text("\n{% if %}")
    with pytest.raises(InputError, match=r"^templates/m\.jinja:2: Expected an expression"):
        whole()
    (templates / "m.jinja").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"^templates/m\.jinja: is not UTF-8 text.*report\.header\.md\.jinja:1"):
        whole()


def test_half_a_character_that_a_template_calls_safe_is_told(templates: Path) -> None:
    (templates / "report.html.jinja").write_text('{{ "\\ud800" | safe }}')
    with pytest.raises(InputError, match=r"^templates/report\.html\.jinja: UnicodeEncodeError"):
        render(records(without=nothing()), ["html"], Path("out"))


@pytest.mark.parametrize("what", ["folder", "dangling link", "folder of a part"])
def test_a_template_that_is_no_file_is_not_passed_over(what: str, templates: Path) -> None:
    place = templates / ("report.claims.md.jinja" if what == "folder of a part" else "report.md.jinja")
    if what == "dangling link":
        place.symlink_to("nowhere")
    else:
        place.mkdir()
    with pytest.raises(InputError, match=r"^templates/report\.(claims\.)?md\.jinja: is not a file"):
        whole()
