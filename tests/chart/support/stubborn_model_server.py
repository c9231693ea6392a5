"""A fake model server that ignores SIGTERM and SIGINT, as TF Serving does.

usage: stubborn_model_server.py NAME SOCKET
"""

import asyncio
import signal
import sys

from undertone_sidecar.testing.tf_serving import FakeTFServing


async def serve(name: str, socket: str) -> None:
    """Serves until the process is killed."""
    await FakeTFServing(name, 1).start(f"unix:{socket}")
    await asyncio.Event().wait()


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
asyncio.run(serve(*sys.argv[1:]))
