"""Run as `python fake_tf_serving.py ADDRESS NAME`: a fake TF Serving that has version 1 of the
model NAME, until it is stopped.

A separate program can be paused, and does not share the event loop of the tests.
"""

import asyncio
import sys

from undertone_sidecar.testing import FakeTFServing


async def serve(address: str, name: str) -> None:
    await FakeTFServing(name, 1).start(address)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
