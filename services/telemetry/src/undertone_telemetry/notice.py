"""What is worth telling a person, beside the numbers."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How a notice is meant."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened, such as a job that failed: DataDog shows it among its events, Prometheus has no such thing.

    `labels` are (name, value) pairs to find it by. Neither carries the text of paragraphs.
    """

    title: str
    text: str
    level: Level = Level.INFO
    labels: tuple[tuple[str, str], ...] = ()
