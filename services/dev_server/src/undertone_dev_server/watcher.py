"""The thread that looks at the base paths."""

import threading
from collections.abc import Callable, Iterable

from undertone_dev_server.model import Model


class Watcher:
    """Reconciles every model, then calls `looked`, again and again.

    `poll_wait_seconds` is the pause between two looks; 0 means one look and no more, as in TF Serving.
    """

    def __init__(self, models: Iterable[Model], poll_wait_seconds: float, looked: Callable[[], None]) -> None:
        self._models = tuple(models)
        self._poll_wait_seconds = poll_wait_seconds
        self._looked = looked
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended; a load under way is waited for, since TensorFlow cannot break it off."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            for model in self._models:
                model.reconcile()
                self._looked()
            if not self._poll_wait_seconds:
                break
            self._stopping.wait(self._poll_wait_seconds)
