"""A fake of TF Serving as a process, which can be paused and has an event loop of its own.

python -m undertone_bench.fake_model_server ADDRESS MODEL [--version N] [--labels N]
    [--multi-label] [--seconds S] [--token-seconds S] [--load-seconds S] [--ignore-signals]
    [--replaced-label N]
"""

import argparse
import asyncio
import signal

import numpy as np
from undertone_sidecar.backend import Scores
from undertone_sidecar.testing import FakeTFServing


async def serve(options: argparse.Namespace) -> None:
    """Serve one version of the model until the process ends."""
    await asyncio.sleep(options.load_seconds)
    serving = FakeTFServing(options.model, options.version, labels=options.labels, multi_label=options.multi_label)
    serving.seconds, serving.seconds_per_token = options.seconds, options.token_seconds
    if options.replaced_label is not None:
        serving.changes = lambda scores: replace_label(scores, options.replaced_label)
    await serving.start(options.address)
    await asyncio.Event().wait()


def replace_label(scores: Scores, label: int) -> Scores:
    """The scores. Where `label` is the most probable label, the next label is it instead."""
    replaced = scores.argmax(axis=1, keepdims=True) == label
    return np.where(replaced, np.roll(scores, 1, axis=1), scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="HOST:PORT or unix:PATH")
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--version", type=int, default=1, help="version of the model (default: 1)")
    parser.add_argument("--labels", type=int, default=9, help="number of labels (default: 9)")
    parser.add_argument("--multi-label", action="store_true", help="independent probabilities (sigmoid)")
    parser.add_argument("--seconds", type=float, default=0.0, help="duration of a Predict call (default: 0)")
    parser.add_argument("--token-seconds", type=float, default=0.0, help="further seconds for each padded token (default: 0)")
    parser.add_argument("--load-seconds", type=float, default=0.0, help="time until the server listens (default: 0)")
    parser.add_argument("--ignore-signals", action="store_true", help="ignore SIGTERM and SIGINT, as TF Serving does")
    parser.add_argument(
        "--replaced-label", type=int, metavar="N", help="number of a label in whose place the next one is most probable"
    )
    options = parser.parse_args()
    if options.ignore_signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
