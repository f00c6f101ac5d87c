"""The pulls as the deck knows them: what is on its way, what is asked for, what has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.pulls.types import PullProgress, PullState
from modeldeck.tui.pulls_jobs import PullsJobs
from modeldeck.tui.pulls_source import PullsSource
from modeldeck.tui.pulls_state import PullsNews, PullsState
from modeldeck.tui.state import Notice, PullsBrief


def _nothing() -> None:
    pass


class PullsDesk:
    """Holds the newest ``PullsState`` and tells whoever shows it about each new one."""

    def __init__(
        self,
        jobs: PullsJobs,
        on_brief: Callable[[PullsBrief], None],
        on_done: Callable[[tuple[PullProgress, ...]], None],
        on_notice: Callable[[Notice], None],
    ) -> None:
        """Make the desk.

        Args:
            jobs: that watch and carry out.
            on_brief: is told what the top line says, whenever that changes.
            on_done: is told the pulls that have just come to their end.
            on_notice: is told what went wrong with what was asked for.
        """
        self._jobs = jobs
        self._on_brief = on_brief
        self._on_done = on_done
        self._on_notice = on_notice
        self._tell: Callable[[PullsState], None] | None = None
        self._watching = False
        self.state = PullsState()

    def now(self) -> float:
        """Seconds since 1970, which times are counted from."""
        return self._jobs.now()

    def listen(self, tell: Callable[[PullsState], None]) -> None:
        """Have ``tell`` called with every new state."""
        self._tell = tell

    def watch(self) -> None:
        """Follow the pulls from now on; once is enough."""
        if not self._watching:
            self._watching = True
            self._jobs.watch(self._news, self._lost)

    def _change(self, state: PullsState) -> None:
        before, self.state = self.state, state
        if self._tell is not None:
            self._tell(state)
        if state.brief != before.brief:
            self._on_brief(state.brief)

    def _news(self, news: PullsNews) -> None:
        before = self.state
        self._change(before.with_news(news))
        if done := self.state.ended_since(before):
            self._on_done(done)

    def _lost(self, error: ModeldeckError) -> None:
        self._watching = False
        self._change(self.state._replace(trouble=Notice.of(error), running=False))

    def _ask(self, act: Callable[[PullsSource], None], done: Callable[[], None] = _nothing) -> None:
        self._jobs.ask(act, done, lambda error: self._on_notice(Notice.of(error)))

    # What can be asked for.

    def add(self, targets: Sequence[str], done: Callable[[], None]) -> None:
        """Have these pulled, and say when they are queued."""
        self.watch()
        self._ask(lambda source: source.add(targets), done)

    def pause_or_resume(self, pull_id: str) -> None:
        """Let a pull rest, or go on."""
        pull = self.state.pull(pull_id)
        if pull is None or pull.state.is_final:
            return
        if pull.state is PullState.PAUSED:
            self._ask(lambda source: source.resume(pull_id))
        else:
            self._ask(lambda source: source.pause(pull_id))

    def retry(self, pull_id: str) -> None:
        """Try again what failed, was cancelled or waits."""
        self._ask(lambda source: source.retry(pull_id))

    def cancel(self, pull_id: str) -> None:
        """Ask first; the second time end the pull."""
        pull = self.state.pull(pull_id)
        if pull is None or pull.state.is_final:
            return
        if self.state.asking != pull_id:
            self._change(self.state._replace(asking=pull_id))
            return
        self.keep()
        self._ask(lambda source: source.cancel(pull_id))

    def keep(self) -> None:
        """Ask no more whether to cancel."""
        if self.state.asking:
            self._change(self.state._replace(asking=""))

    def first(self, pull_id: str) -> None:
        """Do this one before the others."""
        self._ask(lambda source: source.first(pull_id))

    def limit(self, bytes_per_second: int | None) -> None:
        """What all may take together."""
        self._ask(lambda source: source.limit(bytes_per_second))

    def clear(self) -> None:
        """Forget what has ended."""
        self._ask(lambda source: source.clear())
