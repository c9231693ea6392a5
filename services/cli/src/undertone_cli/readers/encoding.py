"""What the content of a file is that is not plain UTF-8, and how to convert it."""

import codecs
import shlex

from charset_normalizer import from_bytes

from undertone_cli.readers.compression import Compression
from undertone_cli.readers.formats import without_compression

STDIN_NAME = "standard input"
"""The name of standard input in messages."""
SAMPLE_BYTES = 64 * 1024
"""Bytes from which an encoding is guessed."""

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
    b"\x04\x22\x4d\x18": "a file compressed with LZ4",
}
"""First bytes of files that are not text."""
_TAR = (257, b"ustar")
"""Where an archive has its signature."""
SIGNATURE_BYTES = 262
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


def describe_signature(head: bytes, name: str) -> str | None:
    """What a file is whose first bytes are those of another format, and the remedy. Else None."""
    if (compression := Compression.of_content(head)) is not None:
        return f"it is compressed more than once, here with {compression}; compress it once"
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "it is a tar archive; extract its files, and name their folder"
    for signature, kind in _BINARY.items():
        if head.startswith(signature):
            return f"it is not text but {kind}; export its text first" if ":" not in kind else f"it is {kind}"
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return f"its encoding is {encoding}; {_iconv(encoding, name)}"
    return None


def describe_null_bytes(sample: bytes, name: str) -> str:
    """What a file with null bytes is, and the remedy."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) > max(4, len(sample) // 8) and min(even, odd) * 4 < max(even, odd):
        return f"its encoding is UTF-16 without a byte order mark; {_iconv('UTF-16LE' if odd > even else 'UTF-16BE', name)}"
    return "the input is not text, or is damaged: export its text, or remove the null bytes"


def describe_encoding(sample: bytes, name: str) -> str:
    """The most likely encoding of bytes that are not UTF-8, and the remedy."""
    # A character may be cut off at the end of the sample.
    replaced = sample.decode("utf-8", "replace").rstrip("\ufffd")
    if sum(not character.isascii() for character in replaced) > 2 * replaced.count("\ufffd"):
        return (
            "most other characters are UTF-8, so that the file is damaged or mixes encodings; repair this line, or drop the "
            f"invalid bytes: {conversion('iconv -c -f UTF-8 -t UTF-8', name)}"
        )
    matches = from_bytes(sample, cp_isolation=list(_ICONV_NAMES))
    candidates = [name for match in matches for name in (match.encoding, *match.could_be_from_charset)]
    if not candidates:
        return f"its encoding is unknown; find it out, for example with: file --mime-encoding {_argument(name)}"
    # Western texts often fit CP1250, too, and CP1252 is far more frequent.
    best = "cp1252" if candidates[0] == "cp1250" and "cp1252" in candidates else candidates[0]
    return f"its encoding is probably {_ICONV_NAMES[best]}; {_iconv(_ICONV_NAMES[best], name)}, and check the result"


def conversion(command: str, name: str) -> str:
    """How to convert an input with a command that reads a file and writes standard output.

    Args:
        command: the command without the file.
        name: the name of the input in messages.
    """
    if name == STDIN_NAME:
        return f"pipe the input through: {command.removesuffix(' <')}"
    first = "copy it to a local file, and convert that" if "://" in name else "convert it"
    path = without_compression(name)
    decompress = "" if str(path) == name else f"decompress {_argument(name)}, and "
    converted = path.with_name(f"{path.stem}.converted{path.suffix}")
    return f"{decompress}{first}: {command} {_argument(str(path))} > {_argument(str(converted))}"


def _iconv(encoding: str, name: str) -> str:
    return conversion(f"iconv -f {encoding} -t UTF-8", name)


def _argument(name: str) -> str:
    """The name for a shell. An object has the name of its local copy."""
    return shlex.quote(name.rpartition("/")[2] if "://" in name else name)
