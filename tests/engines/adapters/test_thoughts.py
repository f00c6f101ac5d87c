"""Reasoning is told from the answer, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.adapters.thoughts import ThoughtSplitter


def split(text: str, *cuts: int, thinking: bool = False) -> tuple[str, str]:
    """Thought and answer of ``text`` that comes in pieces cut at ``cuts``."""
    splitter = ThoughtSplitter(thinking=thinking)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    found: list[tuple[str, str]] = []
    start = 0
    for end in ends:
        found += splitter.feed(text[start:end])
        start = end
    found += splitter.end()
    thought = "".join(words for kind, words in found if kind == "thought")
    return thought, "".join(words for kind, words in found if kind == "said")


@pytest.mark.parametrize(
    ("text", "thinking", "thought", "said"),
    [
        ("plain", False, "", "plain"),
        ("", False, "", ""),
        ("<think>why</think>because", False, "why", "because"),
        ("\n<think>\nwhy\n</think>\n\nbecause", False, "why", "because"),
        ("<think></think>so", False, "", "so"),
        ("why</think>because", True, "why", "because"),
        ("<think>never ends", False, "never ends", ""),
        ("<thin", False, "", "<thin"),
        ("a <think>b</think>", False, "", "a <think>b</think>"),
        ("<think>a</thin", False, "a</thin", ""),
        ("<think>1 < 2</think>yes </think>", False, "1 < 2", "yes </think>"),
    ],
)
def test_what_an_answer_begins_with_is_its_reasoning(
    text: str, thinking: bool, thought: str, said: str
) -> None:
    assert split(text, thinking=thinking) == (thought, said)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "/", "think", " ", "a", "\n"])),
    st.lists(st.integers(0, 60)),
    st.booleans(),
)
def test_cuts_lose_nothing_and_add_nothing(
    parts: list[str], cuts: list[int], thinking: bool
) -> None:
    text = "".join(parts)
    whole, cut = split(text, thinking=thinking), split(text, *cuts, thinking=thinking)
    assert cut[1].split() == whole[1].split()
    assert "".join(cut[0].split()) == "".join(whole[0].split())
    kept = "".join((whole[0] + whole[1]).split())
    assert kept in "".join(text.replace("<think>", "", 1).replace("</think>", "", 1).split()) or (
        kept == "".join(text.split())
        or kept == "".join(text.replace("</think>", "", 1).split())
        or kept == "".join(text.replace("<think>", "", 1).split())
    )
