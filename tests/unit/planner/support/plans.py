"""Settings and loads for tests of plans, with round numbers."""

from dataclasses import replace
from typing import Any

from undertone_planner.plan.chart_values import ChartValues
from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.load import PADDING, Batch, Load, Readers
from undertone_planner.plan.node_types import NodeType
from undertone_planner.plan.plan import Setting

from tests.unit.support.calibrations import CALIBRATION

HOUR = 3600.0

NODE = NodeType(
    name="node",
    vcpus=16,
    cores=16,
    memory_gib=64,
    on_demand=1.0,
    spot=0.4,
    speed=1.0,
    allocatable_cpu=1.0,
    allocatable_memory=1.0,
    boot_seconds=60,
    pull_seconds=30,
    spot_reclaims_per_hour=0.01,
)

LENGTHS = Lengths.of({100: 1})
POD_RATE = 2000 / 100 / PADDING
"""Paragraphs a second of a pod in the batch lane."""


def setting(*, values: ChartValues | None = None, **fields: Any) -> Setting:
    """A setting on NODE. 8 of the chart's pods fit on the node."""
    defaults = Setting(
        node=NODE, values=values or ChartValues(), calibration=CALIBRATION, calibration_name="test", reference=1.0
    )
    return replace(defaults, **fields)


def batch(paragraphs: int, hours: float, **fields: Any) -> Batch:
    return Batch(paragraphs=paragraphs, within_seconds=hours * HOUR, **{"headroom": 0.0, **fields})


def batch_load(paragraphs: int, hours: float, **fields: Any) -> Load:
    return Load(lengths=LENGTHS, batch=batch(paragraphs, hours, **fields))


def readers_load(per_second: float, p99: float, *, lengths: Lengths = LENGTHS, job: Batch | None = None) -> Load:
    return Load(lengths=lengths, batch=job, readers=Readers(per_second=per_second, p99_seconds=p99))
