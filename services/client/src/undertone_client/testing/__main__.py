"""`python -m undertone_client.testing` runs the fake service as a process and prints its port."""

import argparse
import asyncio
import math
import signal
from collections.abc import Callable
from typing import TypeVar

from undertone_client.testing.classifier import EMOTIONS, FakeClassifier

Number = TypeVar("Number", int, float)


async def serve(port: int, delay_seconds: float, version: int, threshold: float | None) -> None:
    """Print the port and serve until SIGTERM or SIGINT. A threshold makes the model multi-label."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    thresholds = () if threshold is None else (threshold,) * len(EMOTIONS)
    async with FakeClassifier(port=port, delay_seconds=delay_seconds, version=version, thresholds=thresholds) as service:
        print(service.port, flush=True)
        await stopped.wait()


def between(minimum: Number, maximum: float, convert: Callable[[str], Number]) -> Callable[[str], Number]:
    """An argument type for argparse: a number from `minimum` to `maximum`."""

    def parse(text: str) -> Number:
        value = convert(text)
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"{text} is not between {minimum} and {maximum}")
        return value

    return parse


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m undertone_client.testing", description=__doc__)
    parser.add_argument("--port", type=between(0, 65535, int), default=0, help="Port. 0 chooses a free one.")
    parser.add_argument("--delay", type=between(0.0, math.inf, float), default=0.0, help="Seconds before each reply.")
    parser.add_argument("--model-version", type=between(1, math.inf, int), default=1, help="Model version in replies.")
    parser.add_argument("--threshold", type=between(0.0, 1.0, float), help="Reply as a multi-label model with this threshold.")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.delay, arguments.model_version, arguments.threshold))


if __name__ == "__main__":
    main()
