"""What is written appears complete or not at all, and what stood there is not lost on the way."""

from pathlib import Path

import pytest

from humansoft.placing import placed


def _write(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "a.txt").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("before", [False, True])
def test_a_folder_is_made_or_replaced_as_a_whole(tmp_path: Path, before: bool) -> None:
    target = tmp_path / "deep" / "run"
    if before:
        target.parent.mkdir()
        _write(target, "old")
        (target / "left.txt").write_text("left", encoding="utf-8")
    with placed(target) as place:
        assert place.name == "run"
        _write(place, "new")
        assert target.exists() == before
    assert {file.name: file.read_text(encoding="utf-8") for file in target.iterdir()} == {"a.txt": "new"}
    assert [path.name for path in target.parent.iterdir()] == ["run"]


def test_an_interruption_leaves_what_was_there(tmp_path: Path) -> None:
    _write(tmp_path / "run", "old")

    def interrupted() -> None:
        with placed(tmp_path / "run") as place:
            _write(place, "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "run" / "a.txt").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_was_there_comes_back_where_nothing_new_was_made(tmp_path: Path) -> None:
    _write(tmp_path / "run", "old")
    with pytest.raises(FileNotFoundError), placed(tmp_path / "run"):
        pass  # nothing is written
    assert (tmp_path / "run" / "a.txt").read_text(encoding="utf-8") == "old"
