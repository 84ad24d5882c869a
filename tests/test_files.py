"""Files written in one step, with a checksum, and never through a link."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from ablate.files import (
    create_file,
    is_temporary,
    new_file,
    read_checked,
    replace_file,
    replace_files,
    rewrite_file,
    write_checked,
)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_file(file, b"old")
    replace_file(file, b"new, ", memoryview(b"in parts"))
    assert file.read_bytes() == b"new, in parts"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_to_its_end_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_file(file, b"old")
    with pytest.raises(TypeError):
        replace_file(file, b"new, ", cast("bytes", None))
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_set_of_files_that_cannot_be_written_to_its_end_changes_none(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    replace_files({one: b"old", other: b"old"})
    with pytest.raises(TypeError):
        replace_files({one: b"new", other: cast("bytes", None)})
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_files({one: b"new", tmp_path / "folder": b"new"})
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other", "folder"}
    assert (one.read_bytes(), other.read_bytes()) == (b"old", b"old")


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    replace_file(link, b"new")
    assert (link.is_symlink(), link.read_text(), target.read_text()) == (False, "new", "mine")


def test_a_users_file_keeps_its_permissions_and_stays_where_it_is_read_only(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    rewrite_file(file, b"old")
    file.chmod(0o640)
    rewrite_file(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)
    file.chmod(0o440)
    with pytest.raises(PermissionError, match="is read-only"):
        rewrite_file(file, b"newer")
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"new", [file])


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_is_created_once(tmp_path: Path, hard_links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hard_links:

        def refused(*_: object) -> None:
            raise OSError("this file system has no hard links")

        monkeypatch.setattr(Path, "hardlink_to", refused)
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to("nothing")
    assert create_file(file, b"first")
    assert not create_file(file, b"second")
    assert not create_file(link, b"third")
    assert (file.read_bytes(), link.is_symlink()) == (b"first", True)
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_a_changed_bit_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_checked(file, b"content")
    assert read_checked(file) == b"content"
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_checked(file) is None
    file.write_bytes(whole[:-1])
    assert read_checked(file) is None


def test_a_file_that_is_still_being_written_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def note(self: Path, _: Path) -> None:
        seen.extend(path.name for path in tmp_path.iterdir())

    monkeypatch.setattr(Path, "replace", note)
    replace_file(tmp_path / "run.json", b"{}")
    assert [is_temporary(name) for name in seen] == [True]
    assert not any(map(is_temporary, ("run.json", ".hidden", "lock", ".run.json.tmp")))


def test_a_new_file_takes_the_place_of_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with new_file(file) as opened:
        opened.write(b"first")
    with pytest.raises(FileExistsError), new_file(file):
        pass
    assert file.read_bytes() == b"first"
