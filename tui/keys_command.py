"""``modeldeck keys``: every key, for people, for the manual, and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from modeldeck.tui.actions import ACTIONS, Place, help_digest, help_text, key_name, remapped
from modeldeck.tui.printing import emit, output_columns, say, table
from modeldeck.tui.settings import load_settings

if TYPE_CHECKING:
    import argparse


def keys_page() -> str:
    """``docs/keys.md``: every default key, place by place."""
    lines = [
        "# Keys",
        "",
        "Made by `modeldeck keys --markdown`. Letters and digits act only when no text field has",
        "the focus; `esc` leaves one. Inside the deck `?` lists the keys that work at that moment.",
        'To change a key, name the action in the settings: `[keys]`, then `"models.unload" = "x"`.',
    ]
    for place in get_args(Place):
        lines += ["", f"## {place.capitalize()}", "", "| key | does | action |", "|---|---|---|"]
        for entry in ACTIONS:
            if entry.place == place:
                keys = " ".join(f"`{key_name(key)}`" for key in entry.keys)
                lines.append(f"| {keys} | {entry.description} | `{entry.id}` |")
    return "\n".join(lines)


def print_keys(options: argparse.Namespace) -> int:
    """Print every key, as the user has them. Returns exit code 0. Raises ModeldeckError."""
    if options.json:
        return emit({**help_text(), "digest": help_digest()})
    if options.markdown:
        say(keys_page())
        return 0
    settings, _ = load_settings(Path(options.config) if options.config else None)
    rows = [("PLACE", "KEY", "WHAT IT DOES", "NAME FOR [keys]")]
    rows += [
        (entry.place, " ".join(key_name(k) for k in entry.keys), entry.description, entry.id)
        for entry in remapped(ACTIONS, settings.keymap)
    ]
    say(table(rows, columns=output_columns()))
    return 0
