"""Version folders appear complete or not at all."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from undertone_model.errors import ExportError
from undertone_model.staging import staged

WRITER = """
import sys, time
from pathlib import Path
from undertone_model.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("")
    print(folder, flush=True)
    time.sleep(3600)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_with(error: BaseException, target: Path) -> None:
    with staged(target) as folder:
        (folder / "half").write_text("")
        raise error


def write_twice(target: Path) -> None:
    with staged(target), staged(target) as first:
        (first / "whole").write_text("")


def test_folder_appears_under_its_name_with_all_files(tmp_path: Path) -> None:
    with staged(tmp_path / "m" / "1") as folder:
        (folder / "variables").mkdir()
        (folder / "variables" / "data").write_text("1")
        (name,) = names(tmp_path / "m")
        with pytest.raises(ValueError, match="invalid literal"):
            int(name)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        *("m", "m/1", "m/1/variables", "m/1/variables/data")
    ]


def test_folder_has_the_permissions_of_other_folders(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with staged(tmp_path / "1"):
        pass
    assert (tmp_path / "1").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_nothing_remains_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_with(KeyboardInterrupt(), tmp_path / "1")
    assert names(tmp_path) == []


def test_folder_of_a_killed_process_is_removed_but_not_of_a_running_one(tmp_path: Path) -> None:
    target = tmp_path / "1"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        theirs = Path(writer.stdout.readline().strip())
        try:
            with staged(tmp_path / "2"):
                assert (theirs / "half").exists()
        finally:
            writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert (theirs / "half").exists()
    with staged(target) as folder:
        (folder / "whole").write_text("")
    assert names(tmp_path) == ["1", "2"]
    assert names(target) == ["whole"]


def test_folder_of_an_earlier_release_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".1.writing").mkdir()
    with staged(tmp_path / "1"):
        pass
    assert names(tmp_path) == ["1"]


def test_other_files_are_kept(tmp_path: Path) -> None:
    for name in (".writing", ".1.writing-theirs", "2"):
        (tmp_path / name).mkdir()
    with staged(tmp_path / "1"):
        pass
    assert names(tmp_path) == [".1.writing-theirs", ".writing", "1", "2"]


def test_the_second_of_two_processes_is_told_and_the_first_version_remains(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="was written by another process; use another --version"):
        write_twice(tmp_path / "1")
    assert names(tmp_path) == ["1"]
    assert names(tmp_path / "1") == ["whole"]


def test_lock_is_free_after_the_block(tmp_path: Path) -> None:
    with staged(tmp_path / "1"):
        pass
    descriptor = os.open(tmp_path / "1", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
