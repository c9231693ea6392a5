"""The fleet model's prediction for a load."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean
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

HISTORIES: Final = 8

_WORD: Final = "the "
"""As long as a token of English text, because the client limits the characters of a call."""


def predict(
    load: FleetLoad,
    tokens: Sequence[int],
    calibration: PodCalibration,
    *,
    pods: int,
    seconds: float,
    histories: int = HISTORIES,
) -> FleetResult:
    """The result of a load of paragraphs with these numbers of tokens, on a virtual clock.

    The mean of several histories, whose load balancers draw other pods: a single one has only a few
    calls above the p99. The latencies are those of all histories.
    """
    results = [run(_predict(load, tokens, calibration, pods, seconds, seed)) for seed in range(histories)]
    return FleetResult(
        mean(result.batch_tokens_per_second for result in results),
        tuple(itertools.chain.from_iterable(result.latencies for result in results)),
        sum(result.failed for result in results),
    )


async def _predict(
    load: FleetLoad, tokens: Sequence[int], calibration: PodCalibration, pods: int, seconds: float, seed: int
) -> FleetResult:
    # The sidecar rounds lengths up. The model takes each word for a token, and adds two special
    # tokens.
    lengths = PaddedLengths.up_to(max(tokens))
    sample = Sample.of([_WORD * (lengths.fit(count) - 2) for count in tokens], tokens)
    async with (
        Fleet(
            replace(chart_fleet(calibration, pods=pods, autoscaler=None), probes=_HEALTH_CHECKS, endpoints_seconds=0),
            seed=seed,
        ) as fleet,
        fleet_client(fleet, JOB, seed=2 * seed + 1) as batch,
        fleet_client(fleet, READERS, seed=2 * seed + 2) as readers,
    ):

        async def kill() -> None:
            fleet.kill(fleet.pods[0])

        return await run_load(load, sample, batch=batch, readers=readers, kill=kill, seconds=seconds)
