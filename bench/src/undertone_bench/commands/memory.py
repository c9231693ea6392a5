"""Memory of the model server beside the estimate of the sidecar."""

from typing import Final

import click
from undertone_sidecar.cpu import ThreadSettings, plan_threads, read_machine
from undertone_sidecar.memory import SERVER_BYTES, estimate_memory

from undertone_bench.errors import BenchError
from undertone_bench.inference_worker import InferenceWorker
from undertone_bench.models import Batch, BenchModel
from undertone_bench.options import count_option, model_option, precision_option, progress, reporting
from undertone_bench.report import Report, Table

LENGTHS: Final = (16, 128, 512, 1024, 2048, 4096, 8192)

_ROUNDS: Final = 3
"""Calls of a shape, for each concurrent call."""


@click.command(
    epilog="""\b
Examples:
  undertone-bench memory
  undertone-bench memory --model bert-base --batch-tokens 4096"""
)
@model_option
@precision_option
@count_option("--batch-tokens", default=2048, help_text="Maximum tokens of a batch.", least=16)
@reporting
def memory(model: str, precision: str | None, batch_tokens: int) -> Report:
    """Compare the memory of the model server with the estimate of the sidecar.

    Full batches of ascending lengths run with as many concurrent calls as in a pod. The estimate of
    a length is that of a model with this maximum length. Both exclude an empty model server.
    """
    served = BenchModel.find(model, precision)
    calls = plan_threads(read_machine(), ThreadSettings()).model_calls
    rows = []
    with InferenceWorker(served.folder) as worker:
        for length in sorted({min(length, served.contract.max_tokens) for length in LENGTHS}):
            estimate = estimate_memory(
                served.contract.architecture,
                precision=served.contract.precision,
                max_tokens=length,
                batch_tokens=batch_tokens,
                calls=calls,
            )
            if estimate is None:
                raise BenchError(f"{served.folder}: contract.json does not describe the architecture: export the model again")
            shape = max(1, batch_tokens // length), length
            progress(f"{shape[0]} × {length} tokens")
            measured = worker.memory_growth([Batch.ones(*shape)] * (_ROUNDS * calls))
            estimated = estimate.total - SERVER_BYTES
            cells = (f"{shape[0]} × {length}", f"{calls}", f"{measured / 2**20:.0f}", f"{estimated / 2**20:.0f}")
            rows.append((*cells, f"{estimated / measured:.2f}"))
    header = ("rows × tokens", "calls at once", "measured, MiB", "estimated, MiB", "ratio")
    return Report.new("memory", served.label, table=Table(header, tuple(rows)))
