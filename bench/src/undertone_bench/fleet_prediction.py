"""The fleet model's prediction for a load."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from undertone_planner.calibration import PodCalibration
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet
from undertone_planner.fleet.settings import SIDECAR_PROBES, chart_fleet
from undertone_planner.fleet.transport import fleet_client
from undertone_sidecar.lengths import PaddedLengths

from undertone_bench.fleet_load import JOB, READERS, FleetLoad, FleetResult, Sample, run_load

_HEALTH_CHECKS: Final = replace(SIDECAR_PROBES, period_seconds=2.0)
"""Envoy's health checks find the pods, because there is no kubelet and no DNS here."""

_WORD: Final = "the "
"""As long as a token of English text, because the client limits the characters of a call."""


def predict(load: FleetLoad, tokens: Sequence[int], calibration: PodCalibration, *, pods: int, seconds: float) -> FleetResult:
    """The result of a load of paragraphs with these numbers of tokens, on a virtual clock."""
    return run(_predict(load, tokens, calibration, pods, seconds))


async def _predict(
    load: FleetLoad, tokens: Sequence[int], calibration: PodCalibration, pods: int, seconds: float
) -> FleetResult:
    # The sidecar rounds lengths up. The model takes each word for a token, and adds two special
    # tokens.
    lengths = PaddedLengths.up_to(max(tokens))
    sample = Sample.of([_WORD * (lengths.fit(count) - 2) for count in tokens], tokens)
    async with (
        Fleet(
            replace(chart_fleet(calibration, pods=pods, autoscaler=None), probes=_HEALTH_CHECKS, endpoints_seconds=0)
        ) as fleet,
        fleet_client(fleet, JOB, seed=1) as batch,
        fleet_client(fleet, READERS, seed=2) as readers,
    ):

        async def kill() -> None:
            fleet.kill(fleet.pods[0])

        return await run_load(load, sample, batch=batch, readers=readers, kill=kill, seconds=seconds)
