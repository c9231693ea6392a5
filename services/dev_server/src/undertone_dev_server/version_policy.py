"""Which of the versions on disk are served: TF Serving's ServableVersionPolicy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Serves the `specific` versions, or, if there are none, the `latest` newest versions.

    `latest` None means all versions. The default is the newest version.
    """

    latest: int | None = 1
    specific: frozenset[int] = frozenset()

    def choose(self, found: Mapping[int, Path]) -> dict[int, Path]:
        """The versions among `found` to serve, newest first."""
        newest = sorted(found, reverse=True)
        specific = [version for version in newest if version in self.specific]
        chosen = specific if self.specific else newest[: self.latest]
        return {version: found[version] for version in chosen}


NEWEST: Final = VersionPolicy()
"""Serves the newest version."""
