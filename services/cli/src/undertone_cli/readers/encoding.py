"""What the content of a file is that is not plain UTF-8, and how to convert it."""

import codecs

from charset_normalizer import from_bytes

SAMPLE_BYTES = 64 * 1024
"""Bytes from which an encoding is guessed."""

_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "zcat"),
    b"BZh91AY&SY": ("bzip2", "bzcat"),
    b"\xfd7zXZ\x00": ("xz", "xzcat"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "zstdcat"),
}
"""First bytes of compressed files: the name of the format, and the command that decompresses."""
_BINARY = {
    b"PK\x03\x04": "a ZIP archive, or a document of an office program (.docx, .xlsx, .epub)",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"%PDF-": "a PDF document",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a document of an old office program (.doc, .xls)",
    b"{\\rtf": "a document in Rich Text Format",
    b"PAR1\x15": "Apache Parquet: set --format parquet",
    b"Obj\x01": "Apache Avro",
    b"SQLite format 3\x00": "an SQLite database",
}
"""First bytes of files that are not text."""
_BYTE_ORDER_MARKS = {  # the longer ones first
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_ICONV_NAMES = {
    "cp1252": "WINDOWS-1252",
    "cp1250": "WINDOWS-1250",
    "cp1251": "WINDOWS-1251",
    "cp1253": "WINDOWS-1253",
    "cp1254": "WINDOWS-1254",
    "cp1255": "WINDOWS-1255",
    "cp1256": "WINDOWS-1256",
    "koi8_r": "KOI8-R",
    "shift_jis": "SHIFT-JIS",
    "euc_jp": "EUC-JP",
    "gb18030": "GB18030",
    "big5": "BIG5",
    "euc_kr": "EUC-KR",
}
"""Encodings that are guessed: Python's name, and the name for iconv. CP1252 contains Latin-1."""


def describe_signature(head: bytes) -> str | None:
    """What a file is whose first bytes are those of another format, and the remedy. Else None."""
    for signature, (name, command) in _COMPRESSED.items():
        if head.startswith(signature):
            return f"it is compressed with {name}; decompress it first: {command} FILE | undertone score - --format FORMAT"
    for signature, name in _BINARY.items():
        if head.startswith(signature):
            return f"it is not text but {name}; export its text first" if ":" not in name else f"it is {name}"
    for mark, name in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return f"its encoding is {name}; {_conversion(name)}"
    return None


def describe_null_bytes(sample: bytes) -> str:
    """What a file with null bytes is, and the remedy."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) > max(4, len(sample) // 8) and min(even, odd) * 4 < max(even, odd):
        return f"its encoding is UTF-16 without a byte order mark; {_conversion('UTF-16LE' if odd > even else 'UTF-16BE')}"
    return "it contains null bytes, so that it is not text or is damaged; export its text, or remove the null bytes"


def describe_encoding(sample: bytes) -> str:
    """The most likely encoding of bytes that are not UTF-8, and the remedy."""
    # A character may be cut off at the end of the sample.
    replaced = sample.decode("utf-8", "replace").rstrip("\ufffd")
    if sum(not character.isascii() for character in replaced) > 2 * replaced.count("\ufffd"):
        return (
            "most other characters are UTF-8, so that the file is damaged or mixes encodings; repair this line, or drop the "
            "invalid bytes with: iconv -c -f UTF-8 -t UTF-8 FILE > NEW"
        )
    matches = from_bytes(sample, cp_isolation=list(_ICONV_NAMES))
    candidates = [name for match in matches for name in (match.encoding, *match.could_be_from_charset)]
    if not candidates:
        return "its encoding is unknown; find it out, for example with: file --mime-encoding FILE"
    # Western texts often fit CP1250, too, and CP1252 is far more frequent.
    best = "cp1252" if candidates[0] == "cp1250" and "cp1252" in candidates else candidates[0]
    return (
        f"its encoding is probably {_ICONV_NAMES[best]}; check the result of: iconv -f {_ICONV_NAMES[best]} -t UTF-8 FILE > NEW"
    )


def _conversion(encoding: str) -> str:
    return f"convert it first: iconv -f {encoding} -t UTF-8 FILE > NEW"
