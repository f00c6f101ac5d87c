"""A conversation leaves the deck: as Markdown to read, as JSON with all of it."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.chat import Sampling, Timings, Usage
from modeldeck.engines.images import image_of
from modeldeck.engines.store.conversations import Conversations, Outcome
from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.export import json_text, markdown
from modeldeck.engines.store.export_files import export, name_of
from modeldeck.engines.store.records import ConversationRecord, read_record
from modeldeck.engines.store.schemas import SCHEMAS
from tests.support.image_files import png

CAT = image_of("cat[1].png", png(4, 3))
TIMINGS = Timings("engine", 64, 0, 100_000_000, 11, 500_000_000)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield database
    database.close()


@pytest.fixture
def record(database: Database) -> ConversationRecord:
    """A question with an image, answered twice; the second answer is followed."""
    kept = Conversations(database)
    chat = kept.create("Be brief.", Sampling(temperature=0.5, seed=7))
    asked = kept.say(chat.id, None, "What is this?\n# not a title", (CAT,))
    for text, outcome in [
        ("A dog.", Outcome("stopped")),
        ("A **cat**.", Outcome("done", "", Usage(64, 11, 0, TIMINGS), 120_000_000)),
    ]:
        answer = kept.begin_answer(chat.id, asked.id, "Qwen3 14B", "llama_server")
        kept.append(answer.id, text, "Whiskers.\nSo a cat." if "cat" in text else "")
        kept.finish(answer.id, outcome)
    with database.transaction() as connection:
        connection.execute("UPDATE conversations SET created = 1763900000")
        connection.execute("UPDATE messages SET started = 1763900000, ended = 1763900060")
    return read_record(database, kept, chat.id)


def test_the_markdown_tells_the_branch_that_is_followed(record: ConversationRecord) -> None:
    assert (
        markdown(record, ("what-image-1.png",))
        == """\
# What is this? # not a title

- model: Qwen3 14B (llama_server)
- settings: temperature 0.5, seed 7
- begun: 2025-11-23T12:13:20Z
- messages: 2, and 1 in other branches

## system

Be brief.

## you

![cat\\[1\\].png](<what-image-1.png>)

What is this?
# not a title

## Qwen3 14B

> *reasoning*
>
> Whiskers.
> So a cat.

A **cat**.

*llama_server, 11 tokens, decode 20.0 tok/s (engine), prefill 640.0 tok/s (engine), first token \
0.12 s*
"""
    )


def test_the_json_holds_the_whole_tree(record: ConversationRecord) -> None:
    whole: dict[str, Any] = json.loads(json_text(record))
    asked, first, second = whole.pop("messages")

    assert whole == {
        "format": "modeldeck conversation",
        "version": 1,
        "title": "What is this? # not a title",
        "created": "2025-11-23T12:13:20Z",
        "system_prompt": "Be brief.",
        "sampling": {
            "temperature": 0.5,
            "top_k": None,
            "top_p": None,
            "min_p": None,
            "repeat_penalty": None,
            "seed": 7,
            "max_tokens": None,
        },
        "leaf": second["id"],
    }
    assert first["parent"] == second["parent"] == asked["id"]
    assert asked["parent"] is None
    (image,) = asked["images"]
    assert (image["name"], image["type"], image["width"]) == ("cat[1].png", "image/png", 4)
    assert image["data"].startswith("data:image/png;base64,")
    assert (first["state"], first["text"], first["decode_tps"]) == ("stopped", "A dog.", None)
    del second["id"], second["parent"]
    assert second == {
        "role": "assistant",
        "text": "A **cat**.",
        "reasoning": "Whiskers.\nSo a cat.",
        "model": "Qwen3 14B",
        "engine": "llama_server",
        "state": "done",
        "error": "",
        "started": "2025-11-23T12:13:20Z",
        "ended": "2025-11-23T12:14:20Z",
        "prompt_tokens": 64,
        "cached_tokens": 0,
        "completion_tokens": 11,
        "ttft_ms": 120.0,
        "prefill_tps": 640.0,
        "decode_tps": 20.0,
        "source": "engine",
        "images": [],
    }


def test_the_keys_of_the_json_are_those_of_the_page(record: ConversationRecord) -> None:
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    whole = json.loads(json_text(record))
    for table in (whole, whole["messages"][0], whole["messages"][0]["images"][0]):
        assert all(f"`{key}`" in page for key in table)


def test_files_stand_beside_each_other_and_nothing_is_overwritten(
    record: ConversationRecord, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "exports"

    first, second = export(record, folder), export(record, folder)
    names = ["what-is-this-not-a-title", "what-is-this-not-a-title-2"]
    assert [[path.name for path in paths] for paths in (first, second)] == [
        [f"{name}.md", f"{name}.json"] for name in names
    ]
    image = folder / f"{names[1]}-image-1.png"
    assert image.name in second[0].read_text(encoding="utf-8")
    assert image.read_bytes() == CAT.data
    assert len(list(folder.iterdir())) == 6
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_a_name_that_is_taken_by_one_of_the_files_leaves_nothing_behind(
    record: ConversationRecord, tmp_path: Path
) -> None:
    taken = tmp_path / "what-is-this-not-a-title.json"
    taken.write_text("mine")

    made, _ = export(record, tmp_path)

    assert made.stem.endswith("-2")
    assert taken.read_text() == "mine"
    assert not taken.with_suffix(".md").exists()


def test_no_room_for_a_folder_is_said(record: ConversationRecord, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        export(record, tmp_path / "file" / "exports")


@given(st.text())
def test_any_title_is_a_file_name(title: str) -> None:
    name = name_of(title)

    assert name
    assert len(name.encode()) <= 100
    assert not {"/", "\0", "."} & set(name)
    assert not name.startswith("-")


def test_an_answer_being_written_is_exported_as_far_as_it_is(database: Database) -> None:
    kept = Conversations(database)
    chat = kept.create()
    answer = kept.begin_answer(chat.id, None, "demo", "llama_server")
    kept.append(answer.id, "half a sen", "")

    record = read_record(database, kept, chat.id)

    assert "half a sen" in markdown(record)
    assert "writing" in markdown(record)
    assert "half a sen" in json_text(record)


def test_images_go_with_their_conversation(database: Database) -> None:
    kept = Conversations(database)
    chat = kept.create()
    asked = kept.say(chat.id, None, "Look", (CAT, CAT))
    assert kept.branch(asked.id)[0].images == (CAT, CAT)

    kept.drop(chat.id)

    assert database.rows("SELECT 1 FROM images") == []
