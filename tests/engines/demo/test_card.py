"""The packaged file is the one its card describes, and belongs to this version of the deck."""

from __future__ import annotations

import hashlib

from modeldeck.engines.demo import card_path, model_path
from modeldeck.engines.demo.card import markdown, read_card
from modeldeck.tui.actions import help_digest

MOST_BYTES = 8_000_000


def test_the_model_was_trained_from_the_keys_of_this_version() -> None:
    assert read_card(card_path()).help_digest == help_digest(), (
        "Keys or commands have changed since the demo model was trained. Run `make demo-model`."
    )


def test_the_card_describes_the_packaged_file() -> None:
    card, data = read_card(card_path()), model_path().read_bytes()
    assert card.size_bytes == len(data) <= MOST_BYTES
    assert card.sha256 == hashlib.sha256(data).hexdigest()
    assert data[:4] == b"GGUF"


def test_the_card_reports_its_evaluation() -> None:
    card = read_card(card_path())
    assert card.held_out_questions is not None
    right, asked = card.held_out_questions
    assert asked >= 20
    assert right >= 0.8 * asked
    assert card.seconds < 20 * 60


def test_the_page_says_what_the_json_says() -> None:
    page = card_path().with_name("CARD.md").read_text(encoding="utf-8")
    assert page == markdown(read_card(card_path()))
