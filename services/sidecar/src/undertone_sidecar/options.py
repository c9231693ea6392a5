"""Command-line options as metadata of dataclass fields, and additional option types."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from undertone_telemetry.options import IntegerRange, NumberRange


def option(
    help_text: str, kind: "click.ParamType[Any] | None" = None, metavar: str | None = None, **attributes: Any
) -> Mapping[str, Any]:
    """Metadata of a dataclass field, for undertone_telemetry.options.field_option.

    Args:
        help_text: Help text of the option.
        kind: Type of its value. None derives it from the default.
        metavar: Placeholder of the value in the help.
        attributes: Further arguments of click.option.
    """
    return {"help": help_text, "type": kind, "metavar": metavar, **attributes}


def file_option(help_text: str) -> Mapping[str, Any]:
    """Metadata of a field that is a file, as a Path."""
    return option(help_text, click.Path(path_type=Path), "FILE")


def boolean_option(help_text: str) -> Mapping[str, Any]:
    """Metadata of a field that is true or false. The flag without a value means true."""
    return option(help_text, click.BOOL, "[true|false]", is_flag=False, flag_value="true")


class Cpus(NumberRange):
    """CPUs in the notation of Kubernetes: "2", "1.5", "1500m"."""

    name = "cpus"

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = int(value[:-1]) / 1000 if isinstance(value, str) and value.endswith("m") else float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of CPUs: use a form such as 1.5 or 1500m.", param, ctx)
        return super().convert(number, param, ctx)


class Memory(IntegerRange):
    """Bytes in the notation of Kubernetes: "3584Mi", "4G", "1.5Gi", "4294967296"."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:([kKMGTPE])(i?))?", str(value))
        if not found or found[2] == ("k" if found[3] else "K"):
            self.fail(f"{value!r} is not a size of memory: use a form such as 3584Mi, 4Gi or 4294967296.", param, ctx)
        unit = 1024 if found[3] else 1000
        size = float(found[1]) * unit ** ("kmgtpe".index(found[2].lower()) + 1 if found[2] else 0)
        return super().convert(int(size), param, ctx)
