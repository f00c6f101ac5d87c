"""The images of messages, kept whole beside them: the file they came from may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sqlite3 import Connection

from modeldeck.engines.chat import Image
from modeldeck.engines.images import MOST_BYTES, ImageError
from modeldeck.engines.store.database import Database


def keep_images(connection: Connection, message_id: int, images: Iterable[Image]) -> None:
    """Keep a message's images, in their order, in a transaction that is open.

    Raises:
        ImageError: one is larger than ``MOST_BYTES``; nothing of the transaction is kept then.
    """
    for image in images:
        if len(image.data) > MOST_BYTES:
            raise ImageError(f"{image.name} is too large to keep.", "Make it smaller first.")
        connection.execute(
            "INSERT INTO images (message, name, mime, width, height, data)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (message_id, image.name, image.mime, image.width, image.height, image.data),
        )


def images_of(database: Database, message_ids: Iterable[int]) -> Mapping[int, tuple[Image, ...]]:
    """The images of each of these messages that has any. Raises StoreError."""
    rows = database.rows(
        "SELECT * FROM images WHERE message IN (SELECT value FROM json_each(?)) ORDER BY id",
        (str(list(message_ids)),),
    )
    found: dict[int, tuple[Image, ...]] = {}
    for row in rows:
        image = Image(row["name"], row["mime"], row["data"], row["width"], row["height"])
        found[row["message"]] = (*found.get(row["message"], ()), image)
    return found
