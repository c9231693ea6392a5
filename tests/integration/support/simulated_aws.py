"""An AWS that moto simulates in the process of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer


@contextmanager
def simulated_aws() -> Iterator[str]:
    """The URL of an AWS without buckets and other resources.

    All servers of a process have the same resources, so those of earlier tests are deleted.
    """
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")):
            pass
        yield f"http://{host}:{port}"
    finally:
        server.stop()
