from __future__ import annotations

import csv
import io
import math

import numpy as np
import pandas as pd

from ablate.report.csv_tables import csv_text


def rows(frame: pd.DataFrame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_text(frame), newline=""), strict=True))


def test_fields_lines_and_quotes_are_as_rfc_4180_has_them() -> None:
    frame = pd.DataFrame({"variant": ['a, "b"', "c"], "seed": [0, 1]})
    assert csv_text(frame) == 'variant,seed\r\n"a, ""b""",0\r\nc,1\r\n'


def test_numbers_keep_every_digit_and_whole_ones_have_no_point() -> None:
    frame = pd.DataFrame({"test/accuracy": [1 / 3, 1.0], "parameters": [11_220_132.0, 28106.0], "lr": [1e-05, 0.1]})
    assert rows(frame)[1:] == [["0.3333333333333333", "11220132", "1e-05"], ["1", "28106", "0.1"]]


def test_a_large_seed_is_exact() -> None:
    assert rows(pd.DataFrame({"seed": [2**62 + 1]}))[1:] == [["4611686018427387905"]]
    assert rows(pd.DataFrame({"seed": [2**70 + 1]}))[1:] == [[str(2**70 + 1)]]


def test_what_is_absent_is_empty_and_what_is_infinite_says_so() -> None:
    frame = pd.DataFrame(
        {"a": [math.nan, math.inf, -math.inf], "b": pd.Series([None, np.float64(2.5), 0], dtype=object)}
    )
    assert rows(frame)[1:] == [["", ""], ["inf", "2.5"], ["-inf", "0"]]


def test_a_negative_number_is_a_number_and_a_text_like_it_is_text() -> None:
    frame = pd.DataFrame({"variant": ["-1", "=cmd|' /C calc'!A0"], "test/loss": [-1.5, -2.0]})
    assert rows(frame)[1:] == [["'-1", "-1.5"], ["'=cmd|' /C calc'!A0", "-2"]]


def test_pandas_reads_the_numbers_that_were_written() -> None:
    frame = pd.DataFrame({"variant": ["a", "b,\n"], "seed": [0, 1], "test/loss": [0.1 + 0.2, math.nan]})
    read = pd.read_csv(io.StringIO(csv_text(frame)))
    pd.testing.assert_frame_equal(read, frame.assign(variant=["a", "b, "]), check_dtype=False)


def test_a_frame_without_rows_is_its_heading() -> None:
    assert csv_text(pd.DataFrame(columns=["variant", "epoch"])) == "variant,epoch\r\n"
