"""Textual bindings made from the registry of actions, so that no screen names a key itself."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingType

from modeldeck.tui.actions import ACTIONS, Place, key_name


def bindings_of(place: Place, *, leave_out: frozenset[str] = frozenset()) -> list[BindingType]:
    """The bindings of one place's own actions.

    Args:
        place: whose actions.
        leave_out: ids of actions that a widget handles itself (``chat.send`` in the prompt, say).

    Returns:
        Bindings that call ``action_<place>_<verb>``, with the action's id as the binding's id,
        which is what a user's keymap overrides.
    """
    return [
        Binding(
            ",".join(entry.keys),
            entry.id.replace(".", "_"),
            entry.description,
            show=False,
            key_display=key_name(entry.keys[0]) if entry.keys else None,
            priority="ctrl+q" in entry.keys or "ctrl+p" in entry.keys,
            id=entry.id,
        )
        for entry in ACTIONS
        if entry.place == place and entry.id not in leave_out and entry.keys
    ]


def textual_keymap(keymap: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The user's keys in the form ``App.set_keymap`` takes."""
    return {action_id: ",".join(keys) for action_id, keys in keymap.items()}
