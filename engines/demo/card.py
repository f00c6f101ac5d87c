"""The demo model's card: as JSON for programs and tests, as Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Card:
    """What the packaged model is and where it comes from.

    Attributes:
        name: of the model.
        licence: SPDX identifier.
        help_digest: of the help text it was trained from.
        sha256: of the GGUF file.
        size_bytes: of the GGUF file.
        parameters: weights in the model; the embedding table, used twice, counts once.
        shape: the sizes of the network.
        recipe: the settings of the training, the seed among them.
        command: what trained it.
        seconds: processor time of the training on each of the threads that ``recipe`` says: what it
            takes on a machine that is otherwise idle.
        training_tokens: tokens seen, each once.
        losses: (step, mean loss in nats per token at the heads of answers).
        held_out_phrases: questions from phrases not trained on: right ones, all.
        held_out_questions: questions from the file given: right ones, all.
        note: what the numbers do not say, such as how this training was chosen among several.
    """

    name: str
    licence: str
    help_digest: str
    sha256: str
    size_bytes: int
    parameters: int
    shape: Mapping[str, int | float]
    recipe: Mapping[str, int | float]
    command: str
    seconds: int
    training_tokens: int
    losses: Sequence[tuple[int, float]]
    held_out_phrases: tuple[int, int]
    held_out_questions: tuple[int, int] | None
    note: str = ""

    def to_json(self) -> str:
        """The card as indented JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_card(path: Path) -> Card:
    """Read ``card.json`` as written by ``Card.to_json``."""
    return Card(**cast("Mapping[str, Any]", json.loads(path.read_text(encoding="utf-8"))))


def markdown(card: Card) -> str:
    """The card as a page."""
    right, phrases = card.held_out_phrases
    questions = ""
    if card.held_out_questions is not None:
        good, asked = card.held_out_questions
        questions = f"""\
- Questions of a new user, never trained on, asked through llama.cpp at temperature 0: {good} of
  {asked} answered with the right key or command and no wrong one.
"""
    note = f"\n{card.note}\n" if card.note else ""
    time = f"{card.seconds // 60} min {card.seconds % 60} s"
    threads, seed = card.recipe["threads"], card.recipe["seed"]
    blocks, width = card.shape["blocks"], card.shape["embedding"]
    return f"""# modeldeck demo

A tiny chat model that answers questions about modeldeck's keys and commands. It is packaged with
modeldeck so that a chat works on a machine without models and without a network.

| | |
|---|---|
| architecture | `llama`, {card.parameters:,} parameters, {blocks} blocks of {width} |
| file | `modeldeck-demo.gguf`, Q8_0, {card.size_bytes / 1e6:.1f} MB, SHA-256 `{card.sha256}` |
| context | {card.shape["context"]} tokens |
| vocabulary | {card.shape["vocabulary"]} tokens, byte-level BPE of its own, ChatML template |
| licence | {card.licence} |

## Training

From scratch, with random weights, on conversations drawn from two texts and nothing else: the
deck's own help text (every key and command with its description) and `phrases.toml`, hand-written
ways of asking about each. {card.training_tokens:,} tokens, each seen once, in {time} of
{threads} busy CPU threads; seed {seed}; final loss {card.losses[-1][1]:.4f} nats per token at the
heads of answers.

    {card.command}

Needs torch 2.13 (the CPU build will do), tokenizers, numpy, gguf, httpx and xllamacpp. The same
machine gives the same file; another CPU may round differently.

## How well it answers

{questions}- Phrases held out of the training (the last of each list in `phrases.toml`, chosen to
  share few words with the others): {right} of {phrases}.
{note}
## Limits

It knows the keys and commands of the version it was trained from (help digest
`{card.help_digest[:16]}…`), in English. It knows nothing else and is trained to say so, but asked
far from its phrases it often names a wrong key. `?` in the deck is always right.
"""
