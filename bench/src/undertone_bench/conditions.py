"""Conditions of a measurement, which all rows of a report share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from undertone_bench.errors import BenchError
from undertone_bench.machine import Environment
from undertone_bench.report import Report

Conditions = Mapping[str, Any]
"""Values of options by flag, and the machine. JSON keeps them as they are."""

MACHINE: Final = "machine"


def current_conditions(*except_for: str) -> Conditions:
    """The options of the running command, and this machine with its packages.

    Args:
        except_for: The parameters that do not change the result of a row, such as the number of
            rows. --output never counts.
    """
    context = click.get_current_context()
    options = {
        option.opts[0]: context.params[option.name]
        for option in context.command.params
        if option.name in context.params and option.name not in (*except_for, "output")
    }
    found: Conditions = json.loads(json.dumps({**options, MACHINE: str(Environment.read())}, default=str))
    return found


def refuse_other_conditions(path: Path, rows: str, found: Conditions, wanted: Conditions, remedy: str) -> None:
    """Checks that rows of a file can be compared with new ones.

    Args:
        path: The file.
        rows: What it contains, such as "trials".
        found: The conditions of these rows.
        wanted: The conditions of the new rows.
        remedy: What to do instead, such as "measure again without --resume".

    Raises:
        BenchError: The conditions differ.
    """
    other = [name for name in wanted if name not in found or found[name] != wanted[name]]
    if other:
        raise BenchError(
            f"{path} has {rows} with {_listed(found, other)}, not with {_listed(wanted, other)}: {_same(found, other)}{remedy}"
        )


def read_continued(path: Path, wanted: Conditions) -> Report:
    """The report to which --append adds rows.

    Raises:
        BenchError: There is no such report, or its conditions are others.
    """
    if not path.exists():
        raise BenchError(f"{path} does not exist: measure first, without --append")
    report = Report.read(path)
    refuse_other_conditions(path, "measurements", report.conditions, wanted, "measure again without --append")
    return report


def _same(found: Conditions, other: list[str]) -> str:
    """The remedy that keeps the rows. Empty if a condition of the rows is unknown."""
    if not found.keys() >= set(other):
        return ""
    if other == [MACHINE]:
        return "measure on the same machine, or "
    return f"use the same options{' on the same machine' if MACHINE in other else ''}, or "


def _listed(conditions: Conditions, names: list[str]) -> str:
    return ", ".join(_text(name, conditions[name]) if name in conditions else f"unknown {name}" for name in names)


def _text(name: str, value: Any) -> str:
    if value is None or value == []:
        return f"the default of {name}"
    return f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
