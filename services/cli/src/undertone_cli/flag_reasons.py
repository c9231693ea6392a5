"""What the flags of a score mean, for people."""

from collections.abc import Mapping
from typing import Final

from undertone_client.values import Flag

FLAG_REASONS: Final[Mapping[str, str]] = {
    Flag.LANGUAGE: "in a language that the model was not made for",
    Flag.UNREADABLE: "not readable for the model",
}
"""Reasons by flag. A newer service may send other flags."""


def split_flags(flags: str | None) -> list[str]:
    """The flags of a score, which are separated by commas, or None for a text without flags."""
    return flags.split(",") if flags else []


def describe_flags(flags: str) -> str:
    """The reasons of flags that are separated by commas."""
    return ", ".join(FLAG_REASONS.get(flag, flag) for flag in split_flags(flags))
