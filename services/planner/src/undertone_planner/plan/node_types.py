"""The table of node types and their prices."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

from undertone_planner.errors import NodeTypesError
from undertone_planner.json_record import RecordError, read_record

_GIB: Final = 2**30
PACKAGED_TABLE: Final = files("undertone_planner.plan") / "node_types.toml"
"""The table that comes with the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """A node type. node_types.toml describes the fields and says which are assumptions.

    Raises:
        NodeTypesError: A number is out of its range.
    """

    name: str
    vcpus: int
    cores: int
    memory_gib: float
    on_demand: float
    spot: float
    speed: float
    allocatable_cpu: float
    allocatable_memory: float
    boot_seconds: float
    pull_seconds: float
    spot_reclaims_per_hour: float
    bf16: float = 0
    amx: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        for name in ("vcpus", "cores", "memory_gib", "speed", "allocatable_cpu", "allocatable_memory"):
            if not 0 < getattr(self, name) < math.inf:
                raise NodeTypesError(f"{self.name}.{name} is {getattr(self, name)}: use a finite number above 0")
        for name in ("on_demand", "spot", "boot_seconds", "pull_seconds", "spot_reclaims_per_hour", "bf16"):
            if not 0 <= getattr(self, name) < math.inf:
                raise NodeTypesError(f"{self.name}.{name} is {getattr(self, name)}: use a finite number of at least 0")
        if self.cores > self.vcpus:
            raise NodeTypesError(f"{self.name} has {self.cores} cores and {self.vcpus} vcpus: a core has at least one vCPU")

    @property
    def threads_per_core(self) -> int:
        """Hardware threads of a physical core."""
        return max(1, round(self.vcpus / self.cores))

    @property
    def pod_cpus(self) -> float:
        """CPUs that pods can request."""
        return self.vcpus * self.allocatable_cpu

    @property
    def pod_memory(self) -> float:
        """Bytes of memory that pods can request."""
        return self.memory_gib * self.allocatable_memory * _GIB

    def core_speed(self, precision: str) -> float:
        """Speed of a physical core as a multiple of the reference in fp32. 0 if not supported."""
        return self.speed * (self.bf16 if precision == "bf16" else 1.0)

    def price(self, *, spot: bool) -> float:
        """Price of an hour."""
        return self.spot if spot else self.on_demand


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTypes:
    """A table of node types, and where its prices come from."""

    date: str
    currency: str
    region: str
    source: str
    types: Mapping[str, NodeType]

    @classmethod
    def read(cls, path: Path | None = None) -> Self:
        """Read a table; None reads the packaged one.

        Raises:
            NodeTypesError: The file cannot be read, or a node type lacks a field.
        """
        source = PACKAGED_TABLE if path is None else path
        name = "the packaged table" if path is None else str(path)
        try:
            return cls._of(tomllib.loads(source.read_text(encoding="utf-8")))
        except OSError as error:
            raise NodeTypesError(f"--node-types {name} cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise NodeTypesError(f"--node-types {name} is not TOML: {error}") from None
        except NodeTypesError as error:
            raise NodeTypesError(f"--node-types {name}: {error}") from None

    def find(self, name: str) -> NodeType:
        """The node type of this name.

        Raises:
            NodeTypesError: The table does not have it.
        """
        if name in self.types:
            return self.types[name]
        similar = get_close_matches(name, self.types, n=1)
        hint = f"Did you mean {similar[0]!r}? " if similar else ""
        raise NodeTypesError(
            f"there is no node type {name!r}. {hint}The table has {', '.join(self.types)}; add others with --node-types FILE"
        )

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        header = {}
        for key in ("date", "currency", "region", "source"):
            if key not in document:
                raise NodeTypesError(f"the key {key} is missing: the prices need it")
            header[key] = str(document[key])
        tables = document.get("types")
        if not isinstance(tables, dict) or not tables:
            raise NodeTypesError('there is no node type: add a table such as [types."c7i.4xlarge"]')
        defaults = document.get("defaults", {})
        return cls(**header, types={name: _node_type(name, {**defaults, **table}) for name, table in tables.items()})


def _node_type(name: str, values: Mapping[str, Any]) -> NodeType:
    try:
        return read_record(NodeType, {"name": name, **values}, f"{name}.")
    except RecordError as error:
        raise NodeTypesError(str(error)) from None
