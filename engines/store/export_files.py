"""Writes an exported conversation into a folder, beside what is there and never over it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Final

from modeldeck.engines.paths import private_dir
from modeldeck.engines.store.database import StoreError
from modeldeck.engines.store.export import (
    branch_images,
    image_file_name,
    json_text,
    markdown,
)
from modeldeck.engines.store.records import ConversationRecord

_NAME_BYTES: Final = 100


def name_of(title: str) -> str:
    """A file name made of a title's letters and digits, of any script, 100 bytes at most."""
    words = "-".join(re.findall(r"[^\W_]+", title)).lower()
    return words.encode()[:_NAME_BYTES].decode(errors="ignore").strip("-") or "conversation"


def export(record: ConversationRecord, folder: Path) -> tuple[Path, Path]:
    """Write the Markdown, with its images beside it, and the JSON. Returns the paths of both.

    Raises:
        StoreError: the folder cannot be written.
    """
    name = name_of(record.conversation.title)
    try:
        private_dir(folder)
        for number in count(1):
            stem = name if number == 1 else f"{name}-{number}"
            files = _files(record, stem)
            try:
                _write_new(folder, files)
            except FileExistsError:
                continue
            return folder / f"{stem}.md", folder / f"{stem}.json"
    except OSError as error:
        raise StoreError(
            f"The conversation cannot be written to {folder} ({error.strerror}).",
            "Check that the disk has room and that the folder is yours.",
        ) from error
    raise AssertionError("the numbers have ended")


def _files(record: ConversationRecord, stem: str) -> Mapping[str, bytes]:
    images = {
        image_file_name(stem, number, image): image.data
        for number, image in enumerate(branch_images(record), start=1)
    }
    return {
        f"{stem}.md": markdown(record, tuple(images)).encode("utf-8", "replace"),
        f"{stem}.json": json_text(record).encode("utf-8", "replace"),
        **images,
    }


def _write_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all of the files or none. Raises FileExistsError when one is there already."""
    written: list[Path] = []
    try:
        for name, data in files.items():
            path = folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            written.append(path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
