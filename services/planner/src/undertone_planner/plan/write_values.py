"""Writes the values of a plan to a values file."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from undertone_planner.errors import PlannerError, ValuesError
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.plan_values import plan_values
from undertone_planner.plan.quantities import duration_text
from undertone_planner.plan.values_file import Scalar, set_values


def check_target(path: Path, values: Path | None) -> None:
    """Refuse to replace a file that is not the one of --values.

    Raises:
        PlannerError: The file exists, or cannot be written, or the file of --values cannot be
            changed.
    """
    if path.exists() and (values is None or not path.samefile(values)):
        raise ValuesError(f"--write {path} exists: pass it with --values too to change it, or name a new file")
    check_writable("--write", path)
    if values is not None:
        _changed(values, {})


def check_writable(option: str, path: Path) -> None:
    """Refuse a file that cannot be written, before the plan is computed.

    Raises:
        PlannerError: The folder does not exist, or the file or its folder cannot be written.
    """
    if not path.parent.is_dir():
        raise PlannerError(f"{option} {path}: there is no folder {path.parent}: create it, or name another")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PlannerError(f"{option} {path} cannot be written: change its permissions, or name another file")


def write_values(plan: Plan, path: Path, values: Path | None, today: date) -> None:
    """Write the values of the plan to `path`, with all that the file `values` has.

    Raises:
        ValuesError: The file of --values cannot be changed, or the file cannot be written.
    """
    changes = plan_values(plan)
    after = set_values(f"# {_summary(plan, today)}\n", changes) if values is None else _changed(values, changes)
    try:
        path.write_text(after, encoding="utf-8")
    except OSError as error:
        raise ValuesError(f"--write {path} cannot be written ({error.strerror}): name another file") from None


def _changed(values: Path, changes: Mapping[str, Scalar]) -> str:
    try:
        return set_values(values.read_text(encoding="utf-8"), changes)
    except UnicodeDecodeError as error:
        raise ValuesError(f"--values {values} is not YAML: {error}") from None
    except ValuesError as error:
        raise ValuesError(f"--values {values}: {error}") from None


def _summary(plan: Plan, today: date) -> str:
    batch, readers = plan.load.batch, plan.load.readers
    parts = []
    if batch is not None:
        parts.append(f"{batch.paragraphs:,} paragraphs within {duration_text(batch.within_seconds)}")
    if readers is not None:
        parts.append(f"{readers.per_second:g} readers a second with a p99 of {readers.p99_seconds:g} s")
    return f"undertone-plan, {today}: {' and '.join(parts)}, on {plan.setting.node.name}"
