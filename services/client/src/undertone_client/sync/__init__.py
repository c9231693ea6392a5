"""The synchronous client, for programs and notebooks without asyncio.

`score_frame` scores a column of a pandas DataFrame. It needs the extra `undertone-client[pandas]`.
"""

from undertone_client.sync.client import Client
from undertone_client.sync.frame import score_frame

__all__ = ["Client", "score_frame"]
