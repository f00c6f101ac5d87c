"""What can be asked about the deck, and what the right answer is.

The ways of asking are hand-written (phrases.toml); the answers about keys and commands are made
from the help text, so that a key is named exactly as the deck names it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from modeldeck.engines.demo.helptext import HelpAction, HelpText
from modeldeck.engines.demo.patterns import Choice, parse, parse_words
from modeldeck.engines.demo.style import gerund
from modeldeck.engines.errors import FormatError

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing to ask about.

    Attributes:
        id: an action id, a command name, or a name of our own.
        training: patterns of questions to train on.
        check: patterns held out of the training; may be empty.
        answers: right answers, each of which will do.
        weight: how often it is asked, relative to the others.
    """

    id: str
    training: tuple[Choice, ...]
    check: tuple[Choice, ...]
    answers: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the deck: ``where`` as an answer says it, ``words`` as a question may."""

    where: str
    words: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """phrases.toml, parsed: tables of patterns by their ids."""

    words: Mapping[str, Choice]
    beyond_words: Mapping[str, Choice]
    frames: Mapping[str, Sequence[str]]
    about: Mapping[str, Sequence[str]]
    places: Mapping[str, Place]
    actions: Mapping[str, Table]
    commands: Mapping[str, Table]
    talk: Mapping[str, Table]
    beyond: Table
    system_prompts: Topic


def read_phrases(text: str) -> Phrases:
    """Parse phrases.toml. Raises FormatError when it is malformed."""
    try:
        whole = tomllib.loads(text)
        words = parse_words(cast("Mapping[str, str]", whole["words"]), {})
        beyond = cast("Table", whole["beyond"])
        beyond_words = parse_words(cast("Mapping[str, str]", beyond["words"]), words)
        prompts = _strings(whole["system"]["prompt"])
        return Phrases(
            words=words,
            beyond_words=beyond_words,
            frames=cast("Mapping[str, Sequence[str]]", whole["frames"]),
            about=cast("Mapping[str, Sequence[str]]", whole["about"]),
            places={name: Place(**place) for name, place in whole["places"].items()},
            actions=whole["actions"],
            commands=whole["commands"],
            talk=whole["talk"],
            beyond=beyond,
            system_prompts=Topic(
                "system", tuple(parse(p, beyond_words) for p in prompts), (), (), 0.0
            ),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FormatError(
            f"phrases.toml is not usable ({error!r}).", "Compare it with the comment at its top."
        ) from error


def fill_topics(help_text: HelpText, phrases: Phrases) -> tuple[Topic, ...]:
    """Every topic of the deck of ``help_text``. Raises FormatError where phrases are missing."""
    _require("action", [a.id for a in help_text.actions], phrases.actions)
    _require("command", [c.name for c in help_text.commands], phrases.commands)
    _require("place", dict.fromkeys(a.place for a in help_text.actions), phrases.places)
    return (
        *(
            _asked(action.id, phrases, phrases.actions[action.id], "key", press(action, phrases))
            for action in help_text.actions
        ),
        *(
            _asked(c.name, phrases, phrases.commands[c.name], "command", run(c.name, c.description))
            for c in help_text.commands
        ),
        *_about_keys(help_text, phrases),
        *_about_commands(help_text, phrases),
        *_about_places(help_text, phrases),
        _every_key(help_text, phrases),
        _every_command(help_text, phrases),
        *(
            Topic(
                f"talk.{name}",
                *_split(table, phrases.words),
                _strings(table["answer"]),
                _weight(table),
            )
            for name, table in phrases.talk.items()
        ),
        Topic(
            "beyond",
            *_split(phrases.beyond, phrases.beyond_words),
            _strings(phrases.beyond["answer"]),
            6.0,
        ),
    )


def press(action: HelpAction, phrases: Phrases) -> str:
    """The answer that names an action's keys: ``Press `s` in Models: sort the list …``."""
    where = phrases.places[action.place].where
    return f"Press {_keys(action)} {where}: {action.description}."


def run(name: str, description: str) -> str:
    """The answer that names a command: ``Run `modeldeck ls` in a shell: list the models …``."""
    return f"Run `{name}` in a shell: {description}."


def _require(kind: str, needed: Iterable[str], phrases: Mapping[str, object]) -> None:
    names = list(needed)
    missing = [name for name in names if name not in phrases]
    if missing:
        raise FormatError(
            f"The demo model has no phrases for the {kind} {', '.join(missing)}.",
            f"Add a table for it to [{kind}s] in engines/demo/phrases.toml.",
        )
    stale = [name for name in phrases if name not in names]
    if stale:
        raise FormatError(
            f"engines/demo/phrases.toml has phrases for the {kind} {', '.join(stale)}, "
            "which the deck does not have.",
            "Remove or rename its table.",
        )


def _asked(name: str, phrases: Phrases, table: Table, frame: str, answer: str) -> Topic:
    verbs = _strings(table["do"])
    asks = _strings(table["ask"])
    frames = phrases.frames[frame]
    training = [_framed(frames, verb, phrases.words) for verb in verbs[:-1]]
    training += [parse(ask, phrases.words) for ask in asks[:-1]]
    check = (_framed(frames, verbs[-1], phrases.words), parse(asks[-1], phrases.words))
    return Topic(name, tuple(training), check, (answer,), 1.0)


def _framed(frames: Sequence[str], verb: str, words: Mapping[str, Choice]) -> Choice:
    """All ``frames`` around the verb phrase ``verb``, as one pattern."""
    do = parse(verb, words)
    doing = _gerunds(do)
    known = {**words, "do": do, "doing": doing}
    return Choice(tuple((parse(frame, known),) for frame in frames))


def _gerunds(choice: Choice) -> Choice:
    """The same verb phrases, each beginning with its gerund."""
    options: list[tuple[str | Choice, ...]] = []
    for option in choice.options:
        at = next((i for i, part in enumerate(option) if not _blank(part)), None)
        if at is None:
            options.append(option)
            continue
        first = option[at]
        changed = (
            gerund(first.strip()) + _tail(first) if isinstance(first, str) else _gerunds(first)
        )
        options.append((*option[:at], changed, *option[at + 1 :]))
    return Choice(tuple(options))


def _blank(part: str | Choice) -> bool:
    return isinstance(part, str) and not part.strip()


def _tail(text: str) -> str:
    return " " if text.endswith(" ") else ""


def _split(
    table: Table, words: Mapping[str, Choice]
) -> tuple[tuple[Choice, ...], tuple[Choice, ...]]:
    patterns = tuple(parse(ask, words) for ask in _strings(table["ask"]))
    return patterns[:-1], patterns[-1:]


def _about_keys(help_text: HelpText, phrases: Phrases) -> Iterable[Topic]:
    by_key: dict[str, list[HelpAction]] = {}
    for action in help_text.actions:
        for key in action.keys:
            by_key.setdefault(key, []).append(action)
    for key, actions in by_key.items():
        answer = f"`{key}` {'; '.join(_meanings(actions, phrases))}."
        training = _filled(phrases.about["key"], spellings(key), phrases.words)
        yield Topic(f"key {key}", training, (), (answer,), 0.25)


def _meanings(actions: Iterable[HelpAction], phrases: Phrases) -> Iterable[str]:
    """What a key does, place by place; places where it does the same are named together."""
    places: dict[str, list[str]] = {}
    for action in actions:
        places.setdefault(action.description, []).append(phrases.places[action.place].where)
    for description, where in places.items():
        yield f"{' and '.join(where)}: {description}"


def _about_commands(help_text: HelpText, phrases: Phrases) -> Iterable[Topic]:
    for command in help_text.commands:
        training = _filled(phrases.about["command"], (command.name,), phrases.words)
        answer = f"`{command.name}` in a shell: {command.description}."
        yield Topic(f"about {command.name}", training, (), (answer,), 0.12)


def _about_places(help_text: HelpText, phrases: Phrases) -> Iterable[Topic]:
    for name, place in phrases.places.items():
        known = {**phrases.words, "it": parse(place.words, phrases.words)}
        training = tuple(parse(frame, known) for frame in phrases.about["place"])
        answer = _place_list(help_text, name, place)
        yield Topic(f"place {name}", training, (), (answer,), 0.12)


def _every_key(help_text: HelpText, phrases: Phrases) -> Topic:
    lists = [_place_list(help_text, name, place) for name, place in phrases.places.items()]
    answer = "Here is every key, place by place.\n\n" + "\n\n".join(lists)
    patterns = tuple(parse(frame, phrases.words) for frame in phrases.about["everything"])
    return Topic("every key", patterns[:-1], patterns[-1:], (answer,), 0.3)


def _every_command(help_text: HelpText, phrases: Phrases) -> Topic:
    rows = [f"- `{command.name}` {command.description}" for command in help_text.commands]
    answer = "\n".join(["In a shell:", *rows])
    patterns = tuple(parse(frame, phrases.words) for frame in phrases.about["commands"])
    return Topic("every command", patterns[:-1], patterns[-1:], (answer,), 0.8)


def _place_list(help_text: HelpText, name: str, place: Place) -> str:
    rows = [f"- {_keys(a)} {a.description}" for a in help_text.actions if a.place == name]
    return "\n".join([f"{place.where[:1].upper()}{place.where[1:]}:", *rows])


def spellings(key: str) -> tuple[str, ...]:
    """How people write a key: ``ctrl+o`` is also ``ctrl-o``, ``control o``, ``^o``."""
    if key.startswith("ctrl+"):
        letter = key.removeprefix("ctrl+")
        joined = (key, f"ctrl-{letter}", f"ctrl {letter}", f"control {letter}", f"^{letter}")
        return (*joined, f"c-{letter}", f"control+{letter}", f"strg+{letter}")
    also = {"esc": ("escape", "the escape key"), "enter": ("return", "the return key")}
    also |= {"?": ("question mark", "the question mark"), "/": ("slash", "the slash")}
    return (key, f"'{key}'", f"`{key}`", f"the {key} key", *also.get(key, ()))


def _weight(table: Table) -> float:
    weight = table.get("weight", 1.3)
    if not isinstance(weight, int | float):
        raise TypeError("a weight is a number")
    return float(weight)


def _filled(
    frames: Sequence[str], names: Sequence[str], words: Mapping[str, Choice]
) -> tuple[Choice, ...]:
    known = {**words, "it": Choice(tuple((name,) for name in names))}
    return tuple(parse(frame, known) for frame in frames)


def _keys(action: HelpAction) -> str:
    return " or ".join(f"`{key}`" for key in action.keys)


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of texts is needed")
    return tuple(str(item) for item in cast("list[object]", value))
