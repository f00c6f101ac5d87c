from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message

from modeldeck.tui.widgets.prompt import History, Prompt

DECK_KEYS = ("ctrl+o", "ctrl+r", "ctrl+n", "ctrl+t", "ctrl+g", "ctrl+p", "escape", "ctrl+q")


class OnePrompt(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, prompt: Prompt | None = None) -> None:
        super().__init__()
        self.prompt = prompt or Prompt(placeholder="[/] ask")
        self.seen: list[Message] = []
        self.reached: list[str] = []
        for key in (*DECK_KEYS[:-1], "q", "4", "y", "question_mark"):
            self.bind(key, f"reach('{key}')")

    def compose(self) -> ComposeResult:
        yield self.prompt

    async def action_quit(self) -> None:
        self.reached.append("ctrl+q")

    def action_reach(self, key: str) -> None:
        self.reached.append(key)

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        self.seen.append(message)

    def on_prompt_scroll_asked(self, message: Prompt.ScrollAsked) -> None:
        self.seen.append(message)

    def sent(self) -> list[str]:
        return [m.text for m in self.seen if isinstance(m, Prompt.Submitted)]

    def scrolled(self) -> list[str]:
        return [m.where for m in self.seen if isinstance(m, Prompt.ScrollAsked)]


async def test_enter_sends_and_ctrl_j_starts_a_line() -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        await pilot.press("a", "ctrl+j", "b", "enter")
        assert app.sent() == ["a\nb"]
        assert app.prompt.text == ""
        await pilot.press("space", "ctrl+j", "enter")
        assert app.sent() == ["a\nb"]


async def test_letters_type_and_the_decks_own_keys_pass() -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        await pilot.press("q", "4", "y", "question_mark")
        assert (app.prompt.text, app.reached) == ("q4y?", [])
        await pilot.press(*DECK_KEYS)
        while len(app.reached) < len(DECK_KEYS):
            await pilot.pause(0.01)
        assert app.reached == list(DECK_KEYS)
        assert app.prompt.text == "q4y?"


async def test_the_user_may_send_with_another_key() -> None:
    app = OnePrompt(Prompt(send_keys=("ctrl+s",), newline_keys=()))
    async with app.run_test() as pilot:
        await pilot.press("a", "enter", "b", "ctrl+s")
        assert app.sent() == ["a\nb"]


async def test_it_grows_to_six_rows_and_back() -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        heights: list[int] = []
        for _ in range(8):
            await pilot.press("a", "ctrl+j")
            await pilot.pause()
            heights.append(app.prompt.size.height)
        assert heights == [2, 3, 4, 5, 6, 6, 6, 6]
        await pilot.press("enter")
        await pilot.pause()
        assert app.prompt.size.height == 1


async def test_page_keys_move_the_transcript_and_home_and_end_do_when_nothing_is_typed() -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        await pilot.press("pageup", "pagedown", "home", "end", "a", "b", "home", "c")
        assert app.scrolled() == ["page_up", "page_down", "home", "end"]
        assert app.prompt.text == "cab"


async def test_up_and_down_walk_what_was_sent_and_keep_the_draft() -> None:
    app = OnePrompt(Prompt(sent=["old"]))
    async with app.run_test() as pilot:
        await pilot.press("n", "e", "w", "enter", "d")
        shown: list[str] = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await pilot.press(key)
            shown.append(app.prompt.text)
        assert shown == ["new", "old", "old", "new", "d", "d"]


async def test_up_moves_within_a_message_of_several_rows() -> None:
    app = OnePrompt(Prompt(sent=["old"]))
    async with app.run_test() as pilot:
        await pilot.press("a", "ctrl+j", "b", "up")
        assert app.prompt.text == "a\nb"
        await pilot.press("up")
        assert app.prompt.text == "old"


async def test_a_paste_is_cleaned_of_control_characters() -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        app.prompt.post_message(events.Paste("a\x1b]0;t\x07b\r\nc\u202ed"))
        await pilot.pause()
        assert app.prompt.text == "a]0;tb\ncd"


@pytest.mark.parametrize("line", ["word " * 200_000, "a line of text\n" * 70_000, "字" * 1_000_000])
async def test_a_huge_paste_is_a_mark_that_is_sent_whole(line: str) -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        started = time.perf_counter()
        app.prompt.post_message(events.Paste(line))
        await pilot.pause()
        await pilot.press("x")
        assert time.perf_counter() - started < 2
        assert app.prompt.text == f"[pasted text 1: {len(line):,} characters]x"
        await pilot.press("enter")
        assert app.sent() == [line + "x"]


async def test_a_mark_that_was_typed_is_just_text() -> None:
    app = OnePrompt()
    async with app.run_test() as pilot:
        app.prompt.put("[pasted text 1: 9 characters]")
        await pilot.press("enter")
        assert app.sent() == ["[pasted text 1: 9 characters]"]


@given(st.lists(st.sampled_from("abc"), max_size=8), st.text(max_size=3))
def test_history_walked_to_its_end_and_back_gives_the_draft(sent: list[str], draft: str) -> None:
    history = History()
    for text in sent:
        history.add(text)
    walked: list[str] = []
    shown = draft
    while (older := history.older(shown)) is not None:
        walked.append(older)
        shown = older
    distinct = [text for i, text in enumerate(sent) if i == 0 or sent[i - 1] != text]
    assert walked == distinct[::-1]
    while (newer := history.newer()) is not None:
        shown = newer
    assert shown == draft
