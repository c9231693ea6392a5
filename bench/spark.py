"""How fast Spark works off paragraphs on one core, in five ways.

  row        a user-defined function for each row, which calls synchronously
  semaphore  a pandas function: asyncio with a fixed semaphore, a call for each paragraph, a channel for each batch
  undertone  `predict`, as the job does
  broadcast  the model in each Python worker, loaded from a folder that every executor has; batches of 32 rows
  asyncio    for comparison, `Client.score` alone, without Spark

Each arm runs twice over the same paragraphs, in a session of its own: once to warm up, then to be measured. Memory is the most
that one Python worker had resident.

    .venv/bin/python -m bench.spark --fleet               # the paper's: 90 pods, 0.3 s for a paragraph each
    .venv/bin/python -m bench.spark --model build/models/emotions model/data/demo/*.txt --repeat 4
"""

import argparse
import asyncio
import contextlib
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, pandas_udf, udf  # type: ignore[attr-defined]
from undertone_batch import Service, predict
from undertone_bench.pods import running
from undertone_bench.served import ServedModel
from undertone_client import Client, Failure, Mode, Settings
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from bench import ladder
from tests.integration.spark_parts import python_workers

Arm = Callable[[DataFrame], DataFrame]


@functools.cache
def synchronous(target: str) -> pb_grpc.ClassifierStub:
    """This process's connection."""
    return pb_grpc.ClassifierStub(grpc.insecure_channel(target))


def row(target: str) -> Arm:
    """One synchronous call after the other."""

    @udf("string")
    def label(text: str) -> str:
        return str(synchronous(target).Classify(pb.ClassifyRequest(text=text)).label)

    return lambda paragraphs: paragraphs.select(label("text"))


def semaphore(target: str, calls: int) -> Arm:
    """So many calls at once, of a paragraph each; every Arrow batch waits for its last call before the next begins."""

    async def labels(texts: Sequence[str]) -> list[str]:
        slots = asyncio.Semaphore(calls)
        async with grpc.aio.insecure_channel(target) as channel:
            stub = pb_grpc.ClassifierStub(channel)

            async def one(text: str) -> str:
                async with slots:
                    return str((await stub.Classify(pb.ClassifyRequest(text=text))).label)

            return await asyncio.gather(*(one(text) for text in texts))

    @pandas_udf("string")  # type: ignore[untyped-decorator]
    def label(texts: pd.Series) -> pd.Series:
        return pd.Series(asyncio.run(labels(list(texts))))

    return lambda paragraphs: paragraphs.select(label("text"))


def undertone(service: Service) -> Arm:
    """As the job does."""
    return lambda paragraphs: predict(paragraphs, service)


@functools.cache
def loaded(folder: str) -> tuple[Any, Any, Any]:
    """This process's model: the tokenizer, the graph, and the names of its tensors."""
    import tokenizers  # in the workers of this arm only
    from undertone_dev_server.saved_model import SavedModelLoader

    model = SavedModelLoader(1, 1)(Path(folder))
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding()
    return tokenizer, model, model.signatures["serving_default"]


def broadcast(model: Path) -> Arm:
    """The newest version of the model in the worker."""
    folder = str(max(model.resolve().iterdir(), key=lambda version: int(version.name)))

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np

        tokenizer, model, signature = loaded(folder)
        for batch in batches:
            for start in range(0, len(batch), 32):
                encoded = tokenizer.encode_batch(batch.column("text").slice(start, 32).to_pylist())
                feeds = {
                    signature.inputs["input_ids"].name: np.array([one.ids for one in encoded], np.int32),
                    signature.inputs["attention_mask"].name: np.array([one.attention_mask for one in encoded], np.int32),
                }
                (probabilities,) = model.run([signature.outputs["probabilities"].name], feeds, None)
                yield pa.RecordBatch.from_pydict({"label": probabilities.argmax(axis=1)})

    return lambda paragraphs: paragraphs.select("text").mapInArrow(score, "label long")


@dataclass(frozen=True, slots=True)
class Measured:
    """Paragraphs a second, and the largest worker's bytes."""

    rate: float
    worker_bytes: int


def in_spark(make: Callable[[], Arm], texts: Sequence[str], cores: int) -> Measured:
    """Runs an arm in a session of its own."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    spark = builder.config("spark.log.level", "ERROR").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    try:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 1024)
        rows = pd.DataFrame({"id": range(len(texts)), "text": texts})
        paragraphs = spark.createDataFrame(rows).repartition(cores, col("id")).cache()
        paragraphs.count()
        arm = make()

        def run() -> float:
            began = time.perf_counter()
            arm(paragraphs).write.format("noop").mode("overwrite").save()
            return time.perf_counter() - began

        run()
        return Measured(len(texts) / run(), max(map(most_resident, python_workers(spark))))
    finally:
        spark.stop()


def without_spark(service: Service, texts: Sequence[str]) -> Measured:
    """The client alone, kept for both runs."""

    async def run(client: Client) -> float:
        began = time.perf_counter()
        async with contextlib.aclosing(client.score(texts)) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Failure):
                    raise SystemExit(f"a paragraph failed: {outcome.status.name}: {outcome.reason}")
        return time.perf_counter() - began

    async def main() -> float:
        async with Client(service.target, settings=service.settings) as client:
            await run(client)
            return await run(client)

    return Measured(len(texts) / asyncio.run(main()), most_resident(os.getpid()))


def most_resident(pid: int) -> int:
    """The most bytes that a process ever had in memory."""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@contextlib.contextmanager
def pod(model: Path) -> Iterator[str]:
    """The target of a pod of this model, ready."""
    with running(ServedModel.read(model)) as started:
        yield started.target


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--fleet", action="store_true", help="start a simulated fleet, and use made-up paragraphs")
    served.add_argument("--model", type=Path, help="start a pod with the model in this folder")
    served.add_argument("--target", help="ask a service that is running")
    parser.add_argument("texts", type=Path, nargs="*", help="text files, paragraphs separated by blank lines")
    parser.add_argument("--arms", nargs="+", default=["row", "semaphore", "undertone", "asyncio"], help="which arms to measure")
    parser.add_argument("--repeat", type=int, default=1, help="how many times over the texts are one run (default 1)")
    parser.add_argument("--paragraphs", type=int, default=6000, help="of the fleet's runs (default 6000)")
    parser.add_argument("--row-share", type=float, default=0.01, help="share of them that the arm row is given (default 0.01)")
    parser.add_argument("--semaphore", type=int, default=50, help="calls at once of the arm semaphore (default 50)")
    parser.add_argument("--batch-items", type=int, default=None, help="paragraphs in a call of Undertone's, at most")
    parser.add_argument("--cores", type=int, default=1, help="of Spark's executors (default 1)")
    given = parser.parse_args()
    if given.fleet:
        texts = [ladder.PARAGRAPH] * given.paragraphs
        served_by: Callable[[], contextlib.AbstractContextManager[str]] = ladder.served
        batch_items = given.batch_items or 4  # 32 would keep one of these pods busy for 10 s
    else:
        if not given.texts:
            parser.error("name the files with the texts, such as model/data/demo/*.txt")
        read = "\n\n".join(path.read_text(encoding="utf-8") for path in given.texts)
        texts = [paragraph for paragraph in read.split("\n\n") if paragraph.strip()] * given.repeat
        served_by = functools.partial(pod, given.model)
        if given.target:
            served_by = lambda: contextlib.nullcontext(given.target)  # noqa: E731
        batch_items = given.batch_items or Settings().batch_items
    print(f"{'arm':<11}{'paragraphs':>11}{'a second':>10}{'worker MB':>11}")
    for name in given.arms:
        few = texts[: max(1, round(len(texts) * given.row_share))] if name == "row" else texts
        with contextlib.nullcontext("nobody") if name == "broadcast" else served_by() as target:
            asked = Service(target, Settings(mode=Mode.BATCH, batch_items=batch_items))
            if name == "asyncio":
                measured = without_spark(asked, few)
            else:
                arms: dict[str, Callable[[], Arm]] = {
                    "row": functools.partial(row, target),
                    "semaphore": functools.partial(semaphore, target, given.semaphore),
                    "undertone": functools.partial(undertone, asked),
                    "broadcast": functools.partial(broadcast, given.model),
                }
                measured = in_spark(arms[name], few, given.cores)
        print(f"{name:<11}{len(few):>11}{measured.rate:>10.1f}{measured.worker_bytes / 1e6:>11.0f}", flush=True)


if __name__ == "__main__":
    # Spark's workers import what they are sent by the module's name, which is not __main__ with them.
    from bench import spark

    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    spark.main()
