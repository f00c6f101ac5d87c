"""The packaged demo model, its card and the script that trains it."""

from __future__ import annotations

from pathlib import Path


def model_path() -> Path:
    """The packaged demo model: a GGUF file that any llama.cpp loads."""
    return Path(__file__).with_name("modeldeck-demo.gguf")


def card_path() -> Path:
    """The demo model's card as JSON: what it was trained from, how, and how well it answers."""
    return Path(__file__).with_name("card.json")
