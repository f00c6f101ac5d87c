"""What is in a repository of the Hugging Face Hub, and where its files are.

``/api/models/NAME/revision/REVISION?blobs=true`` lists a repository's files with their sizes and
digests, ``/api/models/NAME/refs`` its branches; ``/NAME/resolve/REVISION/FILE`` has each file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote

from modeldeck.engines.catalog.remote_memory import RemoteMemory, joined
from modeldeck.engines.catalog.targets import REVISION
from modeldeck.engines.errors import FormatError, ModeldeckError, ModelNotFound, SettingsError
from modeldeck.engines.formats.web import Login
from modeldeck.engines.formats.web_errors import Refused, origin
from modeldeck.engines.text import clean_line

MAIN: Final = "main"

_HUB: Final = "https://huggingface.co"
_LARGEST: Final = 1 << 50
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_MOST_BRANCHES: Final = 64
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository.

    Attributes:
        size_bytes: None where the server does not say.
        state: the digest of its content; empty where the server does not say.
    """

    size_bytes: int | None
    state: str


@dataclass(frozen=True, slots=True)
class Repository:
    """One revision of a repository.

    Attributes:
        endpoint: address of the Hub.
        name: ``owner/name``.
        revision: branch, tag or commit.
        files: by their names.
        has_chat_template: the Hub found one.
        commit: that the revision is now; empty where the server does not say.
    """

    endpoint: str
    name: str
    revision: str
    files: Mapping[str, HubFile]
    has_chat_template: bool
    commit: str = ""

    def url(self, file: str) -> str:
        """Where a file is."""
        return f"{self.endpoint}/{quote(self.name)}/resolve/{_quoted(self.revision)}/{quote(file)}"

    def state(self, files: list[str]) -> str:
        """What tells these files from later ones; empty where the server does not say."""
        return joined([self.files[file].state for file in files])


def endpoint_of(environ: Mapping[str, str]) -> str:
    """The Hub that is meant: ``HF_ENDPOINT``, or the public one. Raises SettingsError."""
    endpoint = environ.get("HF_ENDPOINT", "").strip().rstrip("/") or _HUB
    try:
        origin(endpoint)
    except FormatError as error:
        raise SettingsError(
            f"HF_ENDPOINT is no web address: “{clean_line(endpoint, 80)}”.",
            "Set it to one like https://huggingface.co, or unset it.",
        ) from error
    return endpoint


def offline_by(environ: Mapping[str, str]) -> bool:
    """Whether ``HF_HUB_OFFLINE`` says that the Hub is not to be asked."""
    return environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "on", "yes", "true")


def login_of(endpoint: str, environ: Mapping[str, str]) -> Login | None:
    """The user's token for the Hub, from where the ecosystem keeps it; never logged or shown."""
    token = environ.get("HF_TOKEN", "").strip()
    if not token:
        home = environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
        kept = Path(environ.get("HF_TOKEN_PATH") or str(Path(home).expanduser() / "token"))
        try:
            with kept.open("rb") as file:
                token = file.read(512).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
    return Login(origin(endpoint), token) if _usable(token) else None


def repository(memory: RemoteMemory, endpoint: str, name: str, revision: str) -> Repository:
    """What is in a repository.

    Raises:
        ModelNotFound: there is none of that name, or no such revision.
        FormatError: the Hub cannot be asked, gives it to few, or says nonsense.
    """
    address = f"{endpoint}/api/models/{quote(name)}"
    at_revision = f"{address}/revision/{_quoted(revision)}"
    try:
        try:
            listing = memory.document(f"{at_revision if revision != MAIN else address}?blobs=true")
        except Refused as refused:
            if endpoint == _HUB or revision != MAIN or refused.status not in (401, 404):
                raise
            listing = memory.document(f"{at_revision}?blobs=true")  # some mirrors want it named
    except Refused as refused:
        raise _told(refused, memory, endpoint, name, revision) from refused
    there = read_listing(listing)
    return Repository(endpoint, name, revision, there.files, there.has_chat_template, there.commit)


class Listing(NamedTuple):
    """What the Hub says of a repository; see ``Repository``."""

    files: dict[str, HubFile]
    has_chat_template: bool
    commit: str


def read_listing(text: bytes) -> Listing:
    """What the Hub says of a repository. Raises FormatError."""
    try:
        whole: Any = json.loads(text)
        files = {str(entry["rfilename"]): _file(entry) for entry in whole["siblings"]}
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise _nonsense() from error
    config = _table(cast("dict[str, object]", whole).get("config"))
    tokenizer = _table(config.get("tokenizer_config"))
    has_template = bool(tokenizer.get("chat_template") or config.get("chat_template_jinja"))
    commit = str(cast("dict[str, object]", whole).get("sha"))
    return Listing(files, has_template, commit if _COMMIT.fullmatch(commit) else "")


def branches(memory: RemoteMemory, endpoint: str, name: str) -> list[str]:
    """The names of a repository's branches but ``main``; none where the Hub does not say."""
    try:
        whole: Any = json.loads(memory.document(f"{endpoint}/api/models/{quote(name)}/refs"))
        names = [str(branch["name"]) for branch in whole["branches"]]
    except (FormatError, ValueError, RecursionError, KeyError, TypeError):
        return []
    sound = (one for one in names if REVISION.fullmatch(one) and ".." not in one)
    return [one for one in sound if one != MAIN][:_MOST_BRANCHES]


def other_branches(name: str, found: list[str]) -> str:
    """The sentence that says how to name one of the branches."""
    shown = ", ".join(clean_line(branch, 40) for branch in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"It has {shown}{more}: write hf:{name}@{clean_line(found[0], 40)}."


def gated(endpoint: str, name: str) -> FormatError:
    """The error for what is given only to those who accepted something."""
    return FormatError(
        f"{name} is gated: it is given to those who accept its conditions.",
        f"Accept them at {endpoint}/{name}, then set HF_TOKEN to a token that may read it.",
    )


def _told(
    refused: Refused, memory: RemoteMemory, endpoint: str, name: str, revision: str
) -> ModeldeckError:
    """What a refusal of the Hub means for the user."""
    page = f"{endpoint}/{name}"
    if refused.code == "GatedRepo" or refused.status == 403:
        return gated(endpoint, name)
    if refused.code == "RevisionNotFound" or (refused.status == 404 and revision != MAIN):
        found = branches(memory, endpoint, name)
        step = other_branches(name, found) if found else f"Look at {page}."
        return ModelNotFound(f"{name} has no revision “{clean_line(revision, 60)}”.", step)
    if refused.status in (401, 404):
        return ModelNotFound(
            f"The Hub knows no model {name}, or does not show it to you.",
            f"Look at {page}; for a private one set HF_TOKEN to a token that is still good.",
        )
    return refused


def _file(entry: Mapping[str, object]) -> HubFile:
    large = _table(entry.get("lfs"))
    size = large.get("size", entry.get("size"))
    state = large.get("sha256") or entry.get("blobId")
    known = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _LARGEST
    return HubFile(
        size if known and isinstance(size, int) else None,
        state[:128] if isinstance(state, str) else "",
    )


def _table(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _quoted(revision: str) -> str:
    return quote(revision, safe="")


def _usable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _nonsense() -> FormatError:
    return FormatError("What the Hub says of the repository is not sound.", "Try again later.")
