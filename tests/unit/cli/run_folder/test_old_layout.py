"""Folders of an earlier release get the new names, also after a kill."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from undertone_cli.run_folder import RunFolder

from tests.unit.support.command import Command, read_failures, read_manifest, read_table

TEXTS = [f"A sufficiently long paragraph, number {index}." for index in range(25)]


def as_earlier_release(folder: Path) -> None:
    """Renames the files of a folder to the names of the earlier release."""
    (folder / "scores").mkdir()
    for part in folder.glob("part-*.parquet"):
        part.rename(folder / "scores" / part.name)
    (folder / "_failures.jsonl").rename(folder / "failures.jsonl")
    (folder / "_run.json").rename(folder / "run.json")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*TEXTS, None]))
    return path


@pytest.mark.parametrize("subcommand", ["score", "replay", "report"])
def test_old_folder_is_renamed(command: Command, source: Path, tmp_path: Path, subcommand: str) -> None:
    out = tmp_path / "out"
    assert command("score", source, "--out", out, "--rows-per-part", 10).exit_code == 1
    before = read_table(out), read_failures(out), read_manifest(out)["sources"]
    as_earlier_release(out)
    by_command: dict[str, list[object]] = {
        "score": [source, "--out", out, "--rows-per-part", 10],
        "replay": [out],
        "report": [out],
    }
    assert command(subcommand, *by_command[subcommand]).exit_code == (0 if subcommand == "report" else 1)
    assert (read_table(out), read_failures(out), read_manifest(out)["sources"]) == before
    assert len(pd.read_parquet(out)) == len(TEXTS)
    assert not (out / "scores").exists()


def test_renaming_continues_after_a_kill(command: Command, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("score", source, "--out", out, "--rows-per-part", 10).exit_code == 1
    before = read_table(out), read_failures(out)
    as_earlier_release(out)
    steps = [("scores/part-00000.parquet", "part-00000.parquet"), ("failures.jsonl", "_failures.jsonl")]
    for stopped_after in range(len(steps) + 1):
        copy = tmp_path / f"copy{stopped_after}"
        shutil.copytree(out, copy)
        for old, new in steps[:stopped_after]:
            (copy / old).rename(copy / new)
        manifest = RunFolder(copy).read_manifest()
        assert manifest is not None
        assert manifest.complete
        assert (read_table(copy), read_failures(copy)) == before


def test_new_names_win(command: Command, source: Path, tmp_path: Path) -> None:
    """A user's own files of the old names stay."""
    out = tmp_path / "out"
    assert command("score", source, "--out", out).exit_code == 1
    (out / "scores").mkdir()
    (out / "run.json").write_text("mine")
    assert command("report", out).exit_code == 0
    assert (out / "run.json").read_text() == "mine"
