"""The shape of a run and of a story in one sentence each, for those who would rather read than decipher a chart."""

from collections.abc import Sequence

from undertone_cli.report.arc import Arc
from undertone_cli.report.emotions import Emotion
from undertone_cli.report.numerals import paragraph_number, percent
from undertone_cli.report.palette import emotional

_EDGE = 8  # the opening and the close are an eighth of the story each


def describe_run(emotions: Sequence[Emotion]) -> str:
    """Which emotions lead most often."""
    first, *others = sorted(emotions, key=lambda emotion: -emotion.leading)[:3]
    others = [emotion for emotion in others if emotion.leading]
    sentence = f"{_capital(first.label)} leads in {percent(first.share)} of the paragraphs"
    if others:
        sentence += ", followed by " + " and ".join(f"{emotion.label} ({percent(emotion.share)})" for emotion in others)
    return sentence + "."


def describe_arc(arc: Arc, labels: Sequence[str]) -> str:
    """How a story opens, where its strongest emotion peaks, and how it closes; neutral counts only if it stands alone."""
    told = emotional(labels)
    edge = max(1, arc.points // _EDGE)
    opening = max(told, key=lambda i: sum(arc.values[i][:edge]))
    closing = max(told, key=lambda i: sum(arc.values[i][-edge:]))
    peak = max(told, key=lambda i: max(arc.values[i]))
    height = max(arc.values[peak])
    if arc.first == arc.last:
        return f"A single paragraph, with {labels[peak]} at {percent(height)}."
    where = f"around paragraph {paragraph_number(arc.position(arc.values[peak].index(height))):,} ({percent(height)})"
    if opening == closing == peak:
        return f"Opens and closes in {labels[peak]}, strongest {where}."
    if opening == peak:
        return f"Opens in {labels[opening]}, strongest {where}, and closes in {labels[closing]}."
    if closing == peak:
        return f"Opens in {labels[opening]} and closes in {labels[closing]}, strongest {where}."
    return f"Opens in {labels[opening]}, peaks in {labels[peak]} {where}, and closes in {labels[closing]}."


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]
