from __future__ import annotations

import re

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from modeldeck.tui.widgets.transcript import MOST_SHOWN, QUESTION_LINES, Question, Transcript
from modeldeck.tui.widgets.turn import Turn


class OneTranscript(App[None]):
    def __init__(self, mounted: int = 60) -> None:
        super().__init__()
        self.transcript = Transcript(interval_s=0, mounted=mounted)

    def compose(self) -> ComposeResult:
        yield self.transcript


def conversation(messages: int) -> list[Turn]:
    return [
        Turn("user" if n % 2 == 0 else "assistant", f"message {n}", "m") for n in range(messages)
    ]


def shown(app: OneTranscript) -> str:
    """The screen's text without the scrollbar."""
    strips = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]
    return "\n".join(strip.text[:-1].rstrip() for strip in strips)


async def settle(pilot: Pilot[None]) -> None:
    for _ in range(4):
        await pilot.pause()


async def test_a_short_conversation_stands_at_the_top() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 12)) as pilot:
        await app.transcript.ask("why?")
        answer = await app.transcript.answer("qwen3 14b")
        answer.append("because")
        answer.finish()
        await settle(pilot)
        assert shown(app).splitlines()[:6] == [
            " you",
            "   why?",
            "",
            " qwen3 14b",
            "   because",
            "",
        ]


async def test_a_growing_answer_is_followed_to_its_end() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 12)) as pilot:
        answer = await app.transcript.answer("m")
        for number in range(40):
            answer.append(f"line {number}\n\n")
            await settle(pilot)
        assert "line 39" in shown(app)
        assert "line 1\n" not in shown(app)


async def test_who_scrolls_away_is_left_alone_until_they_come_back() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 12)) as pilot:
        answer = await app.transcript.answer("m")
        answer.append("\n\n".join(f"line {n}" for n in range(40)))
        await settle(pilot)
        app.transcript.scroll_by("page_up")
        await settle(pilot)
        before = shown(app)
        answer.append("\n\nand more\n\nand more")
        await settle(pilot)
        assert shown(app) == before
        app.transcript.scroll_by("end")
        answer.append("\n\nthe end")
        await settle(pilot)
        assert "the end" in shown(app)


async def test_asking_follows_the_conversation_again() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 12)) as pilot:
        await app.transcript.show(conversation(30))
        await settle(pilot)
        app.transcript.scroll_by("home")
        await settle(pilot)
        await app.transcript.ask("what now?")
        await settle(pilot)
        assert "what now?" in shown(app)


async def test_a_long_chat_mounts_only_its_end_and_more_when_the_top_is_reached() -> None:
    app = OneTranscript(mounted=30)
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        await transcript.show(conversation(100))
        await settle(pilot)
        assert "message 99" in shown(app)
        assert (len(transcript.messages), transcript.earlier_count) == (30, 70)
        transcript.scroll_to(y=0, animate=False, immediate=True)
        await settle(pilot)
        assert (len(transcript.messages), transcript.earlier_count) == (42, 58)
        # What was at the top still is: the earlier messages came above it.
        assert "message 70" in shown(app)
        for _ in range(200):
            transcript.scroll_by("page_up")
            await settle(pilot)
            if transcript.earlier_count == 0 and transcript.scroll_y == 0:
                break
        assert "message 0" in shown(app)
        assert "earlier" not in shown(app)
        transcript.scroll_by("end")
        await settle(pilot)
        assert (len(transcript.messages), transcript.earlier_count) == (30, 70)
        assert "message 99" in shown(app)


async def test_a_tall_terminal_is_filled() -> None:
    app = OneTranscript(mounted=4)
    async with app.run_test(size=(40, 60)) as pilot:
        await app.transcript.show(conversation(200))
        await settle(pilot)
        await settle(pilot)
        assert shown(app).splitlines()[0].strip(), "something up to the first row"
        assert "message 199" in shown(app)
        assert 15 <= len(app.transcript.messages) <= 40


async def test_the_line_above_the_oldest_message_counts_the_others() -> None:
    app = OneTranscript(mounted=4)
    async with app.run_test(size=(40, 10)) as pilot:
        await app.transcript.show(conversation(6))
        await settle(pilot)
        app.transcript.scroll_to(y=1, animate=False)
        await settle(pilot)
        app.transcript.scroll_up(animate=False)
        assert app.transcript.earlier_line.lay_out(40)[0].plain == " … 2 earlier messages: pgup"


async def test_a_chat_that_goes_on_and_on_keeps_few_widgets_and_loses_nothing() -> None:
    app = OneTranscript(mounted=10)
    async with app.run_test(size=(40, 12)) as pilot:
        for number in range(40):
            await app.transcript.ask(f"question {number}")
        await settle(pilot)
        assert len(app.transcript.messages) <= 30
        assert len(app.transcript.messages) + app.transcript.earlier_count == 40
        assert "question 39" in shown(app)


async def test_a_conversation_takes_the_place_of_another() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 12)) as pilot:
        await app.transcript.show(conversation(30))
        await settle(pilot)
        await app.transcript.show([Turn("user", "only this")])
        await settle(pilot)
        assert shown(app).split() == ["you", "only", "this"]


async def test_what_the_user_typed_is_never_markup() -> None:
    question = Question("[/] [red]x[/red] **b** \x1b[31m <b>")
    assert question.lay_out(60)[1].plain == "   [/] [red]x[/red] **b** [31m <b>"


async def test_a_pasted_book_is_folded() -> None:
    question = Question("\n".join(f"line {n}" for n in range(10_000)))
    lines = question.lay_out(60)
    assert len(lines) == QUESTION_LINES + 2
    assert lines[-1].plain == "   … 9,960 more lines"
    assert question.turn.text.endswith("line 9999")


async def test_however_far_up_the_user_reads_few_messages_are_laid_out() -> None:
    app = OneTranscript(mounted=30)
    async with app.run_test(size=(40, 30)) as pilot:
        transcript = app.transcript
        await transcript.show(conversation(120))
        await settle(pilot)
        while transcript.earlier_count:
            transcript.scroll_to(y=0, animate=False, immediate=True)
            await settle(pilot)
        transcript.scroll_to(y=0, animate=False, immediate=True)
        await settle(pilot)
        assert "message 0" in shown(app)
        laid_out = [message for message in transcript.messages if message.display]
        assert len(laid_out) == MOST_SHOWN
        assert len(transcript.messages) == 120, "and none of the others is lost"
        pages: list[list[int]] = []
        while not pages or 119 not in pages[-1]:
            assert len(pages) < 60
            pages.append([int(n) for n in re.findall(r"message (\d+)", shown(app))])
            transcript.scroll_by("page_down")
            await settle(pilot)
        assert {n for page in pages for n in page} == set(range(120)), "all are met on the way"
        tops = [page[0] for page in pages]
        assert tops == sorted(tops), "and the page never jumps back"


@pytest.mark.parametrize("length", [3, 30, 31, 120])
async def test_home_is_the_beginning_and_every_message_is_on_the_way_back(length: int) -> None:
    app = OneTranscript(mounted=30)
    async with app.run_test(size=(40, 30)) as pilot:
        transcript = app.transcript
        await transcript.show(conversation(length))
        await settle(pilot)
        transcript.scroll_by("home")
        await settle(pilot)
        await settle(pilot)
        assert "message 0" in shown(app)
        assert "earlier" not in shown(app)
        assert len(transcript.messages) <= 60
        assert transcript.earlier_count + len(transcript.messages) == length
        pages: list[list[int]] = []
        while not pages or length - 1 not in pages[-1]:
            assert len(pages) < 60
            pages.append([int(n) for n in re.findall(r"message (\d+)", shown(app))])
            transcript.scroll_by("page_down")
            await settle(pilot)
        assert {n for page in pages for n in page} == set(range(length)), "all are met on the way"
        tops = [page[0] for page in pages]
        assert tops == sorted(tops), "and the page never jumps back"


@pytest.mark.parametrize("pages_down", [0, 1, 4])
async def test_end_comes_back_from_the_beginning(pages_down: int) -> None:
    app = OneTranscript(mounted=30)
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        await transcript.show(conversation(120))
        await settle(pilot)
        for _ in range(2):
            transcript.scroll_by("home")
            await settle(pilot)
            await settle(pilot)
            assert "message 0" in shown(app)
            for _ in range(pages_down):
                transcript.scroll_by("page_down")
                await settle(pilot)
            transcript.scroll_by("end")
            await settle(pilot)
            await settle(pilot)
            assert "message 119" in shown(app)
            assert (len(transcript.messages), transcript.earlier_count) == (30, 90)
        said = [int(re.findall(r"\d+", turn.turn.text)[0]) for turn in transcript.messages]
        assert said == list(range(90, 120))
        transcript.scroll_by("page_up")
        await settle(pilot)
        for _ in range(200):
            transcript.scroll_by("page_up")
            await settle(pilot)
            if transcript.earlier_count == 0 and transcript.scroll_y == 0:
                break
        assert "message 0" in shown(app)


async def test_an_answer_goes_on_while_the_beginning_is_read() -> None:
    app = OneTranscript(mounted=30)
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        await transcript.show(conversation(120))
        answer = await transcript.answer("m")
        transcript.scroll_by("home")
        await settle(pilot)
        await settle(pilot)
        before = shown(app)
        answer.append("\n\n".join(f"line {n}" for n in range(40)))
        await settle(pilot)
        assert shown(app) == before
        transcript.scroll_by("end")
        await settle(pilot)
        await settle(pilot)
        assert "line 39" in shown(app)


async def test_asking_from_far_up_comes_back_to_the_end() -> None:
    app = OneTranscript(mounted=30)
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        await transcript.show(conversation(120))
        await settle(pilot)
        transcript.scroll_by("home")
        await settle(pilot)
        await settle(pilot)
        assert "message 119" not in shown(app)
        await transcript.ask("and now?")
        await settle(pilot)
        assert "and now?" in shown(app)
        assert "message 119" in shown(app)
        assert all(message.display for message in transcript.messages)
        assert len(transcript.messages) + transcript.earlier_count == 121
