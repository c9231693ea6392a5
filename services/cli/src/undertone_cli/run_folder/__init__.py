"""The output folder of a run: `_run.json`, `_failures.jsonl` and `part-NNNNN.parquet`."""

from undertone_cli.run_folder.bad_lines import BadLineFile
from undertone_cli.run_folder.failures import FailedParagraphs, FailureFile, FailureRecord, read_failures
from undertone_cli.run_folder.folder import RunFolder, replace_file, temporary_path
from undertone_cli.run_folder.manifest import Manifest, RunIdentity, Shard
from undertone_cli.run_folder.parts import Part, PartWriter
from undertone_cli.run_folder.table import ScoreTable, TextScore
from undertone_cli.run_folder.throughput import Sample, Throughput

__all__ = [
    "BadLineFile",
    "FailedParagraphs",
    "FailureFile",
    "FailureRecord",
    "Manifest",
    "Part",
    "PartWriter",
    "RunFolder",
    "RunIdentity",
    "Sample",
    "ScoreTable",
    "Shard",
    "TextScore",
    "Throughput",
    "read_failures",
    "replace_file",
    "temporary_path",
]
