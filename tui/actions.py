"""The registry of actions: everything a key can do, named once.

Bindings, the user's keymap, the command palette, the help screen, ``docs/keys.md`` and the demo
model's training text are all derived from ``ACTIONS``; nothing else in the face names a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from modeldeck.tui.keys import key_name as key_name

Place = Literal[
    "everywhere", "models", "options", "grid", "hub", "pulls", "chat", "conversations", "engines"
]


class Action(NamedTuple):
    """One thing the user can do.

    Attributes:
        id: stable name, ``place.verb``; the key of the user's ``[keys]`` table.
        keys: Textual key names, the preferred one first. Single printable keys act only when no
            text field has the focus; keys with ``ctrl`` act always.
        label: one or two words for the key line.
        description: a sentence without a full stop, for help, palette and the demo model.
        place: where the action is valid.
        shown: whether the key line at the bottom shows it.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    description: str
    place: Place
    shown: bool = True


ACTIONS: tuple[Action, ...] = (
    Action("everywhere.models", ("1",), "Models", "go to the list of models on this machine", "everywhere", False),
    Action("everywhere.hub", ("2",), "Hub", "find models to download", "everywhere", False),
    Action("everywhere.pulls", ("3",), "Pulls", "see the downloads and steer them", "everywhere", False),
    Action("everywhere.chat", ("4",), "Chat", "go to the chat and its speed panel", "everywhere", False),
    Action("everywhere.engines", ("6",), "Engines", "see which engines are installed", "everywhere", False),
    Action("everywhere.palette", ("ctrl+p",), "everything", "open the command palette to find anything", "everywhere"),
    Action("everywhere.help", ("question_mark",), "help", "show the keys that work right now", "everywhere"),
    Action("everywhere.log", ("l",), "log", "read the log of the running engine", "everywhere", False),
    Action("everywhere.theme", ("t",), "theme", "change the colour theme", "everywhere", False),
    Action("everywhere.leave", ("escape",), "leave", "leave a text field or close a panel", "everywhere", False),
    Action("everywhere.quit", ("q", "ctrl+q"), "quit", "quit the deck", "everywhere", False),
    Action("models.chat", ("enter",), "chat", "load the model under the cursor and chat with it", "models"),
    Action("models.filter", ("slash",), "filter", "filter the list of models by name", "models"),
    Action("models.sort", ("s",), "sort", "sort the list by the next column", "models"),
    Action("models.context", ("c",), "context", "change the context size the verdicts are for", "models"),
    Action("models.kv", ("k",), "kv", "change the type of the KV cache", "models"),
    Action("models.unload", ("u",), "unload", "unload the model and free its memory", "models"),
    Action("models.rescan", ("r",), "rescan", "look through the model folders again", "models", False),
    Action("models.copy_command", ("y",), "copy command", "copy the command that starts this model", "models"),
    Action("models.demo", ("d",), "demo", "chat with the small built-in demo model", "models", False),
    Action("models.engine", ("e",), "engine", "choose the engine that runs this model", "models", False),
    Action("models.options", ("o",), "options", "change context, cache and layers and watch the bill", "models"),
    Action("models.grid", ("g",), "grid", "show which quants fit at which context", "models"),
    Action("models.card", ("v",), "card", "judge for another graphics card", "models", False),
    Action("models.fits", ("f",), "fits", "show only the models that fit", "models", False),
    Action("models.delete", ("x",), "delete", "delete the model from the disk", "models", False),
    Action("options.use", ("enter",), "use", "load the model with these options", "options"),
    Action("options.reset", ("r",), "plan anew", "leave every option to the plan again", "options"),
    Action("options.copy_command", ("y",), "copy command", "copy the command with these options", "options"),
    Action("grid.use", ("enter",), "use", "load the quant under the cursor with that context", "grid"),
    Action("grid.copy_command", ("y",), "copy command", "copy the command of the cell under the cursor", "grid"),
    Action("hub.search", ("slash",), "search", "search the hub for models", "hub"),
    Action("hub.open", ("enter",), "open", "open the repository and judge its variants", "hub"),
    Action("hub.mark", ("space",), "mark", "mark a variant to download it with others", "hub"),
    Action("hub.pull", ("p",), "pull", "download the marked variants", "hub"),
    Action("hub.kind", ("f",), "format", "show only one format of weights", "hub"),
    Action("hub.sort", ("s",), "sort", "sort what the hub found another way", "hub"),
    Action("hub.source", ("o",), "source", "switch between the hub and the library of Ollama", "hub"),
    Action("hub.card", ("m",), "model card", "read the model card of the repository", "hub"),
    Action("hub.links", ("g",), "links", "see links to hubs, documentation and leaderboards", "hub", False),
    Action("hub.copy_command", ("y",), "copy command", "copy the command that downloads the variant", "hub", False),
    Action("pulls.pause", ("space",), "pause", "pause the download or let it go on", "pulls"),
    Action("pulls.retry", ("r",), "retry", "try a failed download again", "pulls"),
    Action("pulls.cancel", ("x",), "cancel", "cancel the download", "pulls"),
    Action("pulls.first", ("p",), "first", "download this one before the others", "pulls"),
    Action("pulls.limit", ("b",), "limit", "limit the bandwidth of the downloads", "pulls"),
    Action("pulls.clear", ("c",), "clear", "clear the ended downloads from the list", "pulls", False),
    Action("chat.send", ("enter",), "send", "send the message", "chat"),
    Action("chat.newline", ("ctrl+j",), "newline", "start a new line in the message", "chat"),
    Action("chat.stop", ("escape",), "stop", "stop the answer that is being written", "chat"),
    Action("chat.switch", ("ctrl+o",), "switch model", "switch to another model and keep the conversation", "chat"),
    Action("chat.again", ("ctrl+r",), "again", "ask the last question again", "chat"),
    Action("chat.edit", ("e",), "edit", "edit the last question and send it again", "chat", False),
    Action("chat.branch", ("b",), "branch", "show the other branch of the conversation", "chat", False),
    Action("chat.new", ("ctrl+n",), "new chat", "begin a new conversation", "chat"),
    Action("chat.settings", ("ctrl+t",), "sampling", "set the system prompt and the sampling parameters", "chat"),
    Action("chat.reasoning", ("ctrl+g",), "reasoning", "fold or unfold the reasoning of the model", "chat", False),
    Action("chat.copy", ("y",), "copy", "copy the last answer", "chat", False),
    Action("chat.prompt", ("i",), "write", "go back to the message field", "chat", False),
    Action("chat.conversations", ("ctrl+f",), "conversations", "list and search the kept conversations", "chat"),
    Action("chat.export", ("x",), "export", "save the conversation as Markdown and JSON", "chat", False),
    Action("chat.image", ("a",), "image", "attach an image to the message", "chat", False),
    Action("chat.retry", ("r",), "retry", "load again with settings that fit", "chat", False),
    Action("chat.unload", ("u",), "unload", "unload the model and free its memory", "chat", False),
    Action("conversations.open", ("enter",), "open", "open the conversation under the cursor", "conversations"),
    Action("conversations.rename", ("ctrl+r",), "rename", "rename the conversation", "conversations"),
    Action("conversations.delete", ("ctrl+d",), "delete", "delete the conversation", "conversations"),
    Action("conversations.export", ("ctrl+e",), "export", "save the conversation to a file", "conversations"),
    Action("engines.test", ("enter",), "test", "check whether the engine works with five tokens", "engines"),
    Action("engines.rescan", ("r",), "rescan", "look for installed engines again", "engines"),
    Action("engines.copy_command", ("y",), "copy command", "copy the command that installs the engine", "engines"),
    Action("engines.doctor", ("d",), "doctor", "see what is wrong with this machine and how to mend it", "engines"),
)  # fmt: skip


class Command(NamedTuple):
    """One subcommand of the command line: its name and a sentence saying what it does."""

    name: str
    description: str


COMMANDS: tuple[Command, ...] = (
    Command("ls", "list the models on this machine"),
    Command("chat", "chat with a model from the shell"),
    Command("fit", "say whether a model fits the card, how, and how fast it runs"),
    Command("search", "look for models on the Hugging Face Hub and judge them"),
    Command("pull", "download a model, resumed and checked"),
    Command("pulls", "show the downloads and steer them"),
    Command("rm", "delete a model from this machine"),
    Command("dedupe", "find weights that are stored twice and keep one copy"),
    Command("prune", "remove orphans and half-finished downloads"),
    Command("updates", "look for newer versions of the models here"),
    Command("import", "give a GGUF file to Ollama without copying it"),
    Command("engines", "list the engines and how to install them"),
    Command("gpu", "show the GPU and its memory"),
    Command("doctor", "find what is wrong with this machine and how to mend it"),
    Command("demo", "chat with the built-in demo model"),
    Command("keys", "print every key of the deck"),
)


def actions_of(place: Place) -> tuple[Action, ...]:
    """The actions valid in ``place``: its own first, then those valid everywhere."""
    own = tuple(action for action in ACTIONS if action.place == place)
    return own if place == "everywhere" else own + actions_of("everywhere")


def action(action_id: str) -> Action:
    """The action called ``action_id``. Raises KeyError when there is none."""
    for candidate in ACTIONS:
        if candidate.id == action_id:
            return candidate
    raise KeyError(action_id)


def remapped(
    actions: Iterable[Action], keymap: Mapping[str, tuple[str, ...]]
) -> tuple[Action, ...]:
    """The same actions with the user's keys (action id to keys) in place of the defaults."""
    return tuple(
        Action(a.id, keymap.get(a.id, a.keys), a.label, a.description, a.place, a.shown)
        for a in actions
    )  # fmt: skip


def help_text() -> dict[str, object]:
    """Every key and command as plain data: the text the demo model is trained from."""
    return {
        "actions": [
            {
                "id": a.id,
                "place": a.place,
                "keys": [key_name(key) for key in a.keys],
                "description": a.description,
            }
            for a in ACTIONS
        ],
        "commands": [
            {"name": f"modeldeck {c.name}", "description": c.description} for c in COMMANDS
        ],
    }


def help_digest() -> str:
    """SHA-256 over ids, keys and command names: changes exactly when the demo model's answers must."""
    import hashlib  # with OpenSSL: 4 ms
    import json

    text = [[a.id, list(a.keys)] for a in ACTIONS] + [[c.name] for c in COMMANDS]
    return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()
