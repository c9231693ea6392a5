"""Runs of the scoring pipeline."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from undertone_cli.readers import ReadOptions, find_inputs, inspect_inputs
from undertone_cli.run_folder import Manifest, RunFolder, RunIdentity
from undertone_cli.scoring.monitor import RunCounts
from undertone_cli.scoring.pipeline import Pipeline
from undertone_client import Client, LimitSettings, Model, Policy, RetryPolicy, Settings
from undertone_client.testing import EMOTIONS, FakeClassifier

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SETTINGS = Settings(batch_items=3, limit=LimitSettings.fixed(2), lookahead_items=6, retry=RetryPolicy(attempts=1))


async def run_pipeline(
    path: Path,
    out: Path,
    service: FakeClassifier,
    *,
    rows_per_part: int = 5,
    read: ReadOptions | None = None,
    client_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[Manifest, RunCounts]:
    """Score a file at NOON, or continue its run; `options` are those of `Pipeline`."""
    inputs = find_inputs([str(path)], read or ReadOptions())
    inspection = inspect_inputs(inputs)
    identity = RunIdentity(
        inspection.fingerprints,
        inputs.options,
        rows_per_part,
        Model("fake", 1, "fp32"),
        EMOTIONS,
        Policy.CHUNK_MEAN,
        problem_type=service.problem_type,
        thresholds=service.thresholds,
    )
    folder, counts = RunFolder(out), RunCounts(total=inspection.paragraphs)
    with folder.locked():
        manifest = replace(folder.read_manifest() or Manifest(identity, NOON), identity=identity)
        folder.write_manifest(manifest)
        async with Client(service.target, **{"settings": SETTINGS, **(client_options or {})}) as client:
            pipeline = Pipeline(folder, manifest, inputs, counts, client, **{"now": lambda: NOON, **options})
            return await pipeline.run(), counts
