"""The deck's help text as it comes in from outside: ``modeldeck keys --json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from modeldeck.engines.errors import FormatError


@dataclass(frozen=True, slots=True)
class HelpAction:
    """One key binding: ``keys`` as people write them, the preferred one first."""

    id: str
    place: str
    keys: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class HelpCommand:
    """One subcommand, with its program: ``modeldeck ls``."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class HelpText:
    """All keys and commands of one version of the deck.

    Attributes:
        actions: in the order of the registry.
        commands: in the order of the registry.
        digest: identifies ids, keys and command names; the card keeps it.
    """

    actions: tuple[HelpAction, ...]
    commands: tuple[HelpCommand, ...]
    digest: str


def _text(table: Mapping[str, object], key: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _tables(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        raise TypeError("list")
    return cast("list[Mapping[str, object]]", value)


def _keys(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError("keys")
    return tuple(str(key) for key in cast("list[object]", value))


def parse_help_text(text: str) -> HelpText:
    """Read ``{"actions": […], "commands": […], "digest": "…"}``. Raises FormatError."""
    try:
        whole = cast("Mapping[str, object]", json.loads(text))
        return HelpText(
            actions=tuple(
                HelpAction(
                    _text(row, "id"),
                    _text(row, "place"),
                    _keys(row["keys"]),
                    _text(row, "description"),
                )
                for row in _tables(whole["actions"])
            ),
            commands=tuple(
                HelpCommand(_text(row, "name"), _text(row, "description"))
                for row in _tables(whole["commands"])
            ),
            digest=_text(whole, "digest"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"The help text is not what `modeldeck keys --json` prints ({error}).",
            "Pipe the output of `modeldeck keys --json` into the training script.",
        ) from error
