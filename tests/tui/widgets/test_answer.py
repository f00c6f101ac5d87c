from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message

from modeldeck.tui.widgets.answer import Answer
from modeldeck.tui.widgets.turn import Turn


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class OneAnswer(App[None]):
    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.links: list[str] = []

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield self.answer

    def on_answer_link_clicked(self, message: Answer.LinkClicked) -> None:
        self.links.append(message.url)


def shown(answer: Answer, width: int = 60) -> list[str]:
    return [line.plain for line in answer.lay_out(width)]


async def test_text_is_drawn_at_once_and_then_in_batches() -> None:
    clock = Clock()
    answer = Answer("qwen3 14b", interval_s=60, clock=clock)
    async with OneAnswer(answer).run_test() as pilot:
        clock.now += 61
        answer.append("Hello")
        assert shown(answer)[1:] == ["   Hello"]
        answer.append(", world")
        await pilot.pause()
        assert shown(answer)[1:] == ["   Hello"]
        answer.finish()
        assert shown(answer)[1:] == ["   Hello, world"]


async def test_a_batch_is_drawn_when_its_time_has_come() -> None:
    answer = Answer("qwen3 14b", interval_s=0.01)
    async with OneAnswer(answer).run_test() as pilot:
        answer.append("a")
        answer.append("b")
        while shown(answer)[1:] != ["   ab"]:
            await pilot.pause(0.01)


async def test_reasoning_stands_apart_and_folds() -> None:
    clock = Clock()
    answer = Answer("qwen3 14b", interval_s=0, clock=clock)
    async with OneAnswer(answer).run_test():
        answer.append_reasoning("one\ntwo\nthree\nfour")
        clock.now += 3.2
        answer.draw()
        assert shown(answer)[1:] == [" ▸ thinking 3 s", "   two", "   three", "   four"]
        clock.now += 1
        answer.append("Answer.")
        answer.draw()
        assert shown(answer)[1:] == [" ▸ thought for 4.2 s", "   Answer."]
        answer.thought(4.1, 139)
        answer.toggle_reasoning()
        assert shown(answer)[1:] == [
            " ▾ thought for 4.1 s, 139 tokens",
            "   one",
            "   two",
            "   three",
            "   four",
            "   Answer.",
        ]
        assert answer.source == "Answer."


async def test_reasoning_is_plain_text_whatever_it_holds() -> None:
    answer = Answer("m", interval_s=0)
    async with OneAnswer(answer).run_test():
        answer.append_reasoning("**no** [/] [red]x \x1b[31m")
        assert "   **no** [/] [red]x [31m" in shown(answer)


async def test_a_stopped_answer_says_so_and_a_failed_one_says_what_to_do() -> None:
    stopped, failed = Answer("m"), Answer("m")
    stopped.append("half a sen")
    stopped.finish("stopped")
    failed.append("half a sen")
    failed.fail("The engine [died].", "Press enter on the model to load it again.")
    assert shown(stopped)[1:] == ["   half a sen", "   stopped"]
    assert shown(failed)[1:] == [
        "   half a sen",
        "   ✕ The engine [died].",
        "     Press enter on the model to load it again.",
    ]


async def test_a_link_is_told_not_opened() -> None:
    answer = Answer("m", interval_s=0)
    app = OneAnswer(answer)
    opened: list[str] = []
    app.open_url = lambda url, *, new_tab=True: opened.append(url)  # type: ignore[method-assign]
    async with app.run_test() as pilot:
        answer.append("[manual](http://a.example/x)")
        await pilot.pause()
        await pilot.click(answer, offset=(4, 1))
        await pilot.pause()
    assert app.links == ["http://a.example/x"]
    assert opened == []


async def test_an_answer_becomes_data_and_back() -> None:
    turn = Turn("assistant", "a **b**", "qwen3", "because", "stopped", 1.5, 12)
    answer = Answer.of(turn)
    assert answer.turn == turn
    assert shown(answer) == [" qwen3", " ▸ thought for 1.5 s, 12 tokens", "   a b", "   stopped"]


async def test_a_growing_answer_reserves_rows_in_steps_and_gives_them_back() -> None:
    answer = Answer("m", interval_s=0, growth_rows=4)
    async with OneAnswer(answer).run_test() as pilot:
        heights: list[int] = []
        for _ in range(6):
            answer.append("line\n\n")
            await pilot.pause()
            heights.append(answer.size.height)
        assert set(heights) <= {4, 8, 12, 16}
        answer.finish()
        await pilot.pause()
        assert answer.size.height == len(shown(answer))


async def test_text_from_before_the_screen_is_there_when_it_opens() -> None:
    answer = Answer("m")
    answer.append("early")
    async with OneAnswer(answer).run_test() as pilot:
        await pilot.pause()
        assert rendered(answer)[1].rstrip() == "   early"


async def test_the_mouse_selects_what_is_shown() -> None:
    answer = Answer.of(Turn("assistant", "one two three", "m"))
    app = OneAnswer(answer)
    async with app.run_test() as pilot:
        await pilot.mouse_down(answer, offset=(3, 1))
        await pilot.hover(answer, offset=(10, 1))
        await pilot.mouse_up(answer, offset=(10, 1))
        await pilot.pause()
        selected = app.screen.get_selected_text()
    assert selected is not None
    assert selected.startswith("one two")


def rendered(answer: Answer) -> Sequence[str]:
    return [answer.render_line(y).text for y in range(answer.size.height)]


def test_messages_are_told_apart() -> None:
    assert issubclass(Answer.LinkClicked, Message)
