"""The demo model's training text: conversations about the deck, drawn from phrases.toml.

Everything here is a pure function of the help text, the phrases and a seed, so that a test can
draw exactly the conversations the packaged model was trained on.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.demo.helptext import HelpText
from modeldeck.engines.demo.patterns import draw
from modeldeck.engines.demo.style import styled
from modeldeck.engines.demo.topics import Topic, fill_topics, read_phrases

SINGLE_TURN = 0.4
LONGEST_CONVERSATION_TURNS = 5
SYSTEM_PROMPT = 0.35

Part = Literal["training", "check"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What conversations are drawn from.

    Attributes:
        topics: what can be asked, with a weight each.
        system_prompts: patterns of system prompts.
    """

    topics: tuple[Topic, ...]
    system_prompts: Topic


def read_corpus(help_text: HelpText, phrases: str) -> Corpus:
    """The corpus of ``help_text`` in the words of ``phrases`` (phrases.toml).

    Raises FormatError when an action, a command or a place has no phrases, when phrases are left
    over, or when a pattern is malformed.
    """
    read = read_phrases(phrases)
    return Corpus(fill_topics(help_text, read), read.system_prompts)


def conversations(corpus: Corpus, seed: int) -> Iterator[tuple[ChatMessage, ...]]:
    """Training conversations without end: with and without system prompt, of one or more turns."""
    rng = random.Random(seed)  # noqa: S311
    weights = list(itertools.accumulate(topic.weight for topic in corpus.topics))
    while True:
        messages: list[ChatMessage] = []
        if rng.random() < SYSTEM_PROMPT:
            prompt = styled(draw(rng.choice(corpus.system_prompts.training), rng), rng)
            messages.append(ChatMessage("system", prompt))
        single = rng.random() < SINGLE_TURN
        for _ in range(1 if single else rng.randint(2, LONGEST_CONVERSATION_TURNS)):
            topic = corpus.topics[_position(weights, rng)]
            messages.append(ChatMessage("user", question(topic, "training", rng)))
            messages.append(ChatMessage("assistant", rng.choice(topic.answers)))
        yield tuple(messages)


def question(topic: Topic, part: Part, rng: random.Random) -> str:
    """One way to ask about ``topic``, from the phrases trained on or from those held out."""
    return styled(draw(rng.choice(topic.training if part == "training" else topic.check), rng), rng)


def check_questions(corpus: Corpus, seed: int, per_topic: int) -> list[tuple[str, Topic]]:
    """Questions from phrases the training never sees, with the topic each is about."""
    rng = random.Random(seed)  # noqa: S311
    return [
        (question(topic, "check", rng), topic)
        for topic in corpus.topics
        if topic.check
        for _ in range(per_topic)
    ]


def _position(cumulated: Sequence[float], rng: random.Random) -> int:
    target = rng.random() * cumulated[-1]
    return next(at for at, edge in enumerate(cumulated) if target < edge)
