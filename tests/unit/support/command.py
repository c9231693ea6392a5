"""Inputs and outputs of the `undertone` command."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import Result
from undertone_cli.readers import InputParagraph, ReadOptions, UniqueIds, find_inputs

Command = Callable[..., Result]
Table = dict[str, list[dict[str, Any]]]


@contextmanager
def piped(content: bytes) -> Iterator[None]:
    """Makes a pipe with this content, of at most 64 KiB, the standard input of this process."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    before = os.dup(0)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def write_texts(path: Path, texts: Iterable[str | None]) -> Path:
    """Write the texts in the format of the suffix."""
    match path.suffix:
        case ".txt":
            path.write_text("\n\n".join(map(str, texts)))
        case ".jsonl":
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        case ".json":
            path.write_text(json.dumps([{"text": text} for text in texts]))
        case ".csv":
            path.write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
        case ".parquet":
            pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    return path


def write_input(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_paragraphs(*paths: Path, options: ReadOptions | None = None) -> list[InputParagraph]:
    with UniqueIds() as ids:
        return list(find_inputs([str(path) for path in paths], options or ReadOptions()).paragraphs(ids))


def read_table(out: Path) -> Table:
    """Rows of each part in a run folder, without the time of the score."""
    parts = {path.name: pq.read_table(path).to_pylist() for path in sorted((out).glob("part-*.parquet"))}
    return {name: [{**row, "scored_at": None} for row in rows] for name, rows in parts.items()}


def read_failures(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "_failures.jsonl").read_text().splitlines()]


def read_manifest(out: Path) -> dict[str, Any]:
    document = json.loads((out / "_run.json").read_text())
    assert isinstance(document, dict)
    return document
