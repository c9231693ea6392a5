"""The fleet model's predictions beside measurements of real pods."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import click
from undertone_cli.quantiles import quantile
from undertone_client import Client
from undertone_planner.calibration import CalibratedMachine, PodCalibration
from undertone_telemetry.options import refuse_unused

from undertone_bench.call_time import CallSample, CallTime, measure_calls, sample_batches
from undertone_bench.conditions import Conditions, current_conditions, read_continued
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.fleet_load import JOB, READERS, FleetLoad, FleetResult, Sample, run_load
from undertone_bench.fleet_of_pods import PodFleet, planted_fleet, served_fleet
from undertone_bench.fleet_prediction import predict
from undertone_bench.options import count_option, experiment_options, progress, reporting, seconds_option
from undertone_bench.other_programs import OtherPrograms
from undertone_bench.processes import first_cpus
from undertone_bench.report import NO_CONDITIONS, Figure, Goal, MedianRange, Report, Table

BENCHMARK: Final = "fleet-model"

_PARAGRAPHS: Final = 2048
_PODS: Final = (2, 3)
_CALIBRATION_CALLS: Final = 40

LOADS: Final[Mapping[str, Callable[[float], FleetLoad]]] = {
    "batch": lambda _: FleetLoad("a batch job", batch=True),
    "readers": lambda rate: FleetLoad("readers, 60 % of the capacity", reader_rate=0.6 * rate),
    "both": lambda rate: FleetLoad("a batch job beside readers, 20 %", batch=True, reader_rate=0.2 * rate),
    "kill": lambda _: FleetLoad("a batch job, one pod killed", batch=True, kill=True),
}
"""Loads by name, from the capacity of the fleet in paragraphs per second."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Result of a load: tokens per second of the job, latencies in seconds (0 without readers)."""

    rate: float
    p50: float
    p99: float
    failed: int

    @classmethod
    def of(cls, result: FleetResult) -> Self:
        p50, p99 = (quantile(result.latencies, q) if result.latencies else 0.0 for q in (0.5, 0.99))
        return cls(result.batch_tokens_per_second, p50, p99, result.failed)

    def __str__(self) -> str:
        job = f"{self.rate:.0f} tokens/s of the job" if self.rate else None
        readers = f"p50 {self.p50 * 1000:.0f} ms, p99 {self.p99 * 1000:.0f} ms" if self.p50 else None
        failed = f"{self.failed} failed" if self.failed else None
        return ", ".join(part for part in (job, readers, failed) if part) or "nothing was answered"


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A load of a number of pods, as measured and as predicted."""

    pods: int
    load: str
    measured: _Outcome
    predicted: _Outcome

    def deviation(self, name: str) -> float | None:
        """Predicted / measured - 1. None without a value."""
        measured, predicted = (float(getattr(one, name)) for one in (self.measured, self.predicted))
        return predicted / measured - 1 if measured and predicted else None


@click.command(
    epilog="""\b
Examples:
  undertone-bench fleet-model                                     fake model servers
  undertone-bench fleet-model --pods 2 --model-server tensorflow  each pod on a CPU of its own
  undertone-bench fleet-model --pods 3 --load kill --append       one more load"""
)
@experiment_options(rounds=None)
@click.option(
    "--model-server",
    default="fake",
    show_default=True,
    type=click.Choice(["fake", "tensorflow"]),
    help="fake: a server whose calls wait for --call-seconds and --token-seconds, so that pods do not share CPUs. "
    "tensorflow: undertone-dev-server on one CPU for each pod, which is calibrated first.",
)
@click.option("--pods", "counts", multiple=True, type=click.IntRange(1), help="Number of pods; repeatable. Default: 2, 3.")
@click.option(
    "--load", "names", multiple=True, type=click.Choice(list(LOADS)), help="What is measured; repeatable. Default: all."
)
@seconds_option("--seconds", 40.0, "Duration of each measurement, after five seconds of load.")
@seconds_option("--call-seconds", 0.03, "Fixed duration of a call to the fake model server.")
@seconds_option("--token-seconds", 0.001, "Additional duration for each token of it.")
@count_option("--calls", default=2, help_text="Calls at once of a fake model server.")
@count_option("--batch-tokens", default=2048, help_text="Maximum tokens of a batch.", least=16)
@click.option(
    "--append", is_flag=True, help="Add the measurements to those of the report in --output, if its options are the same."
)
@reporting
def fleet_model(
    experiment: Experiment,
    model_server: str,
    counts: Sequence[int],
    names: Sequence[str],
    seconds: float,
    call_seconds: float,
    token_seconds: float,
    calls: int,
    batch_tokens: int,
    append: bool,
) -> Report:
    """Compare predictions of the fleet model with measurements of real pods.

    Real sidecars run behind the chart's Envoy. The client library and its load are the same code in
    the measurement and in the model, where the clock is virtual. Paragraphs have at most the
    model's maximum length.
    """
    if model_server == "fake":
        refuse_unused("has no effect with --model-server fake: omit it, or add --model-server tensorflow", "sidecar_flags")
    else:
        reason = "has no effect with --model-server tensorflow, whose calls are measured: omit one of them"
        refuse_unused(reason, "call_seconds", "token_seconds", "calls")
        first_cpus(max(counts or _PODS))  # before the first measurement
    longest = experiment.model.contract.max_tokens
    lengths = [min(length, longest) for length in experiment.distribution.sample(_PARAGRAPHS)]
    paragraphs = experiment.source.paragraphs(lengths)
    sample = Sample.of([one.text for one in paragraphs], [min(one.tokens, longest) for one in paragraphs])
    found: list[_Comparison] = []
    conditions = current_conditions("counts", "names", "append")
    if append:
        output: Path = click.get_current_context().params["output"]
        earlier = read_continued(output / f"{BENCHMARK}-{_subject(experiment, model_server)}.json", conditions)
        found = [_read(one) for one in earlier.samples]
    planted = _planted(experiment, call_seconds, token_seconds, calls, batch_tokens)
    mean = sum(sample.tokens) / len(sample.tokens)
    notes = []
    for count in counts or _PODS:
        others = OtherPrograms()
        with _fleet(experiment, model_server, planted, count) as fleet:
            calibration = _calibrated(experiment, fleet, planted, seconds) if fleet.model_servers else planted
            capacity = count * calibration.tokens_per_second / mean
            for name in names or LOADS:
                load = LOADS[name](capacity)
                result, start_seconds = asyncio.run(_measure(fleet, load, sample, seconds))
                measured = _Outcome.of(result)
                started = replace(calibration, load_seconds=start_seconds, warmup_seconds=0.0)
                predicted = _Outcome.of(predict(load, sample.tokens, started, pods=count, seconds=seconds))
                found.append(_Comparison(count, load.name, measured, predicted))
                progress(f"{count} pods, {load.name}: measured {measured}; predicted {predicted}")
        notes.append(f"{count} pods: other programs used {others.cpus():.2f} CPUs on average.")
    return _report(_subject(experiment, model_server), found, notes, conditions)


async def _measure(fleet: PodFleet, load: FleetLoad, sample: Sample, seconds: float) -> tuple[FleetResult, float]:
    """The result, and the seconds in which the pod that was killed, or the last pod, started."""
    start_seconds = fleet.start_seconds

    async def kill() -> None:
        nonlocal start_seconds
        killed = time.perf_counter()
        await fleet.kill()
        start_seconds = time.perf_counter() - killed
        progress(f"the pod was ready again after {start_seconds:.1f} s")

    async with Client(fleet.target, settings=JOB) as batch, Client(fleet.target, settings=READERS) as readers:
        result = await run_load(load, sample, batch=batch, readers=readers, kill=kill, seconds=seconds)
    return result, start_seconds


@contextlib.contextmanager
def _fleet(experiment: Experiment, model_server: str, calibration: PodCalibration, count: int) -> Iterator[PodFleet]:
    if model_server == "fake":
        with planted_fleet(experiment, calibration, count) as fleet:
            yield fleet
    else:
        flags = [f"--batch-tokens={calibration.batch_tokens}", *experiment.sidecar_flags]
        with served_fleet(experiment, flags, count) as fleet:
            yield fleet


def _planted(
    experiment: Experiment, call_seconds: float, token_seconds: float, calls: int, batch_tokens: int
) -> PodCalibration:
    contract = experiment.model.contract
    return PodCalibration(
        machine=CalibratedMachine(cpu="none: calls wait instead of computing", cores=0),
        model=contract.name,
        precision=contract.precision,
        cpus=1.0,
        seconds_per_call=call_seconds,
        seconds_per_token=token_seconds,
        model_calls=calls,
        batch_tokens=batch_tokens,
        load_seconds=0.0,
        warmup_seconds=0.0,
        memory_bytes=0,
    )


def _calibrated(experiment: Experiment, fleet: PodFleet, planted: PodCalibration, seconds: float) -> PodCalibration:
    """Measures the model servers of all pods at once, because pods share caches and memory."""
    paragraphs = experiment.paragraphs(_PARAGRAPHS // 2)
    sequences = list(experiment.model.sequences([paragraph.text for paragraph in paragraphs]))
    batches = sample_batches(sequences, planted.batch_tokens, _CALIBRATION_CALLS)

    def measured(server: str) -> list[CallSample]:
        return measure_calls(server, experiment.model, batches, calls=fleet.model_calls, seconds=seconds)

    with ThreadPoolExecutor(len(fleet.model_servers)) as pool:
        samples = list(itertools.chain.from_iterable(pool.map(measured, fleet.model_servers)))
    fitted = CallTime.fit(samples)
    progress(f"a call takes {fitted}; error {fitted.error:.1%}")
    for low, high in itertools.pairwise((0, 64, 128, 256, 512, 1024, 1 + planted.batch_tokens)):
        ratios = [one.seconds / fitted.seconds(one.tokens) for one in samples if low <= one.tokens < high]
        if ratios:
            progress(f"  {low} to {high - 1} tokens: {median(ratios):.2f} of that ({len(ratios)} calls)")
    if not fitted.seconds_per_token:
        raise BenchError(
            "the durations of the measured calls do not grow with their tokens: use an idle machine, or more --seconds"
        )
    return replace(
        planted,
        seconds_per_call=fitted.seconds_per_call,
        seconds_per_token=fitted.seconds_per_token,
        model_calls=fleet.model_calls,
    )


def _subject(experiment: Experiment, model_server: str) -> str:
    return f"{experiment.model.label}-{model_server}"


def _read(sample: Mapping[str, Any]) -> _Comparison:
    measured, predicted = (_Outcome(**sample[side]) for side in ("measured", "predicted"))
    return _Comparison(sample["pods"], sample["load"], measured, predicted)


def _report(subject: str, found: Sequence[_Comparison], notes: Sequence[str], conditions: Conditions = NO_CONDITIONS) -> Report:
    figures = []
    for name, label, goal in (("rate", "throughput", 0.1), ("p50", "p50", 0.25), ("p99", "p99", 0.25)):
        deviations = [abs(deviation) for one in found if (deviation := one.deviation(name)) is not None]
        if deviations:
            title = f"largest deviation of the predicted {label}"
            figures.append(Figure(title, MedianRange.of([max(deviations)]), ".0%", Goal("at most", goal)))
    failed = sum(one.measured.failed for one in found)
    figures.append(Figure("failed paragraphs and calls, measured", MedianRange.of([float(failed)]), ".0f"))
    header = ("pods", "load", *(f"{name}: measured, predicted" for name in ("job tokens/s", "readers p50 ms", "p99 ms")))
    return Report.new(
        BENCHMARK,
        subject,
        table=Table(header, tuple(_row(one) for one in sorted(found, key=lambda one: one.pods))),
        figures=figures,
        samples=[asdict(one) for one in found],
        notes=notes,
        conditions=conditions,
    )


def _row(one: _Comparison) -> tuple[str, ...]:
    cells = [f"{one.pods}", one.load]
    for name, factor in (("rate", 1.0), ("p50", 1e3), ("p99", 1e3)):
        measured, predicted = (float(getattr(outcome, name)) * factor for outcome in (one.measured, one.predicted))
        deviation = one.deviation(name)
        cells.append("–" if deviation is None else f"{measured:.0f}, {predicted:.0f} ({deviation:+.0%})")
    return tuple(cells)
