"""Pulls that follow a script, and remember what was asked of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.pulls.types import FileProgress, PullProgress, PullState
from modeldeck.tui.pulls_state import PullsNews
from tests.support.scripted_hub import NOW

GB = 10**9


def pull(
    name: str,
    state: PullState,
    done: float = 0.0,
    total: float | None = 8.4,
    rate: float | None = None,
) -> PullProgress:
    """A pull of one model and its projector; sizes in GB, the rate in MB/s."""
    done_bytes, total_bytes = int(done * GB), int(total * GB) if total is not None else None
    small = int(0.9 * GB)
    first = None if total_bytes is None else total_bytes - small
    files = (
        FileProgress(f"{name}-Q4_K_M.gguf", min(done_bytes, first or done_bytes), first),
        FileProgress("mmproj-F16.gguf", max(0, done_bytes - (first or done_bytes)), small),
    )
    left = (total_bytes - done_bytes) / (rate * 1e6) if rate and total_bytes else None
    return PullProgress(
        id=name,
        target=f"hf:unsloth/{name}-GGUF:Q4_K_M",
        title=f"{name} Q4_K_M",
        state=state,
        priority=0,
        files=files,
        done_bytes=done_bytes,
        total_bytes=total_bytes,
        bytes_per_second=rate * 1e6 if rate else None,
        seconds_left=left,
        asked_at=NOW - 4000,
        ended_at=NOW - 1800 if state.is_final else None,
    )


class ScriptedPulls:
    """Tells what the test says; what is asked of it is remembered and, where simple, done."""

    def __init__(self, *pulls: PullProgress, limit: int | None = None) -> None:
        self.news = PullsNews(pulls, limit, running=bool(pulls))
        self.asked: list[tuple[str, object]] = []
        self.fails: ModeldeckError | None = None
        self._changed = threading.Event()

    def tell(self, *pulls: PullProgress) -> None:
        """Say that the pulls stand like this now."""
        self.news = self.news._replace(pulls=pulls)
        self._changed.set()

    def turn(self, pull_id: str, state: PullState) -> None:
        """Say that one pull is in another state now."""
        self.tell(
            *(replace(one, state=state) if one.id == pull_id else one for one in self.news.pulls)
        )

    def now(self) -> float:
        """A day of the script."""
        return NOW

    def watch(self, on_news: Callable[[PullsNews], None], should_stop: Callable[[], bool]) -> None:
        """Tell every change."""
        if self.fails is not None:
            raise self.fails
        on_news(self.news)
        while not should_stop():
            if self._changed.wait(0.02):
                self._changed.clear()
                on_news(self.news)

    def _ask(self, verb: str, about: object) -> None:
        self.asked.append((verb, about))
        if self.fails is not None:
            raise self.fails

    def add(self, targets: Sequence[str]) -> None:
        """Queue them."""
        self._ask("add", tuple(targets))
        new = (pull(one.rpartition("/")[2], PullState.QUEUED) for one in targets)
        self.tell(*self.news.pulls, *new)

    def pause(self, pull_id: str) -> None:
        """Pause it."""
        self._ask("pause", pull_id)
        self.turn(pull_id, PullState.PAUSED)

    def resume(self, pull_id: str) -> None:
        """Let it go on."""
        self._ask("resume", pull_id)
        self.turn(pull_id, PullState.RUNNING)

    def retry(self, pull_id: str) -> None:
        """Queue it again."""
        self._ask("retry", pull_id)
        self.turn(pull_id, PullState.QUEUED)

    def cancel(self, pull_id: str) -> None:
        """End it."""
        self._ask("cancel", pull_id)
        self.turn(pull_id, PullState.CANCELLED)

    def first(self, pull_id: str) -> None:
        """Remember it."""
        self._ask("first", pull_id)

    def limit(self, bytes_per_second: int | None) -> None:
        """Limit the rate."""
        self._ask("limit", bytes_per_second)
        self.news = self.news._replace(limit_bytes_per_second=bytes_per_second)
        self._changed.set()

    def clear(self) -> None:
        """Forget what has ended."""
        self._ask("clear", None)
        self.tell(*(one for one in self.news.pulls if not one.state.is_final))
