"""The training script refuses a help text it cannot train from, before it trains."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from modeldeck.engines.demo.train import main
from modeldeck.tui.actions import help_digest, help_text


def test_a_new_key_without_phrases_stops_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {**help_text(), "digest": help_digest()}
    text["commands"] = [{"name": "modeldeck fly", "description": "fly away"}]
    help_file = tmp_path / "help.json"
    help_file.write_text(json.dumps(text), encoding="utf-8")
    assert main(["--help-text", str(help_file), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "modeldeck fly" in said
    assert "phrases.toml" in said
    assert list(tmp_path.iterdir()) == [help_file]


def test_a_help_text_that_is_none_stops_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("usage: modeldeck …"))
    assert main(["--help-text", "-", "--out", str(tmp_path)]) == 1
    assert "modeldeck keys --json" in capsys.readouterr().err
