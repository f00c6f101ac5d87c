"""When verdicts are due again, and what they are made of."""

from __future__ import annotations

from textual import on

from modeldeck.tui import messages
from modeldeck.tui.everywhere import EverywhereApp
from modeldeck.tui.jobs import Jobs


class JudgingApp(EverywhereApp):
    """Judges anew when the options, the card, its free memory or what was learnt change."""

    jobs: Jobs
    _rested_on = ""

    @on(messages.ModelsJudged)
    def _models_judged(self, message: messages.ModelsJudged) -> None:
        self.change(
            self.state._replace(verdicts=message.verdicts, card=message.card, memory=message.memory)
        )

        self._size_row()

    @on(messages.RowRested)
    def _row_rested(self, message: messages.RowRested) -> None:
        self._rested_on = message.model_id
        self._size_row()

    def _size_row(self) -> None:
        """Have llama.cpp itself size the model that the cursor rests on."""
        model, card = self.state.model(self._rested_on), self.state.card
        verdict = self.state.verdicts.get(self._rested_on)
        if model is not None and card is not None and verdict is not None:
            self.jobs.size(model, verdict, self.state.options, card)

    @on(messages.ModelSized)
    def _model_sized(self, message: messages.ModelSized) -> None:
        verdicts = self.state.verdicts
        if verdicts.get(message.model_id) is message.before:
            changed = {**verdicts, message.model_id: message.verdict}
            self.change(self.state._replace(verdicts=changed))

    @on(messages.HardwareSampled)
    def _hardware_sampled(self, message: messages.HardwareSampled) -> None:
        first = self.state.hardware is None
        card = self.services.cards.card(message.snapshot, self.state.what_if_card)
        moved = self.state.card is None or self.services.cards.moved(self.state.card, card)
        self.change(
            self.state._replace(
                hardware=message.snapshot,
                engine_memory_bytes=message.engine_memory_bytes,
            )
        )
        if first or moved:
            self.judge_models()

    def judge_models(self) -> None:
        """Work out every verdict for the options and the card that there are now."""
        if self.state.hardware is not None and self.state.models:
            card = self.services.cards.card(self.state.hardware, self.state.what_if_card)
            before = self.state.card
            if before is not None and not self.services.cards.moved(before, card):
                card = before
            self.jobs.judge(self.state.models, self.state.options, card)

    @on(messages.OptionsAsked)
    def _options_asked(self, message: messages.OptionsAsked) -> None:
        self.change(self.state._replace(options=message.options))
        self.judge_models()

    @on(messages.CardAsked)
    def _card_asked(self, message: messages.CardAsked) -> None:
        self.change(self.state._replace(what_if_card=message.name))
        self.judge_models()

    @on(messages.MemoryLearnt)
    def _memory_learnt(self) -> None:
        self.judge_models()
