"""Run as `python fake_tf_serving.py ADDRESS NAME`: a fake TF Serving that has version 1 of the model NAME, until it is stopped.

A program of its own, so that it can be paused, and computes beside the tests rather than in between them.
"""

import asyncio
import sys

from undertone_sidecar.testing import FakeTFServing


async def serve(address: str, name: str) -> None:
    await FakeTFServing(name, 1).start(address)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
