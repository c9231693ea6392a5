"""Patterns of paths: `*`, `?` and `[...]` match within a name, `**` any number of folders."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(segments: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, or a folder on it, matches a pattern."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(matches(segments[index:], pattern[1:]) for index in range(len(segments) + 1))
    return bool(segments) and fnmatchcase(segments[0], pattern[0]) and matches(segments[1:], pattern[1:])


def may_contain_matches(segments: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether paths below a folder may match a pattern."""
    if not pattern or not segments or pattern[0] == "**":
        return True
    return fnmatchcase(segments[0], pattern[0]) and may_contain_matches(segments[1:], pattern[1:])
