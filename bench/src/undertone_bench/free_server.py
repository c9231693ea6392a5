"""A model server that costs nothing, as a process: what is left is the sidecar's own work.

python -m undertone_bench.free_server MODEL_FOLDER SOCKET
"""

import asyncio
import sys
from pathlib import Path

from undertone_sidecar.testing import FakeTFServing

from undertone_bench.served import ServedModel


async def serve(model: ServedModel, socket: str) -> None:
    """Until the process is ended."""
    await FakeTFServing(model.base.name, model.contract.version, labels=len(model.contract.labels)).start(f"unix:{socket}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(ServedModel.read(Path(sys.argv[1])), sys.argv[2]))
