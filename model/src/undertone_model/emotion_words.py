"""Words that name an emotion, for texts that are made by rules."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EmotionWords:
    """Words of one emotion.

    `preposition` joins an adjective and its cause; None if the adjectives have no place for a
    cause. A verb has its past tense, infinitive and past participle, with an object where it needs
    one. A verb in `causes`, whose object has the emotion, has its past tense and infinitive.
    """

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[tuple[str, str, str], ...]
    causes: tuple[tuple[str, str], ...]
    preposition: str | None


def _regular(*infinitives: str) -> tuple[tuple[str, str, str], ...]:
    verbs = []
    for infinitive in infinitives:
        verb, *rest = infinitive.split()
        past = " ".join((f"{verb}d" if verb.endswith("e") else f"{verb}ed", *rest))
        verbs.append((past, infinitive, past))
    return tuple(verbs)


def _causes(*infinitives: str) -> tuple[tuple[str, str], ...]:
    return tuple((past, infinitive) for past, infinitive, _ in _regular(*infinitives))


WORDS: Final = {
    "joy": EmotionWords(
        ("happy", "glad", "cheerful", "delighted", "pleased", "joyful", "content", "merry", "thrilled", "overjoyed", "amused"),
        ("joy", "happiness", "delight", "gladness", "pleasure", "cheer", "merriment"),
        (*_regular("smile", "laugh", "rejoice", "cheer", "dance"), ("sang", "sing", "sung")),
        _causes("delight", "please", "cheer", "amuse", "gladden"),
        "about",
    ),
    "sadness": EmotionWords(
        ("sad", "unhappy", "sorrowful", "heartbroken", "miserable", "gloomy", "depressed", "downcast", "lonely"),
        ("sadness", "grief", "sorrow", "misery", "melancholy", "despair", "loneliness"),
        (*_regular("grieve", "mourn", "despair", "sigh"), ("wept", "weep", "wept"), ("cried", "cry", "cried")),
        _causes("sadden", "grieve", "pain", "wound", "depress"),
        "about",
    ),
    "anger": EmotionWords(
        ("angry", "furious", "annoyed", "enraged", "cross", "mad", "indignant", "irritated", "livid", "bitter", "outraged"),
        ("anger", "rage", "fury", "resentment", "hatred", "wrath", "indignation"),
        (*_regular("rage", "shout at us", "curse", "complain"), ("shouted", "shout", "shouted"), ("swore", "swear", "sworn")),
        _causes("anger", "annoy", "enrage", "irritate", "infuriate"),
        "at",
    ),
    "fear": EmotionWords(
        ("afraid", "frightened", "scared", "terrified", "worried", "anxious", "nervous", "fearful", "alarmed", "panicked"),
        ("fear", "terror", "dread", "fright", "panic", "anxiety", "alarm"),
        (*_regular("tremble", "scream", "shiver"), ("shook", "shake", "shaken")),
        (*_causes("frighten", "scare", "alarm", "unnerve"), ("worried", "worry"), ("terrified", "terrify")),
        "of",
    ),
    "anticipation": EmotionWords(
        ("eager", "expectant", "impatient", "hopeful", "excited", "curious", "keen", "restless"),
        ("eagerness", "expectation", "hope", "suspense", "impatience", "curiosity"),
        _regular("wait for it", "hope for it", "expect it", "count the days", "long for it"),
        _causes("excite", "tempt", "intrigue"),
        "about",
    ),
    "surprise": EmotionWords(
        ("surprised", "astonished", "amazed", "startled", "shocked", "stunned", "puzzled", "bewildered", "taken aback"),
        ("surprise", "astonishment", "amazement", "wonder", "shock", "bewilderment"),
        _regular("gasp", "marvel", "wonder at it", "stare"),
        _causes("surprise", "astonish", "amaze", "startle", "shock"),
        "by",
    ),
    "love": EmotionWords(
        ("in love", "fond of her", "fond of him", "devoted to her", "tender with him", "affectionate", "loving"),
        ("love", "tenderness", "affection", "fondness", "devotion", "warmth"),
        _regular("love her", "love him", "adore her", "cherish him", "kiss him", "embrace her", "care for her"),
        _causes("enchant", "charm", "touch"),
        None,
    ),
    "disgust": EmotionWords(
        ("disgusted", "revolted", "repelled", "sickened", "nauseated", "appalled", "repulsed"),
        ("disgust", "loathing", "revulsion", "repugnance", "nausea", "distaste"),
        _regular("recoil", "retch", "grimace", "shudder"),
        (*_causes("disgust", "revolt", "sicken", "nauseate"), ("repelled", "repel")),
        "by",
    ),
}
