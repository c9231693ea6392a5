import os
from pathlib import Path

import pytest
from undertone_dev_server import folders
from undertone_dev_server.errors import LoadError
from undertone_dev_server.testing import write_version


def test_numbered_folders_with_a_graph_are_versions(tmp_path: Path) -> None:
    for version in (1, 20, 3):
        write_version(tmp_path, version)
    assert folders.scan(tmp_path) == {version: tmp_path / str(version) for version in (1, 3, 20)}


@pytest.mark.parametrize("name", ["latest", "1.5", "-1", "+1", "1 ", ".4", "4.partial", "²", "٤", "", str(2**63)])
def test_other_names_are_ignored(tmp_path: Path, name: str) -> None:
    write_version(tmp_path / "elsewhere", 1).rename(tmp_path / (name or "empty"))
    assert folders.scan(tmp_path) == {}


def test_a_folder_counts_once_its_graph_is_there(tmp_path: Path) -> None:
    (tmp_path / "7" / "variables").mkdir(parents=True)
    (tmp_path / "8").write_text("a file, not a folder")
    assert folders.scan(tmp_path) == {}
    write_version(tmp_path, 7)
    assert set(folders.scan(tmp_path)) == {7}


def test_leading_zeros_are_fine_and_the_short_spelling_wins(tmp_path: Path) -> None:
    write_version(tmp_path, 7).rename(tmp_path / "007")
    assert folders.scan(tmp_path) == {7: tmp_path / "007"}
    write_version(tmp_path, 7)
    assert folders.scan(tmp_path) == {7: tmp_path / "7"}


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_base_path_that_is_no_folder_is_named(tmp_path: Path, kind: str) -> None:
    base_path = tmp_path / "models"
    if kind == "file":
        base_path.write_text("")
    with pytest.raises(LoadError, match=str(base_path)):
        folders.scan(base_path)


def test_a_fingerprint_shows_any_change(tmp_path: Path) -> None:
    folder = write_version(tmp_path, 1)
    first = folders.fingerprint(folder)
    assert folders.fingerprint(folder) == first

    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"1")
    grown = folders.fingerprint(folder)
    assert grown != first

    os.utime(folder / "variables" / "data", ns=(0, 1))
    assert folders.fingerprint(folder) != grown
