"""Throughput of several ways to score paragraphs in Spark, on one core of executors by default."""

import asyncio
import contextlib
import functools
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import grpc
from undertone_client import Client, Mode, Settings
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc
from undertone_telemetry.options import refuse_unused

from undertone_bench.commands.client_throughput import BATCH_ITEMS, FLEET_FLAGS, PARAGRAPH
from undertone_bench.models import BenchModel
from undertone_bench.options import (
    FiniteRange,
    Target,
    count_option,
    demo_texts_option,
    model_option,
    progress,
    read_texts,
    repeat_option,
    reporting,
)
from undertone_bench.pods import running_pod
from undertone_bench.processes import child_processes, peak_resident_bytes
from undertone_bench.report import Report, Table
from undertone_bench.simulated_fleet import running_fleet
from undertone_bench.variants import raise_on_failure

# The command starts without Spark and pandas; the functions that run in Spark import them.
if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

VARIANTS: Final = ("row", "semaphore", "undertone", "broadcast", "asyncio")

_ARROW_ROWS: Final = 1024
_BROADCAST_ROWS: Final = 32

ScoreFrame = Callable[["DataFrame"], "DataFrame"]


@dataclass(frozen=True, slots=True)
class _Result:
    """The second run of a variant. `worker_bytes` is the peak of the largest Python worker."""

    variant: str
    paragraphs: int
    rate: float
    worker_bytes: int


@click.command(
    epilog="""\b
Variants:
  row        a user-defined function per row with one synchronous call after the other
  semaphore  a pandas function: asyncio, one call per paragraph, a semaphore, a channel per batch
  undertone  undertone_batch.predict, as in the Spark job
  broadcast  the model in each Python worker, in batches of 32 rows; not with --fleet or --target
  asyncio    Client.score without Spark, for comparison

\b
Examples:
  undertone-bench spark --fleet
  undertone-bench spark --fleet --paragraphs 9000 --variants undertone,asyncio
  undertone-bench spark --model demo --repeat 4 --variants broadcast,undertone"""
)
@click.option("--fleet", is_flag=True, help="Use the simulated fleet of `client-throughput` and its paragraphs.")
@model_option
@click.option("--target", type=Target(), help="Use a running service instead of a pod of --model.")
@demo_texts_option
@repeat_option(1)
@count_option("--paragraphs", default=6000, help_text="Number of paragraphs with --fleet.")
@click.option(
    "--variants", "names", default="row,semaphore,undertone,asyncio", show_default=True, help="Variants, separated by commas."
)
@click.option(
    "--row-share",
    default=0.01,
    show_default=True,
    type=FiniteRange(0, 1, min_open=True),
    help="Share of the paragraphs for the slow variant row.",
)
@count_option("--semaphore", "permits", default=50, help_text="Permits of the variant semaphore.")
@click.option(
    "--batch-items", type=click.IntRange(1), help="Paragraphs per call of the client. Default: the client's; 4 with --fleet."
)
@count_option("--cores", default=1, help_text="Cores of Spark's executors.")
@reporting
def spark(
    fleet: bool,
    model: str,
    target: str | None,
    texts: Sequence[Path],
    repeat: int,
    paragraphs: int,
    names: str,
    row_share: float,
    permits: int,
    batch_items: int | None,
    cores: int,
) -> Report:
    """Compare ways to score paragraphs in Spark.

    Each variant runs twice over the same paragraphs in a separate Spark session; the second run
    is measured. Memory is the peak of the largest Python worker.
    """
    from undertone_batch import Service

    variants = names.split(",")
    if unknown := set(variants) - set(VARIANTS):
        raise click.UsageError(f"--variants '{', '.join(sorted(unknown))}' is invalid: use {', '.join(VARIANTS)}")
    if "broadcast" in variants and (fleet or target):
        raise click.UsageError("the variant broadcast needs --model, without --fleet and --target")
    if fleet:
        refuse_unused("has no effect with --fleet: omit one of them", "model", "target", "texts", "repeat")
    else:
        refuse_unused("needs --fleet: add it, or omit the option and use --repeat", "paragraphs")
    if target is not None:
        refuse_unused("has no effect with --target, a service that is running: omit one of them", "model")
    all_texts = [PARAGRAPH] * paragraphs if fleet else read_texts(texts, repeat)
    items = batch_items or (BATCH_ITEMS if fleet else Settings().batch_items)
    results = []
    for name in variants:
        sent = all_texts[: max(1, round(len(all_texts) * row_share))] if name == "row" else all_texts
        with _service(name, fleet=fleet, model=model, target=target) as address:
            service = functools.partial(Service, address, Settings(mode=Mode.BATCH, batch_items=items))
            match name:
                case "asyncio":
                    result = _without_spark(name, service(), sent)
                case "row":
                    result = _in_spark(name, functools.partial(_row, address), sent, cores)
                case "semaphore":
                    result = _in_spark(name, functools.partial(_semaphore, address, permits), sent, cores)
                case "broadcast":
                    result = _in_spark(name, functools.partial(_broadcast, model), sent, cores)
                case _:
                    result = _in_spark(name, functools.partial(_undertone, service()), sent, cores)
        progress(f"{name}: {result.rate:.1f} paragraphs/s")
        results.append(result)
    rows = tuple((one.variant, f"{one.paragraphs}", f"{one.rate:.1f}", f"{one.worker_bytes / 1e6:.0f}") for one in results)
    return Report.new(
        "spark",
        "simulated-fleet" if fleet else "service",
        table=Table(("variant", "paragraphs", "paragraphs/s", "worker MB"), rows),
        samples=map(asdict, results),
    )


@contextlib.contextmanager
def _service(variant: str, *, fleet: bool, model: str, target: str | None) -> Iterator[str]:
    """The address of the service; the variant broadcast has none."""
    if variant == "broadcast":
        yield ""
    elif target:
        yield target
    elif fleet:
        with running_fleet(FLEET_FLAGS) as address:
            yield address
    else:
        with running_pod(BenchModel.find(model)) as pod:
            yield pod.target


@functools.cache
def _stub(target: str) -> pb_grpc.ClassifierStub:
    """The synchronous connection of this Python worker."""
    return pb_grpc.ClassifierStub(grpc.insecure_channel(target))


def _row(target: str) -> ScoreFrame:
    from pyspark.sql.functions import udf

    @udf("string")
    def label(text: str) -> str:
        return str(_stub(target).Classify(pb.ClassifyRequest(text=text)).label)

    return lambda paragraphs: paragraphs.select(label("text"))


def _semaphore(target: str, permits: int) -> ScoreFrame:
    import pandas as pd
    from pyspark.sql.functions import pandas_udf  # type: ignore[attr-defined]

    async def labels(texts: Sequence[str]) -> list[str]:
        semaphore = asyncio.Semaphore(permits)
        async with grpc.aio.insecure_channel(target) as channel:
            stub = pb_grpc.ClassifierStub(channel)

            async def classify(text: str) -> str:
                async with semaphore:
                    return str((await stub.Classify(pb.ClassifyRequest(text=text))).label)

            return await asyncio.gather(*(classify(text) for text in texts))

    @pandas_udf("string")  # type: ignore[untyped-decorator]
    def label(texts: pd.Series) -> pd.Series:
        return pd.Series(asyncio.run(labels(list(texts))))

    return lambda paragraphs: paragraphs.select(label("text"))


def _undertone(service: Any) -> ScoreFrame:
    from undertone_batch import predict

    return lambda paragraphs: predict(paragraphs, service)


@functools.cache
def _load_model(folder: str) -> tuple[Any, Any, Any]:
    """The tokenizer, the graph and the signature of this Python worker."""
    import tokenizers
    from undertone_dev_server.saved_model import SavedModelLoader

    model = SavedModelLoader(1, 1)(Path(folder))
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding()
    return tokenizer, model, model.signatures["serving_default"]


def _broadcast(model: str) -> ScoreFrame:
    folder = str(BenchModel.find(model).folder)

    def score(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import numpy as np
        import pyarrow as pa

        tokenizer, graph, signature = _load_model(folder)
        for batch in batches:
            for start in range(0, len(batch), _BROADCAST_ROWS):
                encoded = tokenizer.encode_batch(batch.column("text").slice(start, _BROADCAST_ROWS).to_pylist())
                feeds = {
                    signature.inputs["input_ids"].name: np.array([one.ids for one in encoded], np.int32),
                    signature.inputs["attention_mask"].name: np.array([one.attention_mask for one in encoded], np.int32),
                }
                (probabilities,) = graph.run([signature.outputs["probabilities"].name], feeds, None)
                yield pa.RecordBatch.from_pydict({"label": probabilities.argmax(axis=1)})

    return lambda paragraphs: paragraphs.select("text").mapInArrow(score, "label long")


def _in_spark(name: str, make: Callable[[], ScoreFrame], texts: Sequence[str], cores: int) -> _Result:
    import pandas as pd
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = builder.config("spark.log.level", "ERROR").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    try:
        session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", _ARROW_ROWS)
        rows = pd.DataFrame({"id": range(len(texts)), "text": texts})
        paragraphs = session.createDataFrame(rows).repartition(cores, col("id")).cache()
        paragraphs.count()
        score = make()

        def run() -> float:
            started = time.perf_counter()
            score(paragraphs).write.format("noop").mode("overwrite").save()
            return time.perf_counter() - started

        run()
        rate = len(texts) / run()
        return _Result(name, len(texts), rate, max(map(peak_resident_bytes, python_workers(session))))
    finally:
        session.stop()


def python_workers(session: "SparkSession") -> list[int]:
    """Process ids of the session's Python workers. Java starts a daemon, which forks them."""
    gateway = session.sparkContext._gateway
    assert gateway is not None
    return [worker for daemon in child_processes(gateway.proc.pid) for worker in child_processes(daemon)]


def _without_spark(name: str, service: Any, texts: Sequence[str]) -> _Result:
    async def run(client: Client) -> float:
        started = time.perf_counter()
        outcomes: AsyncIterator[object]
        async with contextlib.aclosing(client.score(texts)) as outcomes:
            async for outcome in outcomes:
                raise_on_failure(outcome)
        return time.perf_counter() - started

    async def main() -> float:
        async with Client(service.target, settings=service.settings) as client:
            await run(client)
            return await run(client)

    return _Result(name, len(texts), len(texts) / asyncio.run(main()), peak_resident_bytes(os.getpid()))
