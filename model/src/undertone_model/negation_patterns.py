"""Sentences with a place for an emotion, each with the same sentence in which it is negated."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """A subject: its forms in a sentence."""

    subject: str
    possessive: str
    object: str
    was: str = "was"


PERSONS: Final = (
    Person("she", "her", "her"), Person("he", "his", "him"), Person("I", "my", "me"),
    Person("they", "their", "them", "were"), Person("we", "our", "us", "were"), Person("you", "your", "you", "were"),
    Person("the girl", "her", "her"), Person("the old woman", "her", "her"), Person("the captain", "his", "him"),
    Person("my brother", "his", "him"), Person("the children", "their", "them", "were"),
    Person("the guests", "their", "them", "were"), Person("her aunt", "her", "her"), Person("the clerk", "his", "him"),
)  # fmt: skip

CAUSES: Final = (
    "the letter", "the visit", "the news", "the journey", "the lesson", "the neighbours", "the rain", "the dog", "the exam",
    "what the doctor said", "the new house", "the noise upstairs", "the telegram", "the meeting", "the result", "the food",
    "the road ahead", "the river", "the long night", "the crowd", "the offer", "the photograph", "the stranger", "the speech",
    "the smell in the hall", "the decision", "the money", "the change of plan", "the empty street", "the animals",
)  # fmt: skip

PLACES: Final = ("kitchen", "village", "office", "carriage", "courtyard", "class", "ship", "street", "hall", "camp")
PEOPLE: Final = ("soldiers", "sisters", "passengers", "pupils", "farmers", "men", "nurses", "players", "visitors", "cousins")

ACTIONS: Final = (
    "{S} hung up {p} coat and put the kettle on.", "{S} turned the page.", "{S} closed the gate and walked on.",
    "{S} counted the change and went back to the counter.", "{S} took off {p} shoes and sat down.",
    "{S} wrote the number on a piece of paper.", "{S} cut the bread and passed it round.", "{S} looked at the clock.",
    "{S} folded the newspaper.", "{S} picked up the basket and went out into the yard.", "The bus came at ten past four.",
    "{S} finished {p} tea.", "{S} went on with {p} work.", "There were eleven steps down to the landing.",
    "{S} nodded and signed the form.", "The train left on time.", "{S} opened the window and went back to the desk.",
)  # fmt: skip

# {S}, {s}: subject; {p}, {P}: its possessive; {o}: its object; {was}: its form of "be"; {a}: an
# adjective, {n}: a noun, {v}, {i}, {v2}, {g}: past tense, infinitive, participle and gerund of the
# emotion; {d}, {e}: past tense and infinitive of a verb that causes it;
# {of}, {at}: its cause with a preposition, or nothing; {C}: its cause as a subject.
ADJECTIVE: Final = (
    ("{S} {was} {a}{of}.", "{S} {was} not {a}{of}."),
    ("{S} {was} {a}{of}.", "{S} {was}n't {a}{of}."),
    ("{S} {was} very {a}{of}.", "{S} {was} not very {a}{of}."),
    ("{S} felt {a}{of}.", "{S} did not feel {a}{of}."),
    ("{S} felt {a} now{of}.", "{S} didn't feel {a} now{of}."),
    ("{S} {was} still {a}{of}.", "{S} {was} no longer {a}{of}."),
    ("{S} {was} always {a}{of}.", "{S} {was} never {a}{of}."),
    ("{S} {was} clearly {a}{of}.", "{S} {was} hardly {a}{of}."),
    ("{S} {was} more than {a}{of}.", "{S} {was} far from {a}{of}."),
    ("{S} {was} nothing but {a}{of}.", "{S} {was} anything but {a}{of}."),
    ("{S} had never been so {a}{of}.", "{S} had never been {a}{of}."),
    ("{S} could not have been more {a}{of}.", "{S} could not be {a}{of}."),
    ("{S} {was} not only {a}{of}; {s} said so twice.", "{S} {was} not {a}{of}, and {s} said so."),
    ("Nobody had ever seen {o} so {a}{of}.", "Nobody had ever seen {o} {a}."),
    ("{S} could not hide how {a} {s} {was}{of}.", "{S} did not pretend to be {a}{of}, for {s} {was} not."),
    ("Everybody in the {place} was {a}{of}.", "Nobody in the {place} was {a}{of}."),
    ("All of the {people} were {a}{of}.", "None of the {people} were {a}{of}."),
    ("Everyone thought that {s} would be {a}, and {s} {was}.", "Everyone thought that {s} would be {a}, but {s} {was} not."),
    (
        "Everyone thought that {s} would be calm, but {s} {was} {a}.",
        "Everyone thought that {s} would be {a}, but {s} {was}n't at all.",
    ),
    ("“I am {a}{of},” said {name}.", "“I am not {a}{of},” said {name}."),
    ("“I'm {a},” {name} said, “believe me.”", "“I'm not {a},” {name} said, “believe me.”"),
    ("“I was {a}, you know.”", "“I was never {a}, you know.”"),
    ("“Don't think that I'm not {a}{of},” said {name}.", "“Don't think that I'm {a}{of},” said {name}."),
    ("“Are you {a}?” “Yes,” said {name}, “I am.”", "“Are you {a}?” “No,” said {name}, “I am not.”"),
    ("If {s} {was} not {a}{of} before, {s} {was} {a} now.", "If {s} {was} {a}{of} before, {s} {was} not {a} now."),
    ("{S} {was} {a}{of} for the first time in years.", "{S} had not been {a}{of} in years."),
    ("{S} {was} not alone, and yet {s} {was} {a}.", "{S} {was} alone, and yet {s} {was} not {a}."),
    ("{S} {was} {a}{of}, and it showed.", "{S} {was} neither {a} nor anything else{of}."),
    ("{C} made {o} {a}.", "{C} did not make {o} {a}."),
    ("{C} left {o} {a}.", "{C} didn't leave {o} {a}, not even for a moment."),
)
NOUN: Final = (
    ("{P} voice had {n} in it.", "{P} voice had no {n} in it."),
    ("There was nothing but {n} in {p} eyes.", "There was nothing of {n} in {p} eyes."),
    ("{S} felt {n}{at}.", "{S} felt no {n}{at}."),
    ("{S} felt a deep {n}.", "{S} did not feel any {n}."),
    ("{S} could not hide {p} {n}.", "{S} had no {n} to hide."),
    ("There was no end to {p} {n}.", "There was an end to {p} {n}; it had gone."),
    ("{S} spoke with {n}.", "{S} spoke without {n}."),
    ("{S} did not speak, but {p} {n} was plain to see.", "{S} spoke, and no {n} was to be heard."),
    ("All the {n} came back to {o}.", "All the {n} had left {o}."),
    ("Only {n} was left in {o}.", "Nothing was left in {o} of {p} {n}."),
    ("The {n} had not gone away.", "The {n} had gone away."),
    ("No one in the {place} could have felt more {n}.", "No one in the {place} felt the slightest {n}."),
    ("{C} filled {o} with {n}.", "{C} gave {o} no {n}."),
    ("Whatever {s} said, it was {n}.", "Whatever it was that {s} felt, it was not {n}."),
    ("Without a word, full of {n}, {s} read it again.", "Without a word, and without {n}, {s} read it again."),
)
VERB: Final = (
    ("{S} {v}.", "{S} did not {i}."),
    ("{S} {v} again.", "{S} didn't {i} again."),
    ("{S} {v} in front of us all.", "{S} never {v}, not in front of us."),
    ("{S} could not help it: {s} {v}.", "{S} could have done it, but {s} did not {i}."),
    ("Everyone {v}.", "No one {v}."),
    ("All the {people} {v} that evening.", "None of the {people} {v} that evening."),
    ("{S} {v} more than ever.", "{S} no longer {v}."),
    ("“I have never {v2} so much,” said {name}.", "“I have never {v2},” said {name}."),
    ("{S} did not speak; {s} {v}.", "{S} spoke; {s} did not {i}."),
    ("{S} could not stop {g}.", "{S} had stopped {g}."),
    ("{S} went on {g}.", "{S} had given up {g} long ago."),
)
CAUSED: Final = (
    ("{C} {d} {o}.", "{C} did not {e} {o}."),
    ("{C} {d} {o} more than anything.", "{C} didn't {e} {o} at all."),
    ("Everything about it {d} {o}.", "Nothing about it {d} {o}."),
    ("{C} still {d} {o}.", "{C} no longer {d} {o}."),
    ("{C} had always {d} {o}.", "{C} had never {d} {o}."),
    ("{C} {d} us all.", "{C} {d} none of us."),
    ("How {c} {d} {o}!", "{C} hardly {d} {o}."),
    ("There was nothing that could {e} {o} more.", "There was nothing in it to {e} {o}."),
)
