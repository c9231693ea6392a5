"""The length of a paragraph, which decides whether a job scores it."""

MIN_CHARACTERS = 15
"""Shorter paragraphs are not scored (Ganiev et al., section 4)."""

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000"
)
"""The characters for which `str.isspace` is true. The service rejects a text of only these."""

INVISIBLE = "\xad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\ufeff"
"""Zero-width characters and marks, such as a byte order mark. They show nothing on their own."""

NOT_COUNTED = WHITE_SPACE + INVISIBLE
"""Characters that do not count at the start and the end of a paragraph."""


def is_short(text: str, min_characters: int) -> bool:
    """Whether a paragraph has fewer characters, without NOT_COUNTED around them.

    A paragraph without any other character is always short.
    """
    return len(text.strip(NOT_COUNTED)) < max(min_characters, 1)
