"""Which folders are versions."""

from pathlib import Path

import pytest
from undertone_dev_server import folders
from undertone_dev_server.errors import LoadError
from undertone_dev_server.testing import write_version


def test_entries_with_a_number_are_versions_whatever_their_content(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    (tmp_path / "20").mkdir()
    (tmp_path / "3").write_text("a file, not a folder")
    assert folders.find_versions(tmp_path) == {version: tmp_path / str(version) for version in (1, 3, 20)}


@pytest.mark.parametrize("name", ["latest", "1.5", ".4.writing", "4.partial", "4~", "v4", "²", "٤", "", "1 2", str(2**63)])
def test_folders_whose_name_is_not_a_number_are_ignored(tmp_path: Path, name: str) -> None:
    write_version(tmp_path / "elsewhere", 1).rename(tmp_path / (name or "empty"))
    assert folders.find_versions(tmp_path) == {}


@pytest.mark.parametrize(("name", "version"), [("-1", -1), ("+1", 1), (" 1", 1), ("1 ", 1), ("007", 7)])
def test_signs_spaces_and_zeros_are_accepted(tmp_path: Path, name: str, version: int) -> None:
    (tmp_path / name).mkdir()
    assert folders.find_versions(tmp_path) == {version: tmp_path / name}


def test_the_last_of_the_names_of_a_version_counts(tmp_path: Path) -> None:
    for name in ("007", "7", "07"):
        (tmp_path / name).mkdir()
    assert folders.find_versions(tmp_path) == {7: tmp_path / "7"}


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_error_names_a_base_path_that_is_not_a_folder(tmp_path: Path, kind: str) -> None:
    base_path = tmp_path / "models"
    if kind == "file":
        base_path.write_text("")
    with pytest.raises(LoadError, match=str(base_path)):
        folders.find_versions(base_path)
