"""What a paragraph costs the sidecar: CPU time and memory, with a model server that costs nothing."""

import asyncio
import contextlib
import hashlib
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.tokenizer import Tokenizer

from undertone_bench.errors import BenchError
from undertone_bench.report import Figure, Goal, Plot, Report, Series, Table
from undertone_bench.served import ServedModel
from undertone_bench.spread import Spread
from undertone_bench.taking import Taking
from undertone_bench.usage import Usage

_TEXTS: Final = 4096
_WARM: Final = 8192
_STEPS: Final = 10


@dataclass(frozen=True, slots=True)
class _Step:
    """After so many `paragraphs` in all.

    CPU `seconds` of the last `count` of them, which had so many `tokens`; CPU seconds of `tokenizing` one, and nothing else;
    bytes `resident`.
    """

    paragraphs: int
    seconds: float
    count: int
    tokens: int
    tokenizing: float
    resident: int


def sidecar(taking: Taking, *, count: int, batch: int, in_flight: int, profile: Path | None) -> Report:
    """Sends `count` paragraphs in ClassifyBatch calls of `batch`, `in_flight` at once. `profile` is where to put that of the
    sidecar's event loop, which then is slower."""
    texts = [paragraph.text for paragraph in taking.paragraphs(_TEXTS)]
    # As the sidecar does: threads of the tokenizer's own would not be counted.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    steps = []
    with _running(taking, profile) as (pid, target):
        asyncio.run(_send(target, texts, _WARM, batch, in_flight))
        size = max(_TEXTS, count // _STEPS)
        for done in range(size, count + 1, size):
            before = Usage.of(pid)
            tokens = asyncio.run(_send(target, texts, size, batch, in_flight))
            after = Usage.of(pid)
            alone = _tokenizing(taking.model, texts[:1024], batch)
            steps.append(_Step(done, after.seconds - before.seconds, size, tokens, alone, after.resident))
            print(f"{done:8} paragraphs: {_milliseconds(steps[-1]):.3f} ms each, {after.resident / 1e6:.1f} MB", flush=True)
    if profile:
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(35)
    return _report(taking, steps, batch)


@contextlib.contextmanager
def _running(taking: Taking, profile: Path | None) -> Iterator[tuple[int, str]]:
    """The sidecar's process and address."""
    base = str(taking.model.base)
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as folder, contextlib.ExitStack() as stack:
        socket, log = f"{folder}/model.sock", Path(folder, "sidecar.log")
        server = subprocess.Popen([sys.executable, "-m", "undertone_bench.free_server", base, socket])
        stack.callback(_stop, server)
        flags = [f"--model-dir={base}", f"--model-server=unix:{socket}", "--port=0", "--metrics-port=0", "--log-format=json"]
        program = ["undertone_bench.profiled", str(profile)] if profile else ["undertone_sidecar"]
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", *program, *flags, *taking.flags], stderr=output, stdout=output)
        stack.callback(_stop, process)
        yield process.pid, _ready(log, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)


def _ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The sidecar's target, once it is ready. Raises BenchError with its log if it ends."""
    while '"ready"' not in (text := log.read_text(encoding="utf-8")):
        if process.poll() is not None:
            raise BenchError(f"the sidecar ended:\n{text}")
        time.sleep(0.05)
    port = next(json.loads(line)["port"] for line in text.splitlines() if '"listening"' in line)
    return f"localhost:{port}"


async def _send(target: str, texts: Sequence[str], total: int, size: int, in_flight: int) -> int:
    """Returns how many tokens they had. Raises BenchError if one fails."""
    starts = iter(range(0, total, size))
    tokens: list[int] = []
    async with grpc.aio.insecure_channel(target) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)

        async def caller() -> None:
            for start in starts:
                request = classifier_pb2.ClassifyBatchRequest()
                for number in range(start, min(start + size, total)):
                    request.paragraphs.add(text=texts[number % len(texts)], id=str(number))
                reply = await stub.ClassifyBatch(request, wait_for_ready=True)
                errors = [result.error.message for result in reply.results if result.HasField("error")]
                if errors:
                    raise BenchError(f"a paragraph failed: {errors[0]}")
                tokens.append(sum(result.classification.tokens for result in reply.results))

        await asyncio.gather(*(caller() for _ in range(in_flight)))
    return sum(tokens)


def _tokenizing(model: ServedModel, texts: Sequence[str], size: int) -> float:
    """CPU seconds of tokenizing alone, for each paragraph, once their words are known."""
    path = model.folder / "tokenizer.json"
    with ThreadPoolExecutor(1) as pool:
        tokenizer = Tokenizer.read(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), executor=pool)

        async def all_texts() -> float:
            loop = asyncio.get_running_loop()
            await tokenizer.encode(texts)
            before = await loop.run_in_executor(pool, time.thread_time)
            for start in range(0, len(texts), size):
                await tokenizer.encode(texts[start : start + size])
            return await loop.run_in_executor(pool, time.thread_time) - before

        return asyncio.run(all_texts()) / len(texts)


def _milliseconds(step: _Step) -> float:
    return step.seconds / step.count * 1e3


def _report(taking: Taking, steps: Sequence[_Step], batch: int) -> Report:
    growth = steps[-1].resident - steps[len(steps) // 2].resident
    figures = [
        Figure(f"CPU ms a paragraph, in batches of {batch}", Spread.of(map(_milliseconds, steps)), ".3f", Goal("at most", 0.4)),
        Figure("of which tokenizing, ms", Spread.of(step.tokenizing * 1e3 for step in steps), ".3f"),
        Figure("CPU µs a token", Spread.of(step.seconds / step.tokens * 1e6 for step in steps), ".2f"),
        Figure("MB resident", Spread.of(step.resident / 1e6 for step in steps), ".1f"),
        Figure("MB more at the end than halfway", Spread.of([growth / 1e6]), ".1f"),
    ]
    return taking.report(
        "sidecar",
        table=Table(
            ("paragraphs", "CPU ms a paragraph", "tokenizing", "MB resident"),
            tuple(
                (
                    f"{step.paragraphs}",
                    f"{_milliseconds(step):.3f}",
                    f"{step.tokenizing * 1e3:.3f}",
                    f"{step.resident / 1e6:.1f}",
                )
                for step in steps
            ),
        ),
        figures=figures,
        plot=Plot(
            "The sidecar's memory",
            "paragraphs",
            "MB resident",
            (Series("resident", tuple(float(s.paragraphs) for s in steps), tuple(s.resident / 1e6 for s in steps)),),
        ),
        raw=steps,
    )
