"""The user's keys: the ``[keys]`` table of the settings, checked against the actions there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from modeldeck.engines.text import clean_line
from modeldeck.tui.actions import ACTIONS, Action
from modeldeck.tui.keys import key_code, key_name

Keymap = Mapping[str, tuple[str, ...]]


def keymap_of(table: Mapping[str, Any]) -> tuple[Keymap, tuple[str, ...]]:
    """The keys that the user changed, by action id, and a sentence for each that cannot be used.

    An action is named ``"models.sort"``, ``models.sort`` or in a table of its own
    (``[keys.models]``); its value is a key or a list of keys. What cannot be used keeps its
    default.
    """
    problems: list[str] = []
    keymap: dict[str, tuple[str, ...]] = {}
    known = {entry.id: entry for entry in ACTIONS}
    for action_id, value in _flat(table):
        if action_id not in known:
            problems.append(_no_such_action(action_id, known))
            continue
        keys, problem = _keys(value)
        if problem:
            problems.append(f"[keys] {action_id}: {problem}; its default is kept.")
        else:
            keymap[action_id] = keys
    while clash := next(_clashes(keymap, known), None):
        action_id, key, holder = clash
        del keymap[action_id]
        taken = clean_line(key_name(key), 20)
        problems.append(f"[keys] {action_id}: {taken} belongs to {holder}; its default is kept.")
    return keymap, tuple(problems)


def _flat(table: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Unquoted, ``models.sort`` is a table in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{place}{name}.")
        else:
            yield f"{place}{name}", value


def _no_such_action(action_id: str, known: Mapping[str, Action]) -> str:
    shown = clean_line(action_id, 60)
    import difflib  # for mistakes alone

    verbs = [name for name in known if name.rpartition(".")[2] == action_id]
    near = verbs or difflib.get_close_matches(action_id, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see: modeldeck keys."
    return f"[keys] knows no action called {shown}; {hint}"


def _keys(value: object) -> tuple[tuple[str, ...], str]:
    """The keys, or what is wrong with them."""
    words = cast("list[object]", value) if isinstance(value, list) else [value]
    keys: list[str] = []
    for word in words:
        if not isinstance(word, str):
            return (), 'it must be a key or a list of keys, like "s" or ["s", "ctrl+s"]'
        key = key_code(word)
        if key is None:
            return (), f"there is no key called “{clean_line(word, 20)}”"
        keys.append(key)
    return tuple(dict.fromkeys(keys)), "" if keys else "it needs at least one key"


def _clashes(keymap: Keymap, known: Mapping[str, Action]) -> Iterator[tuple[str, str, str]]:
    """Changed actions with a key that another one, valid at the same time, has: id, key, holder.

    Keys that the defaults share on purpose (``escape``) are no clash. The later line yields.
    """
    for action_id in reversed(list(keymap)):
        mine = known[action_id]
        for other in ACTIONS:
            together = mine.place == other.place or "everywhere" in (mine.place, other.place)
            if other.id == action_id or not together:
                continue
            shared = set(mine.keys) & set(other.keys)
            held = set(keymap.get(other.id, other.keys)) - shared
            for key in keymap[action_id]:
                if key in held:
                    yield action_id, key, other.id
