"""A sample of texts, by which an export is compared with float32."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from undertone_model import data
from undertone_model.errors import DataError


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts, and where they are from. `sha256` is that of what was read, `name` such as "stories/held-out"."""

    name: str
    sha256: str
    texts: tuple[str, ...]


def read(path: Path) -> Sample:
    """Reads a folder of story paragraphs (those held out from training), or a file.

    A file whose name ends in .jsonl has an object with `text` in each line, any other a text in each line; empty lines are left
    out. Raises DataError, naming file and line, if a line is not of that form, and if there is no text.
    """
    if path.is_dir():
        held_out = [data.stories(path, split) for split in ("test", "dev")]
        texts = tuple(example.text for stories in held_out for example in stories.examples)
        found = Sample("stories/held-out", held_out[0].sha256, texts)
    else:
        found = _file(path)
    if not found.texts:
        raise DataError(f"{path} holds no texts to compare by")
    return found


def _file(path: Path) -> Sample:
    try:
        content = path.read_bytes()
        lines = content.decode().split("\n")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; name a file of texts, or the project's model/data/stories") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    texts = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if path.suffix == ".jsonl":
        texts = [(number, _text(path, number, line)) for number, line in texts]
    return Sample(path.name, hashlib.sha256(content).hexdigest(), tuple(text for _, text in texts))


def _text(path: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise DataError(f"{path}, line {number}: expected an object with a text")
    return text
