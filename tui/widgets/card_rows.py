"""The cards a verdict can be for, as rows to pick from. Pure."""

from __future__ import annotations

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.card_group import cards_named
from modeldeck.engines.fit.cards import known_cards
from modeldeck.engines.units import gib_text
from modeldeck.tui.widgets.model_picker import PickerRow

THIS_ONE = ""
"""The key of the row for the card that is here, or the one that the settings name."""


def card_rows(here: str) -> list[PickerRow]:
    """The card that is here first, then every known card with what a process can have of it."""
    rows = [PickerRow(THIS_ONE, "this one", here)]
    return rows + [
        PickerRow(card.title, card.title, f"{gib_text(card.usable_bytes)} usable")
        for card in known_cards()
    ]


def cards_row(text: str) -> PickerRow | None:
    """Several cards as one row, as typed: ``RTX 3090 + RTX 3060 12GB``, ``2x RTX 3090``."""
    try:
        card = cards_named(text, 0)
    except SettingsError:
        return None
    return PickerRow(card.name, card.name, f"{gib_text(card.usable_bytes)} usable")
