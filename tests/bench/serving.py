"""How much of the model server's speed reaches the caller.

Scores the same paragraphs several times, in turn: end to end (client, sidecar, model server), and by sending the very Predict
requests of an end-to-end run straight to the model server, one after the other. Prints paragraphs a second for both, and their
ratio: medians over the rounds, with the spread.

    .venv/bin/python tests/bench/serving.py build/models/emotions model/data/demo/*.txt --repeat 4
"""

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_client import Client, Failure
from undertone_protos.tf_serving import PREDICT


@dataclass(slots=True)
class Recorder(grpc.GenericRpcHandler):
    """A model server that passes every call on to the true one, and keeps the bytes of Predict requests."""

    channel: grpc.aio.Channel
    predicts: list[bytes] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method

        async def forward(request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
            if method == PREDICT:
                self.predicts.append(request)
            return bytes(await self.channel.unary_unary(method)(request))

        return grpc.unary_unary_rpc_method_handler(forward)


@contextlib.contextmanager
def process(*command: str) -> Iterator[None]:
    """Runs a program beside this interpreter until the block ends."""
    running = subprocess.Popen([Path(sys.executable).with_name(command[0]), *command[1:]], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(60)


async def serving(target: str) -> None:
    """Waits, two minutes at most, until the health service at `target` says SERVING."""
    async with asyncio.timeout(120), grpc.aio.insecure_channel(target) as channel:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
                if reply.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            await asyncio.sleep(0.1)


async def end_to_end(target: str, paragraphs: Sequence[str]) -> float:
    """Seconds to score all paragraphs through the service at `target`."""
    async with Client(target) as client:
        started = time.perf_counter()
        async for outcome in client.score(paragraphs):
            if isinstance(outcome, Failure):
                raise SystemExit(f"a paragraph failed: {outcome.status}")
        return time.perf_counter() - started


async def replay(channel: grpc.aio.Channel, requests: Sequence[bytes]) -> float:
    """Seconds for the model server alone to answer all requests, one after the other."""
    call = channel.unary_unary(PREDICT)
    started = time.perf_counter()
    for request in requests:
        await call(request)
    return time.perf_counter() - started


@contextlib.asynccontextmanager
async def recording(socket: str, channel: grpc.aio.Channel) -> AsyncIterator[Recorder]:
    """A Recorder that listens on the Unix socket `socket`."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    recorder = Recorder(channel)
    server.add_generic_rpc_handlers([recorder])
    server.add_insecure_port(f"unix://{socket}")
    await server.start()
    try:
        yield recorder
    finally:
        await server.stop(None)


async def run(model: Path, paragraphs: Sequence[str], rounds: int, port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth, between = f"{folder}/model.sock", f"{folder}/recorder.sock"
        serve = (f"--model_name={model.name}", f"--model_base_path={model}", f"--grpc_socket_path={truth}", "--port=0")
        sidecar = ("undertone-sidecar", f"--model-dir={model}", "--metrics-port=0")
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with process("undertone-model-server", *serve):
            async with grpc.aio.insecure_channel(f"unix://{truth}", options=options) as channel:
                with process(*sidecar, f"--model-server=unix://{truth}", f"--port={port}"):
                    await serving(f"localhost:{port}")
                    async with recording(between, channel) as recorder:
                        with process(*sidecar, f"--model-server=unix://{between}", f"--port={port + 1}"):
                            await serving(f"localhost:{port + 1}")
                            await end_to_end(f"localhost:{port + 1}", paragraphs)
                            recorder.predicts.clear()  # warm-up and the first run, whose shapes are new
                            await end_to_end(f"localhost:{port + 1}", paragraphs)
                            requests = list(recorder.predicts)
                    whole, alone = [], []
                    for number in range(rounds):
                        whole.append(len(paragraphs) / await end_to_end(f"localhost:{port}", paragraphs))
                        alone.append(len(paragraphs) / await replay(channel, requests))
                        print(
                            f"round {number + 1}: end to end {whole[-1]:.1f}/s, model server alone {alone[-1]:.1f}/s",
                            flush=True,
                        )
    ratios = [one / other for one, other in zip(whole, alone, strict=True)]
    print(f"{len(paragraphs)} paragraphs in {len(requests)} Predict calls; medians of {rounds} rounds (least to most)")
    for name, values in (("end to end", whole), ("model server alone", alone)):
        print(f"{name:20} {statistics.median(values):8.1f} paragraphs/s ({min(values):.1f} to {max(values):.1f})")
    print(f"{'ratio':20} {statistics.median(ratios):8.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model's folder, which holds its version folders")
    parser.add_argument("texts", type=Path, nargs="+", help="text files, paragraphs separated by blank lines")
    parser.add_argument("--repeat", type=int, default=1, help="how many times over the texts are one run (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are measured (default: 5)")
    parser.add_argument("--port", type=int, default=50151, help="first of two free ports (default: 50151)")
    given = parser.parse_args()
    texts = "\n\n".join(path.read_text(encoding="utf-8") for path in given.texts)
    paragraphs = [paragraph for paragraph in texts.split("\n\n") if paragraph.strip()] * given.repeat
    asyncio.run(run(given.model.resolve(), paragraphs, given.rounds, given.port))


if __name__ == "__main__":
    main()
