"""The scenarios of `readiness` on one fleet: the chart's, with BERT-base."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from undertone_client import Settings

from undertone_planner.calibration import PodCalibration
from undertone_planner.fleet.loads import JobSettings, Lengths
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.settings import CHART_AUTOSCALER, chart_fleet
from undertone_planner.scenarios.readiness import JobPods, JobRun, SpotRun, scale_to_zero, scale_up, spot

PODS: Final = 40
LENGTHS: Final = Lengths.equal(60)
FINISH_BY_SECONDS: Final = 3600.0
CLIENT: Final = Settings(batch_items=128)
READERS_PER_SECOND: Final = 2.0
SPOT_HOURS: Final = 3
SPOT_PODS: Final = 16


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario and its result."""

    name: str
    run: JobRun | SpotRun


def rows(calibration: PodCalibration, *, hours: int = SPOT_HOURS) -> Iterator[Row]:
    """All scenarios, with pods of this calibration."""
    nodes = NodePoolSettings(cpus=15.0, boot_seconds=90.0, image_pull_seconds=30.0)
    fleet = chart_fleet(calibration, pods=2, nodes=nodes, autoscaler=replace(CHART_AUTOSCALER, max_replicas=PODS))
    rate = calibration.tokens_per_second / LENGTHS.mean
    floor = JobPods(rate)
    # The job needs all pods: the headroom is the reserve for their start.
    paragraphs = int(PODS * rate * FINISH_BY_SECONDS / floor.headroom)
    job = JobSettings(paragraphs=paragraphs, lengths=LENGTHS, start_seconds=60.0, client=CLIENT)
    yield Row("by CPU utilization", scale_up(fleet, job))
    yield Row("with --finish-by", scale_up(fleet, job, floor=floor, finish_by_seconds=FINISH_BY_SECONDS))
    yield Row("from zero, with --finish-by", scale_to_zero(fleet, job, floor=floor, finish_by_seconds=FINISH_BY_SECONDS))
    fixed = replace(fleet, pods=SPOT_PODS, autoscaler=None, nodes=replace(nodes, cpus=8.0, spot=True))
    online = replace(fleet, autoscaler=None)
    for notice_seconds in (30.0, 120.0):
        result = spot(
            fixed,
            online,
            lengths=LENGTHS,
            hours=hours,
            notice_seconds=notice_seconds,
            readers_per_second=READERS_PER_SECOND,
            client=CLIENT,
        )
        yield Row(f"half of the spot nodes reclaimed every hour, {notice_seconds:g} s notice", result)
