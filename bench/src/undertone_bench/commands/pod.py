"""The speed, start-up and memory of a pod: the calibration of the fleet model."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
from undertone_planner.calibration import CalibratedMachine, PodCalibration
from undertone_planner.errors import CalibrationError
from undertone_sidecar.cpu import read_machine

from undertone_bench.batch_job import batch_rates
from undertone_bench.call_time import CallSample, CallTime, measure_calls, sample_batches
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.machine import Environment
from undertone_bench.models import BenchModel
from undertone_bench.options import (
    count_option,
    create_folder,
    model_option,
    precisions_option,
    progress,
    reporting,
    seconds_option,
    texts_option,
)
from undertone_bench.other_programs import OtherPrograms
from undertone_bench.pods import Pod, running_pod
from undertone_bench.processes import first_cpus, peak_resident_bytes
from undertone_bench.report import Report, Table

CALIBRATIONS: Final = Path("build/bench/calibrations")

_PARAGRAPHS: Final = 1024
_CALLS: Final = 40
"""Different calls that are measured."""
_MAX_ERROR: Final = 0.15
_MAX_DEVIATION: Final = 0.25
"""Larger errors of the durations and of the rate are reported: other programs use the CPUs."""


@click.command(
    epilog="""\b
Examples:
  undertone-bench pod                                        the demo model on all CPUs
  undertone-bench pod --model bert-base --precision fp32 --precision bf16 --cpus 1 --cpus 2
  undertone-bench pod --seconds 4                            a quick trial
  undertone-bench pod --model models/emotions --texts novel.txt"""
)
@model_option
@precisions_option("the exporter's, or that of the folder")
@click.option(
    "--cpus",
    "cpu_counts",
    multiple=True,
    type=click.IntRange(1),
    help="CPUs of the pod, on which it is pinned; repeatable. Default: all.",
)
@texts_option
@count_option("--batch-tokens", default=2048, help_text="Maximum tokens of a batch.", least=16)
@seconds_option("--seconds", 30.0, "Duration of the calls and of the batch job, for each pod.")
@click.option(
    "--calibrations",
    default=CALIBRATIONS,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the calibrations, MODEL-PRECISION-CPUS.json, which undertone-plan reads.",
)
@reporting
def pod(
    model: str,
    precisions: Sequence[str],
    cpu_counts: Sequence[int],
    texts: Path | None,
    batch_tokens: int,
    seconds: float,
    calibrations: Path,
) -> Report:
    """Measure what the fleet model needs to know about a pod, and write calibrations.

    A pod is started for each precision and number of CPUs. As many callers as the pod has calls at
    once send batches of several sizes to its model server. The durations give the fixed time of a
    call and the time for each token. A batch job then loads the pod, and its rate is compared with
    the calibration's. The model server is undertone-dev-server: the start-up of TF Serving differs.
    """
    choices = [(precision, cpus) for precision in precisions or (None,) for cpus in cpu_counts or (Environment.read().cpus,)]
    first_cpus(max(cpus for _, cpus in choices))  # before the first measurement
    create_folder("--calibrations", calibrations)
    found = [_measure(model, precision, cpus, texts, batch_tokens, seconds) for precision, cpus in choices]
    for one in found:
        one.calibration.write(path := calibrations / f"{one.calibration.model}-{one.label}.json")
        progress(f"calibration: {path}")
    return _report(found)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A calibration, and how well it fits.

    `rate` is the measured rate of padded tokens of a batch job, and
    `paragraph_rate` that of its paragraphs. `other_cpus` is the mean number of CPUs that other
    programs used meanwhile.
    """

    calibration: PodCalibration
    rate: float
    paragraph_rate: float
    other_cpus: float

    @property
    def warnings(self) -> Sequence[str]:
        """Why the calibration should not be used."""
        found = []
        if self.calibration.fit_error > _MAX_ERROR:
            found.append(f"the durations of calls differ from a + b·tokens by {self.calibration.fit_error:.0%} (median)")
        share = self.rate / self.calibration.tokens_per_second
        if abs(share - 1) > _MAX_DEVIATION:
            found.append(f"the batch job had {share:.0%} of the calibration's rate")
        remedy = "measure again on an idle machine, or with a longer --seconds"
        return [f"Warning: {self.label}: {each}: {remedy}." for each in found]

    @property
    def label(self) -> str:
        return f"{self.calibration.precision}-{self.calibration.cpus:g}cpu"


def _measure(model: str, precision: str | None, cpus: int, texts: Path | None, batch_tokens: int, seconds: float) -> _Measured:
    experiment = Experiment.create(BenchModel.find(model, precision), texts, 1)
    paragraphs = experiment.paragraphs(_PARAGRAPHS)
    sequences = list(experiment.model.sequences([paragraph.text for paragraph in paragraphs]))
    batches = sample_batches(sequences, batch_tokens, _CALLS)
    progress(f"{experiment.model.label} on {cpus} CPUs: start the pod")
    others = OtherPrograms()
    with running_pod(experiment.model, [f"--batch-tokens={batch_tokens}"], cpus=first_cpus(cpus)) as pod:
        progress(
            f"  loaded after {pod.load_seconds:.1f} s, ready {pod.warmup_seconds:.1f} s later; {pod.model_calls} calls at once"
        )
        samples = measure_calls(pod.model_server, experiment.model, batches, calls=pod.model_calls, seconds=seconds)
        fitted = CallTime.fit(samples)
        progress(f"  {pod.model_calls} calls at once; a call takes {fitted} ({len(samples)} calls)")
        rate, paragraph_rate = asyncio.run(batch_rates(pod, paragraphs, sum(map(len, sequences)), seconds))
        calibration = _calibration(experiment.model, cpus, batch_tokens, pod, fitted, samples)
        progress(f"  batch job: {rate:.0f} tokens/s, {paragraph_rate:.1f} paragraphs/s")
    return _Measured(calibration, rate, paragraph_rate, others.cpus())


def _calibration(
    model: BenchModel, cpus: int, batch_tokens: int, pod: Pod, fitted: CallTime, samples: Sequence[CallSample]
) -> PodCalibration:
    environment = Environment.read()
    try:
        return PodCalibration(
            machine=CalibratedMachine(cpu=environment.cpu, cores=environment.cores, flags=read_machine().instruction_set.flags),
            model=model.contract.name,
            precision=model.contract.precision,
            cpus=float(cpus),
            seconds_per_call=fitted.seconds_per_call,
            seconds_per_token=fitted.seconds_per_token,
            model_calls=pod.model_calls,
            batch_tokens=batch_tokens,
            load_seconds=pod.load_seconds,
            warmup_seconds=pod.warmup_seconds,
            memory_bytes=sum(map(peak_resident_bytes, pod.pids.values())),
            sample_tokens=tuple(sorted({sample.tokens for sample in samples})),
            fit_error=fitted.error,
        )
    except CalibrationError as error:
        raise BenchError(
            f"the durations of the measured calls do not fit a + b·tokens ({error}): use an idle machine, or increase --seconds"
        ) from None


def _report(found: Sequence[_Measured]) -> Report:
    rows = []
    for one in found:
        known = one.calibration
        rows.append(
            (
                known.precision,
                f"{known.cpus:g}",
                f"{known.model_calls}",
                f"{known.seconds_per_call * 1e3:.2f}",
                f"{known.seconds_per_token * 1e6:.1f}",
                f"{known.fit_error:.1%}",
                f"{known.load_seconds:.1f}",
                f"{known.warmup_seconds:.1f}",
                f"{known.memory_bytes / 2**20:.0f}",
                f"{one.paragraph_rate:.1f}",
                f"{one.rate:.0f}",
                f"{one.rate / known.tokens_per_second:.2f}",
                f"{one.other_cpus:.2f}",
            )
        )
    header = (
        *("precision", "CPUs", "calls at once", "a, ms per call", "b, µs per token", "error of a + b·tokens"),
        *("load s", "warm-up s", "memory MiB", "paragraphs/s", "tokens/s", "tokens/s, relative to the calibration"),
        "CPUs of other programs",
    )
    return Report.new(
        "pod",
        found[0].calibration.model,
        table=Table(header, tuple(rows)),
        samples=[asdict(one) for one in found],
        notes=[note for one in found for note in one.warnings],
    )
