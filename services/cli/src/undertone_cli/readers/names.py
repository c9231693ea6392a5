"""Names of files and objects as text that can be printed and stored."""

_SURROGATE_ESCAPES = range(0xDC80, 0xDD00)
"""Characters that Python puts in place of the bytes of a file name that are not UTF-8 (PEP 383)."""


def printable(name: str) -> str:
    """The name for messages, with control characters and bytes that are not UTF-8 as `\\x1b`."""
    return name if name.isprintable() else "".join(map(_printable, name))


def valid_unicode(name: str) -> str:
    """The name with each byte that is not UTF-8 as `\\xff`, so that it can be part of an id."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if ord(character) in _SURROGATE_ESCAPES:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
