"""The mapping of labels from Plutchik's primary emotions, which several corpora use."""

from typing import Final

PLUTCHIK: Final = {
    "joy": "joy",
    "sadness": "sadness",
    "anger": "anger",
    "fear": "fear",
    "anticipation": "anticipation",
    "surprise": "surprise",
    "disgust": "disgust",
    "trust": None,
    "neutral": "neutral",
}
"""Trust is not one of the nine emotions, and none of Plutchik's primary emotions is love."""
