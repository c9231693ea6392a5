"""Scores a pandas DataFrame with a client for one call."""

from collections.abc import Hashable
from typing import TYPE_CHECKING

from undertone_client.settings import DEFAULT_TARGET, Settings
from undertone_client.sync.client import Client
from undertone_client.sync.frame_scores import OnError, Progress
from undertone_client.values import Policy

if TYPE_CHECKING:
    import pandas as pd


def score_frame(
    frame: "pd.DataFrame",
    text: Hashable = "text",
    *,
    target: str = DEFAULT_TARGET,
    settings: Settings | None = None,
    id: Hashable | None = None,  # noqa: A002 - the usual name
    policy: Policy = Policy.CHUNK_MEAN,
    prefix: str = "",
    on_error: OnError = "column",
    progress: Progress | None = None,
) -> "pd.DataFrame":
    """Score a column of texts with a client for this call only.

    Use `Client.score_frame` for several frames: a client remembers the concurrency that the service
    can handle.

    Args:
        frame, text, id, policy, prefix, on_error, progress: see `Client.score_frame`, which also
            describes the result and the errors.
        target, settings: see `Client`.
    """
    with Client(target, settings=settings) as client:
        return client.score_frame(frame, text, id=id, policy=policy, prefix=prefix, on_error=on_error, progress=progress)
