"""Progress and summary of a run as JSON Lines on standard output, for programs."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from undertone_client import CallCounts, ClientState
from undertone_telemetry.standard_output import optional_output

from undertone_cli.run_folder import Manifest
from undertone_cli.scoring.display import LINE_SECONDS, RateEstimate, ThrottledCallback
from undertone_cli.scoring.monitor import RunCounts


def write_event(event: str, fields: dict[str, Any]) -> None:
    """Print an object in one line. A run continues if standard output cannot be written."""
    with optional_output():
        click.echo(json.dumps({"event": event, **fields}, ensure_ascii=False))


def json_progress(clock: Callable[[], float]) -> ThrottledCallback:
    """Prints a `progress` event every LINE_SECONDS. The run calls it after each change."""
    estimate = RateEstimate(clock)

    def show(counts: RunCounts, state: ClientState) -> None:
        rate = estimate.rate(counts)
        left = None if counts.total is None or not rate else round((counts.total - counts.done) / rate, 1)
        progress = {
            **_counts(counts),
            "total": counts.total,
            "paragraphs_per_second": round(rate, 3),
            "seconds_left": left,
            "calls_in_flight": state.in_flight,
            "limit": state.limit,
            "breaker": state.breaker,
        }
        write_event("progress", progress)

    return ThrottledCallback(show, LINE_SECONDS, clock)


def write_summary(folder: Path, manifest: Manifest, counts: RunCounts, calls: CallCounts, seconds: float) -> None:
    """Print the `summary` event of a run that reached the end of its inputs."""
    identity = manifest.identity
    summary = {
        **_counts(counts),
        "seconds": round(seconds, 3),
        "labels": dict(counts.labels.most_common()),
        "unlabelled": counts.unlabelled,
        "flags": dict(counts.flags),
        "failures": dict(counts.statuses),
        "calls": calls.to_json(),
        "model": asdict(identity.model),
        "policy": identity.policy,
        "folder": str(folder),
    }
    write_event("summary", summary)


def _counts(counts: RunCounts) -> dict[str, int]:
    names = ("scored", "failed", "kept", "short", "repeated", "bad_lines", "tokens")
    return {name: getattr(counts, name) for name in names}
