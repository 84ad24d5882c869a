"""The line of every key of a TOML file."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate.study.positions import line_of, positions

Place = tuple[str | int, ...]
# A shared machine may be slow at any moment.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lines(text: str) -> dict[str, int]:
    """Return the line of each place, written as `a.b[0]`, of a document whose first line is line 1."""
    tomllib.loads(text)
    found = positions(text)
    return {
        "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip("."): n for place, n in found.items()
    }


def test_keys_and_headers_stand_on_their_lines() -> None:
    assert lines("a = 1\n\n[t]\nb = 2\nc = 3\n") == {"a": 1, "t": 3, "t.b": 4, "t.c": 5}


def test_comments_may_hold_anything() -> None:
    text = '# [no] = """ {\na = 1  # ]}"\n# \'\'\'\n[t]  # [[x]]\nb = [ # ]\n  1, # ,]\n  2,\n]\nc = 3\n'
    assert lines(text) == {"a": 2, "t": 4, "t.b": 5, "t.b[0]": 6, "t.b[1]": 7, "t.c": 9}


def test_strings_over_several_lines_may_hold_headers() -> None:
    text = 'a = """\n[no]\nx = 1\n\\""" # still\n"""\n[t]\nb = \'\'\'\n[[no]]\n\\\'\'\'\nc = 1\n'
    assert lines(text) == {"a": 1, "t": 6, "t.b": 7, "t.c": 10}


@pytest.mark.parametrize(
    "string", ['""""""', '"""""a"""', '"""a"""""', "'''a'''''", '""', "''", "''''a'''", r'"\\"', r'"\""']
)
def test_quotes_beside_the_ends_of_a_string_are_inside_it(string: str) -> None:
    assert lines(f"a = {string}\nb = 1\n") == {"a": 1, "b": 2}


def test_inline_tables_in_arrays_go_over_several_lines() -> None:
    text = "a = [\n  { b = 1, c = { d = [\n    2,\n    { e = 3 },\n  ] } },\n  # nothing\n  { b = 4 },\n]\nz = 1\n"
    assert lines(text) == {
        "a": 1,
        "a[0]": 2,
        "a[0].b": 2,
        "a[0].c": 2,
        "a[0].c.d": 2,
        "a[0].c.d[0]": 3,
        "a[0].c.d[1]": 4,
        "a[0].c.d[1].e": 4,
        "a[1]": 7,
        "a[1].b": 7,
        "z": 9,
    }


def test_dotted_keys_place_each_of_their_parts() -> None:
    text = "a.b . c = 1\na.d = 2\n[t]\nx.y = { p.q = 1 }\n"
    assert lines(text) == {
        "a": 1,
        "a.b": 1,
        "a.b.c": 1,
        "a.d": 2,
        "t": 3,
        "t.x": 4,
        "t.x.y": 4,
        "t.x.y.p": 4,
        "t.x.y.p.q": 4,
    }


def test_quoted_keys_are_read() -> None:
    text = (
        '"a.b" = 1\n\'c\\d\' = 2\n"\\u00e9\\U0001F600" = 3\n"C:\\\\Users" = 4\n"tab\there" = 5\n["x y".\'z\']\n"" = 6\n'
    )
    assert positions(text) == {
        ("a.b",): 1,
        ("c\\d",): 2,
        ("é😀",): 3,
        ("C:\\Users",): 4,
        ("tab\there",): 5,
        ("x y",): 6,
        ("x y", "z"): 6,
        ("x y", "z", ""): 7,
    }


def test_values_may_hold_tabs() -> None:
    assert lines('a = "x\ty"\nb = 1\n') == {"a": 1, "b": 2}


def test_elements_of_arrays_of_tables_are_numbered() -> None:
    text = "[[v]]\nn = 1\n\n[[v]]\nn = 2\n[[v.w]]\nx = 1\n[[v.w]]\nx = 2\n[v.w.s]\ny = 1\n[[v]]\n[[v.w]]\n"
    assert lines(text) == {
        "v": 1,
        "v[0]": 1,
        "v[0].n": 2,
        "v[1]": 4,
        "v[1].n": 5,
        "v[1].w": 6,
        "v[1].w[0]": 6,
        "v[1].w[0].x": 7,
        "v[1].w[1]": 8,
        "v[1].w[1].x": 9,
        "v[1].w[1].s": 10,
        "v[1].w[1].s.y": 11,
        "v[2]": 12,
        "v[2].w": 13,
        "v[2].w[0]": 13,
    }


def test_sub_tables_of_array_tables_belong_to_the_last_element() -> None:
    text = "[[variant]]\nname = 'a'\n[variant.set]\nepochs = 1\n[[variant]]\nname = 'b'\n[variant.set]\nepochs = 2\n"
    found = positions(text)
    assert found["variant", 0, "set", "epochs"] == 4
    assert found["variant", 1, "set", "epochs"] == 8


def test_a_table_that_only_its_sub_tables_name_stands_where_the_first_of_them_does() -> None:
    assert lines("\n[a.b.c]\nx = 1\n[a.d]\n") == {"a": 2, "a.b": 2, "a.b.c": 2, "a.b.c.x": 3, "a.d": 4}


def test_a_header_is_a_better_place_than_that_of_a_sub_table_before_it() -> None:
    assert lines("[a.b]\n[a]\n")["a"] == 2


def test_dates_and_other_plain_values_are_stepped_over() -> None:
    text = "a = 1979-05-27 07:32:00 # c\nb = [1e3, +inf, 07:32:00]\nc = {d = true, e = -0.0}\n"
    assert lines(text) == {"a": 1, "b": 2, "b[0]": 2, "b[1]": 2, "b[2]": 2, "c": 3, "c.d": 3, "c.e": 3}


def test_windows_line_ends_count_once() -> None:
    assert lines("a = 1\r\n\r\n[t]\r\nb = [\r\n1,\r\n]\r\n") == {"a": 1, "t": 3, "t.b": 4, "t.b[0]": 5}


def test_an_empty_file_has_no_places() -> None:
    assert positions("") == positions("# only\n") == {}


def test_a_file_may_end_without_a_line_end() -> None:
    assert lines("a = 1\nb = {}") == {"a": 1, "b": 2}


def test_a_place_that_is_not_written_stands_where_what_encloses_it_does() -> None:
    found = positions("x = 1\n[a]\nb = [1]\n")
    assert line_of(found, ("a", "c", "d")) == 2
    assert line_of(found, ("a", "b", 3)) == 3


def test_the_command_line_has_no_line() -> None:
    assert line_of(positions("a = 1\n"), ("--set", "baseline.epochs")) == 0


# Generated documents: a writer that knows the line of each key it writes

NAMES = st.text(st.sampled_from("abz-_09 .\"'#[]{}=é\t\\\n"), max_size=4)
PLAIN = ["1", "-0.5e3", "inf", "true", "1979-05-27 07:32:00", '"a # [b]"', "'x\"'", r'"\" \\"', "[]", "{}"]
LONG = ['"""\n[x]\n"""', "'''\n# a = 1\n'''", '""""a"""', "[ # ]\n\n]"]
SCALARS = st.sampled_from([*PLAIN, *LONG])
BLANKS = st.sampled_from(["", "\n", "# [a]\n", '# """\n\n'])


class Writer:
    """Writes a document piece by piece and notes the line on which each place begins."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.text, self.places = draw, "", dict[Place, int]()

    def key(self, name: str) -> str:
        bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
        if bare and self.draw(st.booleans()):
            return name
        if "'" not in name and "\n" not in name and self.draw(st.booleans()):
            return f"'{name}'"
        return json.dumps(name, ensure_ascii=self.draw(st.booleans()))

    def note(self, place: Place) -> None:
        self.places[place] = self.text.count("\n") + 1

    def value(self, place: Place, depth: int, inline: bool) -> None:
        kind = self.draw(st.sampled_from(["scalar", "array", "table"])) if depth else "scalar"
        if kind == "scalar":
            text = self.draw(SCALARS)
            # In TOML 1.0 an inline table stays on one line, but for what its values bring along.
            self.text += text
        elif kind == "array":
            self.text += "["
            for index in range(self.draw(st.integers(0, 3))):
                self.text += self.draw(st.sampled_from(["", " ", "\n", " # ]\n\n"]))
                self.note((*place, index))
                self.value((*place, index), depth - 1, inline)
                self.text += self.draw(st.sampled_from([",", " ,", "\n,\n"]))
            self.text += "]"
        else:
            self.text += "{ "
            for number, name in enumerate(self.draw(st.lists(NAMES, max_size=3, unique=True))):
                self.text += ", " if number else ""
                self.pair(place, name, depth - 1, inline=True)
            self.text += " }"

    def pair(self, table: Place, name: str, depth: int, inline: bool = False) -> None:
        path = [name, *(self.draw(st.lists(NAMES, max_size=2)) if self.draw(st.booleans()) else [])]
        for length in range(1, len(path) + 1):
            self.note((*table, *path[:length]))
        self.text += self.draw(st.sampled_from([".", " . "])).join(map(self.key, path)) + " = "
        self.value((*table, *path), depth, inline)

    def body(self, table: Place) -> None:
        for name in self.draw(st.lists(NAMES, max_size=3, unique=True)):
            self.text += self.draw(BLANKS)
            self.pair(table, f"k{name}", 2)
            self.text += self.draw(st.sampled_from(["\n", " # c\n", "\r\n"]))

    def header(self, table: Place, many: bool = False) -> None:
        self.text += self.draw(BLANKS)
        for length in range(1, len(table)):
            if table[:length] not in self.places:
                self.note(table[:length])
        self.note(table)
        keys = ".".join(self.key(part) for part in table if isinstance(part, str))
        self.text += f"[[{keys}]]\n" if many else f"[{keys}]\n"

    def document(self) -> None:
        self.body(())
        for number, name in enumerate(self.draw(st.lists(NAMES, max_size=3, unique=True))):
            top = f"t{number}{name}"
            if self.draw(st.booleans()):
                self.header((top,))
                self.body((top,))
            else:
                for index in range(self.draw(st.integers(1, 3))):
                    self.header((top, index), many=True)
                    self.body((top, index))
                    if self.draw(st.booleans()):
                        self.header((top, index, "sub"))
                        self.body((top, index, "sub"))


@st.composite
def documents(draw: Any) -> tuple[str, dict[Place, int]]:
    writer = Writer(draw)
    writer.document()
    return writer.text, writer.places


@PATIENT
@given(documents())
def test_every_key_of_a_generated_document_has_its_line(document: tuple[str, dict[Place, int]]) -> None:
    text, places = document
    tomllib.loads(text)
    assert positions(text) == places


def every(value: Any, place: Place = ()) -> set[Place]:
    """Return the place of every key and element of a parsed document."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return {(*place, key) for key, _ in inside}.union(*(every(one, (*place, key)) for key, one in inside))


SIGNS = r""" a b -1 = . , # [ ] [[ ]] { } " ' \"" ''' \ \" \n 1 1.5 true nan 1979-05-27 07:32:00 é """
PIECES = ["[a]\n", "[[a]]\n", "[[a.b]]\n", "[a.b]\n", "a = 1\n", "b.c = 2\n", "y = [\n", "{ a = 1 }", '"q" = ', "# c\n"]
BREAKS = [" ", " = ", "\n", "\r\n", "\t", "\f", "\x85", "\u2028", '"""', 'x = """\n']
FRAGMENTS = st.sampled_from([*SIGNS.split(), *PIECES, *BREAKS])


@PATIENT
@given(st.lists(FRAGMENTS, max_size=25).map("".join))
def test_whatever_tomllib_reads_has_every_place(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = positions(text)
    assert every(document) <= set(found)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
