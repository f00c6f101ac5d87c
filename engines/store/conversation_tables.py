"""The tables of the conversations and of the search in them.

They stand apart from what uses them because every start of the program asks whether they are there,
and few starts open a conversation.
"""

from __future__ import annotations

from typing import Final

from modeldeck.engines.store.database import Schema

CONVERSATIONS: Final = Schema(
    "conversations",
    (
        """
        CREATE TABLE conversations (
            id INTEGER PRIMARY KEY,
            title TEXT NOT NULL,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            system_prompt TEXT NOT NULL,
            sampling TEXT NOT NULL,
            leaf INTEGER
        ) STRICT;
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY,
            conversation INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
            parent INTEGER REFERENCES messages(id),
            role TEXT NOT NULL,
            text TEXT NOT NULL,
            reasoning TEXT NOT NULL,
            model TEXT NOT NULL,
            engine TEXT NOT NULL,
            state TEXT NOT NULL,
            error TEXT NOT NULL,
            writer TEXT NOT NULL,
            started INTEGER NOT NULL,
            ended INTEGER,
            prompt_tokens INTEGER,
            cached_tokens INTEGER,
            completion_tokens INTEGER,
            first_token_ns INTEGER,
            prefill_tokens INTEGER,
            prefill_ns INTEGER,
            decoded_tokens INTEGER,
            decode_ns INTEGER,
            timing_source TEXT
        ) STRICT;
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY,
            message INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
            text TEXT NOT NULL,
            reasoning TEXT NOT NULL
        ) STRICT;
        CREATE INDEX messages_of_conversation ON messages(conversation);
        CREATE INDEX messages_of_parent ON messages(parent);
        CREATE INDEX messages_open ON messages(state) WHERE state = 'writing';
        CREATE INDEX chunks_of_message ON chunks(message)
        """,
        """
        ALTER TABLE messages ADD COLUMN thought_ns INTEGER;
        ALTER TABLE messages ADD COLUMN thought_tokens INTEGER
        """,
    ),
)

CONVERSATION_SEARCH: Final = Schema(
    "conversation_search",
    (
        """
        CREATE TABLE search_changes (message INTEGER PRIMARY KEY) STRICT;
        CREATE TRIGGER message_added AFTER INSERT ON messages WHEN new.state <> 'writing' BEGIN
            INSERT OR IGNORE INTO search_changes VALUES (new.id);
        END;
        CREATE TRIGGER message_written AFTER UPDATE OF state, text ON messages BEGIN
            INSERT OR IGNORE INTO search_changes VALUES (new.id);
        END;
        CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
            INSERT OR IGNORE INTO search_changes VALUES (old.id);
        END;
        INSERT INTO search_changes SELECT id FROM messages WHERE state <> 'writing'
        """,
    ),
)

IMAGES: Final = Schema(
    "images",
    (
        """
        CREATE TABLE images (
            id INTEGER PRIMARY KEY,
            message INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            mime TEXT NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            data BLOB NOT NULL CHECK (length(data) <= 16777216)
        ) STRICT;
        CREATE INDEX images_of_message ON images(message)
        """,
    ),
)

MODEL_SETTINGS: Final = Schema(
    "model_settings",
    (
        """
        CREATE TABLE model_settings (
            model TEXT PRIMARY KEY,
            system_prompt TEXT NOT NULL,
            sampling TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
)
