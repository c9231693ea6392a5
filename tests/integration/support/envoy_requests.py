"""Raw requests to Envoy, and a check of whether they reach a pod."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from undertone_protos.v1 import classifier_pb2

from tests.integration.support.envoy import Envoy
from tests.integration.support.http2 import Headers, Http2Connection, Reply, grpc_frame

JSON_CLASSIFY: Final = "/v1/paragraphs:classify"
JSON_BATCH: Final = "/v1/paragraphs:classifyBatch"
MODEL: Final = "/v1/model"

MESSAGE: Final = classifier_pb2.ClassifyRequest(text="the rain").SerializeToString()
FRAME: Final = grpc_frame(MESSAGE)
JSON: Final = b'{"text": "the rain"}'

INVALID_ARGUMENT: Final = 3
UNIMPLEMENTED: Final = 12


def exchange(envoy: Envoy, headers: Headers, *data: bytes) -> Reply:
    """The reply to one request on a connection of its own."""
    with Http2Connection(envoy.api) as connection:
        return connection.exchange(headers, *data)


@contextmanager
def answered_by(envoy: Envoy, sidecars: Iterable[int], *, pods: int) -> Iterator[None]:
    """Checks that this many requests reach a pod in the block, and that all sidecars stay in use.

    `sidecars` are the ports of all sidecars.
    """
    used = set(sidecars)
    envoy.until_used(used)
    before = envoy.statistic("cluster.sidecars.upstream_rq_total")
    yield
    assert envoy.statistic("cluster.sidecars.upstream_rq_total") - before == pods
    assert envoy.used() == used
