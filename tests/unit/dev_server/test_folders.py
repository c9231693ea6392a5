"""Which folders are versions, and when a version's fingerprint changes."""

import os
from pathlib import Path

import pytest
from undertone_dev_server import folders
from undertone_dev_server.errors import LoadError
from undertone_dev_server.testing import write_version


def test_numbered_folders_with_a_graph_are_versions(tmp_path: Path) -> None:
    for version in (1, 20, 3):
        write_version(tmp_path, version)
    assert folders.find_versions(tmp_path) == {version: tmp_path / str(version) for version in (1, 3, 20)}


@pytest.mark.parametrize("name", ["latest", "1.5", "-1", "+1", "1 ", ".4", "4.partial", "²", "٤", "", str(2**63)])
def test_folders_whose_name_is_not_a_version_are_ignored(tmp_path: Path, name: str) -> None:
    write_version(tmp_path / "elsewhere", 1).rename(tmp_path / (name or "empty"))
    assert folders.find_versions(tmp_path) == {}


def test_folder_without_a_graph_is_not_a_version(tmp_path: Path) -> None:
    (tmp_path / "7" / "variables").mkdir(parents=True)
    (tmp_path / "8").write_text("a file, not a folder")
    assert folders.find_versions(tmp_path) == {}
    write_version(tmp_path, 7)
    assert set(folders.find_versions(tmp_path)) == {7}


def test_leading_zeros_are_accepted_and_the_shorter_name_wins(tmp_path: Path) -> None:
    write_version(tmp_path, 7).rename(tmp_path / "007")
    assert folders.find_versions(tmp_path) == {7: tmp_path / "007"}
    write_version(tmp_path, 7)
    assert folders.find_versions(tmp_path) == {7: tmp_path / "7"}


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_error_names_a_base_path_that_is_not_a_folder(tmp_path: Path, kind: str) -> None:
    base_path = tmp_path / "models"
    if kind == "file":
        base_path.write_text("")
    with pytest.raises(LoadError, match=str(base_path)):
        folders.find_versions(base_path)


def test_fingerprint_changes_with_any_file(tmp_path: Path) -> None:
    folder = write_version(tmp_path, 1)
    first = folders.fingerprint(folder)
    assert folders.fingerprint(folder) == first

    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"1")
    with_new_file = folders.fingerprint(folder)
    assert with_new_file != first

    os.utime(folder / "variables" / "data", ns=(0, 1))
    assert folders.fingerprint(folder) != with_new_file
