"""What a paragraph costs the sidecar: CPU milliseconds and memory, with a model server that costs nothing.

Starts `undertone-sidecar` and, in a process of its own, the fake TF Serving of `undertone_sidecar.testing`; sends paragraphs in
batches and reads the sidecar's CPU time and memory from the kernel. Paragraphs are made of the story paragraphs' words, as long
as those of a library are: log-normal with the published quantiles (p50 91, p95 340, mean 125, at most 1031 tokens).

    .venv/bin/python tests/bench/sidecar_cpu.py build/models/emotions
    .venv/bin/python tests/bench/sidecar_cpu.py build/models/emotions --paragraphs 200000   # is the memory flat?
    .venv/bin/python tests/bench/sidecar_cpu.py build/models/emotions --profile profile.pstats
"""

import argparse
import asyncio
import cProfile
import hashlib
import json
import math
import os
import pstats
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.__main__ import main as sidecar
from undertone_sidecar.testing import FakeTFServing
from undertone_sidecar.tokenizer import Tokenizer

TOKENS_PER_WORD: Final = 1.3
MEDIAN_TOKENS: Final = 91
SIGMA: Final = math.log(340 / MEDIAN_TOKENS) / 1.645
LONGEST_TOKENS: Final = 1031
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start, and bytes resident now, of a process."""

    seconds: float
    resident: int

    @classmethod
    def of(cls, pid: int) -> "Usage":
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        found = re.search(r"^VmRSS:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return cls((int(fields[11]) + int(fields[12])) / TICKS, int(found[1]) * 1024 if found else 0)


def paragraphs(folder: Path, count: int) -> list[str]:
    """Different texts of natural words in natural order, and of the published lengths."""
    choose = random.Random(7)
    stories = (json.loads(line)["text"] for path in sorted(folder.glob("*.jsonl")) for line in path.open(encoding="utf-8"))
    words = " ".join(stories).split()
    texts = []
    for _ in range(count):
        tokens = min(LONGEST_TOKENS, max(4, choose.lognormvariate(math.log(MEDIAN_TOKENS), SIGMA)))
        start = choose.randrange(len(words) - LONGEST_TOKENS)
        texts.append(" ".join(words[start : start + round(tokens / TOKENS_PER_WORD)]))
    return texts


def serve(model: Path, socket: str) -> None:
    """The model server's process: until it is ended."""
    versions = [int(path.name) for path in model.iterdir() if path.name.isdigit()]
    labels = json.loads((model / str(max(versions)) / "contract.json").read_text(encoding="utf-8"))["labels"]

    async def serving() -> None:
        await FakeTFServing(model.name, *versions, labels=len(labels)).start(f"unix:{socket}")
        await asyncio.Event().wait()

    asyncio.run(serving())


async def send(target: str, texts: Sequence[str], total: int, size: int, in_flight: int) -> int:
    """Sends `total` paragraphs in batches of `size`, `in_flight` at once; returns how many tokens they had."""
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
                    raise SystemExit(f"a paragraph failed: {errors[0]}")
                tokens.append(sum(result.classification.tokens for result in reply.results))

        await asyncio.gather(*(caller() for _ in range(in_flight)))
    return sum(tokens)


def tokenizing(model: Path, texts: Sequence[str], size: int) -> float:
    """CPU seconds of tokenizing alone, for each paragraph: the part of the cost that is not the sidecar's own."""
    path = max(model.glob("*/tokenizer.json"))
    with ThreadPoolExecutor(1) as pool:
        tokenizer = Tokenizer.read(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), executor=pool)

        async def all_texts() -> float:
            loop = asyncio.get_running_loop()
            before = await loop.run_in_executor(pool, time.thread_time)
            for start in range(0, len(texts), size):
                await tokenizer.encode(texts[start : start + size])
            return await loop.run_in_executor(pool, time.thread_time) - before

        return asyncio.run(all_texts()) / len(texts)


def ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The sidecar's target, once it is ready."""
    while '"ready"' not in (text := log.read_text(encoding="utf-8")):
        if process.poll() is not None:
            raise SystemExit(text)
        time.sleep(0.05)
    port = next(json.loads(line)["port"] for line in text.splitlines() if '"listening"' in line)
    return f"localhost:{port}"


def run(given: argparse.Namespace) -> None:
    texts = paragraphs(given.stories, 4096)
    with tempfile.TemporaryDirectory() as folder:
        socket, log = f"{folder}/model.sock", Path(folder, "sidecar.log")
        command = [sys.executable, __file__, str(given.model)]
        flags = [f"--model-dir={given.model}", f"--model-server=unix:{socket}", "--port=0", "--metrics-port=0"]
        profile = ["--profile", str(given.profile)] if given.profile else []
        server = subprocess.Popen([*command, "--serve", socket])
        with log.open("wb") as output:
            flags = [*profile, "--sidecar", *flags, "--log-format=json", *given.flag]
            process = subprocess.Popen([*command, *flags], stderr=output, stdout=output)
        try:
            target = ready(log, process)
            asyncio.run(send(target, texts, 2048, given.batch, given.in_flight))
            print(f"{'paragraphs':>10} {'CPU ms each':>12} {'tokenizing':>11} {'us/token':>9} {'resident MB':>12}", flush=True)
            done, step = 0, min(given.paragraphs, max(4096, given.paragraphs // 10))
            while done < given.paragraphs:
                before = Usage.of(process.pid)
                tokens = asyncio.run(send(target, texts, step, given.batch, given.in_flight))
                after = Usage.of(process.pid)
                done += step
                spent = after.seconds - before.seconds
                alone = tokenizing(given.model, texts[:1024], given.batch)
                figures = (
                    f"{spent / step * 1e3:12.3f} {alone * 1e3:11.3f} {spent / tokens * 1e6:9.2f} {after.resident / 1e6:12.1f}"
                )
                print(f"{done:10} {figures}", flush=True)
        finally:
            for running in (process, server):
                running.terminate()
                running.wait(60)
    if given.profile:
        pstats.Stats(str(given.profile)).sort_stats("tottime").print_stats(35)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model's folder, which holds its version folders")
    parser.add_argument("--paragraphs", type=int, default=8192, help="how many are measured (default: 8192)")
    parser.add_argument("--batch", type=int, default=32, help="paragraphs in a ClassifyBatch (default: 32)")
    parser.add_argument("--in-flight", type=int, default=8, help="ClassifyBatch calls at once (default: 8)")
    parser.add_argument("--stories", type=Path, default=Path("model/data/stories"), help="folder of JSONL files with texts")
    parser.add_argument("--profile", type=Path, help="where to put the profile of the sidecar's event loop")
    parser.add_argument("--flag", action="append", default=[], help="a flag more for the sidecar; may be repeated")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--sidecar", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.model, given.serve)
    elif given.sidecar and given.profile:
        profile = cProfile.Profile()
        profile.runcall(sidecar, given.sidecar)
        profile.dump_stats(given.profile)
    elif given.sidecar:
        sidecar(given.sidecar)
    else:
        run(given)


if __name__ == "__main__":
    main()
