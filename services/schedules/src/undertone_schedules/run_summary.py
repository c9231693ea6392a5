"""The counts of a run, from the summary that `undertone-batch run --summary` writes."""

import json
from collections.abc import Mapping
from typing import Any

_FIELDS = ("run", "mode", "outcome", "table", "rows", "scored", "failed", "failed_share", "duplicates", "paragraphs", "seconds")


def counts_of_summary(text: str) -> dict[str, Any]:
    """The counts of a run, small enough for a scheduler's database.

    Raises:
        ValueError: the text is not the summary of a run.
    """
    summary = json.loads(text)
    if not isinstance(summary, Mapping):
        raise ValueError(f"the summary of the run is {type(summary).__name__}, not a JSON object")
    counts = {name: summary[name] for name in _FIELDS if name in summary}
    model = summary.get("model") or {}
    return counts | {f"model_{name}": model[name] for name in ("name", "version") if name in model}


def reason_of_skip(text: str) -> str | None:
    """Why a run has skipped its source, from its summary; None if it did not."""
    reason = json.loads(text).get("skipped")
    return None if reason is None else str(reason)


def describe(counts: Mapping[str, Any]) -> str:
    """One line for people, such as `1,204 scored, 3 failed`."""
    known = [f"{counts[name]:,} {name}" for name in ("scored", "failed") if isinstance(counts.get(name), int)]
    return ", ".join(known) or "counts are not known"
