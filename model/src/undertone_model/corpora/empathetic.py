"""EmpatheticDialogues: situations that people described for one of 32 emotions, each the prompt of
a dialogue (Rashkin et al., 2019; CC BY-NC 4.0).

The public release has train.csv, valid.csv and test.csv with the columns conv_id, utterance_idx,
context, prompt, speaker_idx, utterance, selfeval and tags; test.csv has one more. `context` is the
emotion, and `prompt` is the situation, the same in all rows of a dialogue. Commas and vertical bars
in values are written as words.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from undertone_model.corpora.rows import read_text
from undertone_model.errors import DataError

MAPPING: Final = {
    "afraid": "fear",
    "angry": "anger",
    "annoyed": "anger",
    "anticipating": "anticipation",
    "anxious": "fear",
    "apprehensive": "fear",
    "ashamed": "sadness",
    "caring": "love",
    "confident": None,
    "content": "joy",
    "devastated": "sadness",
    "disappointed": "sadness",
    "disgusted": "disgust",
    "embarrassed": "sadness",
    "excited": "joy",
    "faithful": None,
    "furious": "anger",
    "grateful": "joy",
    "guilty": "sadness",
    "hopeful": "anticipation",
    "impressed": "joy",
    "jealous": None,
    "joyful": "joy",
    "lonely": "sadness",
    "nostalgic": None,
    "prepared": None,
    "proud": "joy",
    "sad": "sadness",
    "sentimental": None,
    "surprised": "surprise",
    "terrified": "fear",
    "trusting": None,
}
"""By the rules for GoEmotions in `emotions.py`."""

HEADER: Final = ("conv_id", "utterance_idx", "context", "prompt", "speaker_idx", "utterance", "selfeval", "tags")


def read(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The situation and the emotion of each dialogue of a .csv file."""
    expected = ", ".join(HEADER)
    last = None
    for number, line in enumerate(read_text(path, expected).split("\n"), 1):
        row = line.removesuffix("\r").split(",")
        if number == 1:
            if tuple(row[: len(HEADER)]) != HEADER:
                raise DataError(f"{path}, line 1: the header is invalid; expected {expected}")
            continue
        if not line.strip():
            continue
        if len(row) not in (len(HEADER), len(HEADER) + 1):
            raise DataError(f"{path}, line {number}: {len(row)} columns; expected {expected}, separated by commas")
        dialogue, _, emotion, situation = row[:4]
        if dialogue == last:
            continue
        last = dialogue
        if emotion not in MAPPING:
            raise DataError(f"{path}, line {number}: the label {emotion!r} is unknown; expected one of {', '.join(MAPPING)}")
        yield situation.replace("_comma_", ",").replace("_pipe_", "|").strip(), [emotion]
