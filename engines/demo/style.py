"""The ways people write the same sentence: case, punctuation, filler words, slips of the finger."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_OPENERS = (
    "please ", "hi, ", "hello, ", "hey ", "hey, ", "ok, ", "ok ", "so ", "and ", "but ", "now ",
    "um, ", "excuse me, ", "quick question: ", "sorry, ", "question: ", "hmm, ", "well, ",
    "also, ", "next: ", "tell me ", "tell me, ", "i am new here. ", "dumb question, but ",
    "one more thing: ", "hello! ", "can you tell me: ", "can you help? ", "i wonder, ",
    "just curious: ", "help! ", "thanks. ", "great, ",
)  # fmt: skip
_CLOSERS = (
    " please", ", please", " thanks", ", thanks", " here", " in modeldeck", " in this app",
    " now", " quickly", " with the keyboard", " with a key", " in the deck", " again",
    " by keyboard", ", how", " then", " somehow", ", i forgot", ", any idea", " on this thing",
    " real quick", ", any key for that",
)  # fmt: skip
_ASIDES = (
    "i am on ubuntu", "my screen is small", "it is late", "i come from vim", "my boss is waiting",
    "i tried everything", "nobody told me", "i looked everywhere", "it worked yesterday",
    "i use a laptop", "i have a dozen of these", "this is my first day", "i am in a hurry",
    "we are three people here", "i like it so far", "it is getting annoying", "my hands are cold",
    "i read the docs", "i am not a programmer", "as far as i know", "for my work", "at home",
    "just now", "for once", "my friend asked", "i am too tired to search", "i pressed something",
)  # fmt: skip
_CONTRACTIONS = tuple(
    (re.compile(rf"\b{long}\b"), short)
    for long, short in (
        ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"), ("is not", "isn't"),
        ("are not", "aren't"), ("was not", "wasn't"), ("cannot", "can't"), ("will not", "won't"),
        ("i am", "i'm"), ("i have", "i've"), ("it is", "it's"), ("what is", "what's"),
        ("where is", "where's"), ("how is", "how's"), ("that is", "that's"), ("who is", "who's"),
        ("i would", "i'd"), ("let us", "let's"), ("you are", "you're"), ("i want to", "i wanna"),
    )
)  # fmt: skip
_DROPPABLE = frozenset(
    ("the", "a", "an", "my", "to", "do", "i", "is", "of", "it", "this", "that", "can")
)
_ONSETS = (
    "b",
    "ch",
    "d",
    "f",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "pr",
    "qu",
    "r",
    "s",
    "st",
    "tr",
    "v",
    "w",
)
_CODAS = ("", "d", "ed", "er", "ing", "le", "n", "rt", "s", "st", "t", "tion", "y")
_NEIGHBOURS = {
    "a": "s", "s": "ad", "d": "sf", "e": "wr", "r": "et", "t": "ry", "o": "ip", "i": "uo",
    "n": "bm", "m": "n", "l": "k", "k": "jl", "h": "gj", "g": "fh", "c": "xv", "u": "yi",
    "y": "tu", "w": "qe",
}  # fmt: skip


def styled(sentence: str, rng: random.Random) -> str:
    """``sentence`` (lower case, no end mark) as somebody might type it."""
    text = sentence
    if rng.random() < 0.55:
        for pattern, short in _CONTRACTIONS:
            text = pattern.sub(short, text)
    if rng.random() < 0.18:
        text = rng.choice(_OPENERS) + text
    if rng.random() < 0.12:
        text += rng.choice(_CLOSERS)
    if rng.random() < 0.06:
        aside = rng.choice(_ASIDES)
        text = f"{aside}, {text}" if rng.random() < 0.5 else f"{text}, {aside}"
    if rng.random() < 0.10:
        text = _drop_word(text, rng)
    if rng.random() < 0.10:
        text = _odd_word(text, rng)
    if rng.random() < 0.14:
        text = _slip(text, rng)
    return _end_mark(_cased(text, rng), rng)


def _drop_word(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    places = [at for at, word in enumerate(words) if word in _DROPPABLE]
    if len(words) < 4 or not places:
        return text
    del words[rng.choice(places)]
    return " ".join(words)


def _odd_word(text: str, rng: random.Random) -> str:
    """One word of many replaced by a made-up one: not every word will be known."""
    words = text.split(" ")
    if len(words) > 4:
        syllables = (rng.choice(_ONSETS) + rng.choice("aeiou") for _ in range(rng.randint(1, 3)))
        words[int(rng.random() * len(words))] = "".join(syllables) + rng.choice(_CODAS)
    return " ".join(words)


def _slip(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    places = [at for at, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    words[at] = rng.choice(_SLIPS)(words[at], rng)
    return " ".join(words)


def _swap(word: str, rng: random.Random) -> str:
    at = 1 + int(rng.random() * (len(word) - 2))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _omit(word: str, rng: random.Random) -> str:
    at = 1 + int(rng.random() * (len(word) - 1))
    return word[:at] + word[at + 1 :]


def _double(word: str, rng: random.Random) -> str:
    at = int(rng.random() * len(word))
    return word[:at] + word[at] + word[at:]


def _miss(word: str, rng: random.Random) -> str:
    at = int(rng.random() * len(word))
    near = _NEIGHBOURS.get(word[at], word[at])
    return word[:at] + near[int(rng.random() * len(near))] + word[at + 1 :]


_SLIPS: tuple[Callable[[str, random.Random], str], ...] = (_swap, _omit, _double, _miss)


def _cased(text: str, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.30:
        return text
    if kind < 0.32:
        return text.upper()
    text = re.sub(r"\bi\b", "I", text)
    text = re.sub(r"([.?!] )([a-z])", lambda m: m[1] + m[2].upper(), text)
    return text[:1].upper() + text[1:]


def _end_mark(text: str, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.55:
        return text + "?"
    return text + (rng.choice((".", "!", "??", "...", " ?")) if kind < 0.70 else "")


def gerund(phrase: str) -> str:
    """``change the theme`` becomes ``changing the theme``: the first word only."""
    verb, _, rest = phrase.partition(" ")
    if verb.endswith("ie"):
        verb = verb[:-2] + "y"
    elif verb.endswith("e") and not verb.endswith(("ee", "ye")):
        verb = verb[:-1]
    elif re.fullmatch(r"(qu|[^aeiou])*[aeiou][bdgmnpt]", verb) or verb == "begin":
        verb += verb[-1]
    return f"{verb}ing {rest}".rstrip()
