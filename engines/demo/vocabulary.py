"""The demo model's tokenizer: a small byte-level BPE, so that any Unicode text goes through.

Its splitting rule is GPT-2's, which llama.cpp knows by the pre-tokenizer name ``gpt-2``; chats are
laid out as ChatML.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modeldeck.engines.chat import ChatMessage

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END)
PRE_TOKENIZER = "gpt-2"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class TokenTable:
    """A trained vocabulary as GGUF stores it: tokens by id, and merges in order of rank."""

    tokens: tuple[str, ...]
    merges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as token ids.

    Attributes:
        ids: its tokens.
        written: per token, its position in the answer it belongs to, or -1 when it belongs to none.
    """

    ids: tuple[int, ...]
    written: tuple[int, ...]


class Vocabulary:
    """A byte-level BPE over a Hugging Face tokenizer (the only part of it that is untyped)."""

    def __init__(self, texts: Iterable[str], size: int) -> None:
        # not a dependency of the project: training only
        library: Any = importlib.import_module("tokenizers")
        bytes_only = library.pre_tokenizers.ByteLevel
        tokenizer: Any = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = bytes_only(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer: Any = library.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=sorted(bytes_only.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        self._tokenizer: Any = tokenizer
        self._start, self._end = (self._id(token) for token in (TURN_START, TURN_END))
        self._newline = self.encode("\n")

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        assert isinstance(found, int)
        return found

    def encode(self, text: str) -> list[int]:
        """The token ids of ``text``, which holds no special token."""
        return [int(at) for at in self._tokenizer.encode(text).ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, special tokens left out."""
        return str(self._tokenizer.decode(list(ids)))

    def conversation(self, messages: Iterable[ChatMessage]) -> Encoded:
        """``messages`` laid out by CHAT_TEMPLATE; what the assistant says is to be learned."""
        ids: list[int] = []
        written: list[int] = []
        for message in messages:
            head = [self._start, *self.encode(f"{message.role}\n")]
            body = [*self.encode(message.content), self._end]
            ids += [*head, *body, *self._newline]
            own = message.role == "assistant"
            written += [-1] * len(head)
            written += range(len(body)) if own else [-1] * len(body)
            written += [-1] * len(self._newline)
        return Encoded(tuple(ids), tuple(written))

    def prompt(self, messages: Iterable[ChatMessage]) -> list[int]:
        """``messages`` followed by the head of the assistant's turn."""
        head = [self._start, *self.encode("assistant\n")]
        return [*self.conversation(messages).ids, *head]

    @property
    def turn_end(self) -> int:
        """The id of the token that ends a turn."""
        return self._end

    def table(self) -> TokenTable:
        """The vocabulary as GGUF stores it."""
        model: Any = json.loads(self._tokenizer.to_str())["model"]
        size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        tokens = tuple(str(self._tokenizer.id_to_token(at)) for at in range(size))
        merges = tuple(m if isinstance(m, str) else " ".join(m) for m in model["merges"])
        return TokenTable(tokens, merges)
