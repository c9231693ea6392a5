"""The lock and the files of a run folder."""

import errno
import fcntl
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_cli.readers import ReadOptions
from undertone_cli.run_folder import RunFolder, RunIdentity, ScoreTable, replace_file, temporary_path
from undertone_client import Model, Policy
from undertone_client.jobs import OutputError


def test_lock_excludes_a_second_run(tmp_path: Path) -> None:
    second = RunFolder(tmp_path).locked()
    with RunFolder(tmp_path).locked(), pytest.raises(OutputError, match="another run is writing"):
        second.__enter__()


async def test_temporary_files_of_a_killed_run_are_deleted(tmp_path: Path) -> None:
    leftover = tmp_path / ".part-00000.parquet.aside"
    leftover.write_bytes(b"half")
    with RunFolder(tmp_path).locked():
        assert not leftover.exists()


def test_parts_without_a_manifest_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(OutputError, match=r"no _run\.json"):
        RunFolder(tmp_path).read_manifest()


@pytest.mark.parametrize("text", ["", '{"schema_version": 1}', '{"schema_version": 99}'])
def test_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "_run.json").write_text(text)
    with pytest.raises(OutputError, match=r"_run\.json .*--overwrite"):
        RunFolder(tmp_path).read_manifest()


@pytest.mark.parametrize("text", ["[]", "{}", '{"name": "my run"}', "3"])
def test_a_file_of_another_program_is_not_taken_for_a_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "_run.json").write_text(text)
    folder = RunFolder(tmp_path)
    with pytest.raises(OutputError, match=r"_run\.json was not written by `undertone score`: name a folder of a run"):
        folder.read_manifest()
    with pytest.raises(OutputError, match="is not deleted"):
        folder.clear()
    assert (tmp_path / "_run.json").read_text() == text


def test_a_folder_of_another_program_keeps_the_names_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "run.json").write_text('{"name": "my run"}')
    folder = RunFolder(tmp_path)
    assert folder.read_manifest() is None
    with pytest.raises(OutputError, match=r"contains run\.json, which is not of a run"):
        folder.check_usable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "scores"]


@pytest.mark.parametrize("name", [".DS_Store", "_report.html", "lost+found"])
def test_hidden_files_do_not_make_a_folder_unusable(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    RunFolder(tmp_path).check_usable()


def test_emotion_with_the_name_of_a_column() -> None:
    identity = RunIdentity((), ReadOptions(), 5, Model("fake", 1, "fp32"), ("joy", "label"), Policy.TRUNCATE)
    with pytest.raises(OutputError, match="label named 'label'"):
        ScoreTable(identity)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EWOULDBLOCK, "another run is writing to"),
        (errno.ENOLCK, "cannot be locked against a second run: No locks available; its file system does not support locks now"),
        (errno.EOPNOTSUPP, "cannot be locked against a second run: Operation not supported"),
    ],
)
def test_the_reason_why_a_folder_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OutputError, match=message), RunFolder(tmp_path / "out").locked():
        pass


def test_another_table_is_refused_and_never_deleted(tmp_path: Path) -> None:
    spark = tmp_path / "part-00000-1c5f.snappy.parquet"
    spark.write_bytes(b"")
    with pytest.raises(OutputError, match=r"part-00000-1c5f\.snappy\.parquet, which is not of a run"):
        RunFolder(tmp_path).check_usable()
    other = tmp_path / "part-00000.parquet"
    pq.write_table(pa.table({"text": ["mine"]}), other)
    with pytest.raises(OutputError, match="is not deleted"):
        RunFolder(tmp_path).clear()
    assert spark.exists()
    assert other.exists()


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    temporary_path(pipe).write_text("a report")
    with pytest.raises(OSError, match="it is not a regular file: name one"):
        replace_file(pipe)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
