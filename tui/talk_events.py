"""What a conversation tells the face."""

from __future__ import annotations

from dataclasses import dataclass

from modeldeck.engines.chat import Image
from modeldeck.engines.errors import ModeldeckError


@dataclass(frozen=True, slots=True)
class Asked:
    """The user's message is on its way into the store: show it.

    ``fork`` says which of how many messages at the same place it is, ``2/3``; empty when alone.
    """

    text: str
    fork: str = ""
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer begins."""

    message_id: int
    model: str
    fork: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """Another branch or conversation is to be shown."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The conversation took what is set for its model."""


@dataclass(frozen=True, slots=True)
class ModelWanted:
    """A question waits and no model is loaded."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the conversation takes of the context is known better."""


@dataclass(frozen=True, slots=True)
class NotKept:
    """Something could not be kept or read; ``text`` is what the user said and gets back."""

    error: ModeldeckError
    text: str = ""


TalkEvent = Asked | Answering | Changed | Configured | ModelWanted | Weighed | NotKept
