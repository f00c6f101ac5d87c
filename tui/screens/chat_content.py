"""What the chat shows, made from what the deck knows."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from modeldeck.engines.images import image_line
from modeldeck.engines.meter import Reading
from modeldeck.engines.store.conversations import Message
from modeldeck.engines.units import tokens_text
from modeldeck.tui.branch import Branch
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.sight import blind_words
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.model_picker import PickerRow
from modeldeck.tui.widgets.model_rows import Entry, size_text, verdict_cell
from modeldeck.tui.widgets.throughput_lines import PanelData, tokens_per_joule
from modeldeck.tui.widgets.turn import Turn


def turn_of(message: Message, fork: str = "") -> Turn:
    """A kept message as the transcript shows it."""
    notes = {"stopped": "stopped", "failed": f"failed: {message.error}", "done": message.error}
    return Turn(
        role="user" if message.role == "user" else "assistant",
        text=message.text,
        name=message.model,
        reasoning=message.reasoning,
        note=notes.get(message.state, ""),
        thought_seconds=None if message.thought_ns is None else message.thought_ns / 1e9,
        thought_tokens=message.thought_tokens,
        fork=fork,
        images=tuple(image_line(image) for image in message.images),
    )


def turns_of(branch: Branch) -> list[Turn]:
    """A branch as the transcript shows it."""
    forks = branch.forks
    return [turn_of(kept, str(forks.get(kept.id, ""))) for kept in branch.messages]


def title_of(state: DeckState, switch_key: str, *, settings_changed: bool = False) -> Content:
    """The model that is loaded or being loaded, else the key that picks one.

    A system prompt or sampling that the user has set is said: it may be remembered from long ago.
    """
    loaded, loading = state.loaded, state.loading
    if loading is not None:
        share = loading.progress.fraction
        percent = f" {share:.0%}" if share is not None else ""
        return Content.assemble(
            (f" {loading.model.name}", "bold"), f"   loading: {loading.progress.stage}{percent}"
        )
    if loaded is not None:
        header = loaded.model.header
        quantisation = f" {header.quantisation}" if header else ""
        where = f"   {loaded.engine} on {loaded.device}   ctx "
        return Content.assemble(
            (f" {loaded.model.name}{quantisation}", "bold"),
            (f"{where}{tokens_text(loaded.context_tokens)} {loaded.plan.kv_type}", "$text-muted"),
            ("   your settings" if settings_changed else "", "$text-accent"),
        )
    return Content.styled(f" no model loaded   {switch_key} picks one", "$text-muted")


def panel_of(state: DeckState, reading: Reading, used: ContextUse | None) -> PanelData:
    """The throughput panel: a reading, with the machine and the model it was taken on."""
    loaded, hardware = state.loaded, state.hardware
    on_gpu = loaded is not None and not loaded.device.startswith("CPU")
    gpu = hardware.gpus[0] if hardware and hardware.gpus and on_gpu else None
    return PanelData(
        reading=reading,
        model=loaded.model.name if loaded else "",
        engine=loaded.engine if loaded else "",
        context_use=used,
        context_total_tokens=loaded.context_tokens if loaded else None,
        gpu=gpu,
        host=hardware.host if hardware else None,
        engine_memory_bytes=state.engine_memory_bytes,
        tokens_per_joule=tokens_per_joule(reading, gpu),
    )


def picker_rows(state: DeckState) -> Sequence[PickerRow]:
    """The models that can be switched to."""
    rows: list[PickerRow] = []
    for model in state.models:
        if model.problem is None:
            hint = verdict_cell(Entry(model, state.verdicts.get(model.id))).text
            rows.append(PickerRow(model.id, model.name, f"{size_text(model.size_bytes)}  {hint}"))
    return rows


def no_sight(state: DeckState) -> tuple[str, str] | None:
    """Why no image can be shown to the model now, and what to do; None when one can."""
    loaded = state.loaded
    if loaded is None:
        return "No model is loaded that could see an image.", "Load one first."
    return None if loaded.sees_images else blind_words(loaded)
