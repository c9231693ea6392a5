"""The nine emotions, and the mapping of GoEmotions' 28 labels to them.

The nine emotions are those of the paper: Plutchik's primary emotions without trust, plus love (one
of his primary dyads) and neutral. GoEmotions (Demszky et al., 2020) has 27 emotions and neutral.
`GOEMOTIONS` maps its labels by the first rule that applies:

1. A label that is one of the nine emotions is unchanged.
2. A label on the petal of a primary emotion in Plutchik's wheel maps to that emotion: annoyance to
   anger, grief to sadness, nervousness to fear, and curiosity (Plutchik's "interest") to
   anticipation.
3. A label about the future maps to anticipation: optimism and desire.
4. Warmth towards a person maps to love: caring. Any other pleasure maps to joy: admiration,
   amusement, excitement, gratitude, pride, relief. Pain about the past maps to sadness:
   disappointment, embarrassment, remorse. Lack of understanding maps to surprise: confusion.
5. The other labels are opinions, not emotions, and map to neutral: approval, disapproval,
   realization.

In the test split, 4,804 of 5,427 rows have labels of exactly one of the nine emotions. 45.3 % of
these are neutral.
"""

from typing import Final

EMOTIONS: Final = ("joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral")

GOEMOTIONS: Final = {
    "admiration": "joy",
    "amusement": "joy",
    "anger": "anger",
    "annoyance": "anger",
    "approval": "neutral",
    "caring": "love",
    "confusion": "surprise",
    "curiosity": "anticipation",
    "desire": "anticipation",
    "disappointment": "sadness",
    "disapproval": "neutral",
    "disgust": "disgust",
    "embarrassment": "sadness",
    "excitement": "joy",
    "fear": "fear",
    "gratitude": "joy",
    "grief": "sadness",
    "joy": "joy",
    "love": "love",
    "nervousness": "fear",
    "optimism": "anticipation",
    "pride": "joy",
    "realization": "neutral",
    "relief": "joy",
    "remorse": "sadness",
    "sadness": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}
