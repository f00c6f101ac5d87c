"""The system prompt and the sampling parameters, edited inside the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, TextArea

from modeldeck.engines.chat import Sampling
from modeldeck.engines.text import clean, clean_line
from modeldeck.tui.presets import Preset, load_presets, preset_like
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.sampling_fields import (
    FIELDS,
    FieldName,
    Problem,
    SamplingField,
    parsed,
    sampling_of,
    texts_of,
)


class SamplingRow(Horizontal):
    """A parameter: label, field, and beside them what it does or what is wrong with it."""

    field_input = getters.query_one(Input)
    message = getters.query_one("#message", Line)

    def __init__(self, field: SamplingField, text: str) -> None:
        super().__init__(classes="row")
        self.field = field
        self._text = text

    def compose(self) -> ComposeResult:
        """Three cells."""
        label = Line(Content(self.field.label))
        label.add_class("label")
        yield label
        yield Input(self._text, placeholder="default", select_on_focus=False)
        yield Line(id="message")

    def on_mount(self) -> None:
        """Say what the parameter does."""
        self.field_input.cursor_blink = False
        self.show_message()

    @property
    def text(self) -> str:
        """What is typed."""
        return self.field_input.value

    def show_message(self) -> None:
        """What is wrong with the text, else what the parameter does."""
        value = parsed(self.field, self.text)
        self.set_class(isinstance(value, Problem), "-problem")
        if isinstance(value, Problem):
            self.message.show(Content(f"✕ {value.cause} {value.next_step}"))
        else:
            self.message.show(Content(self.field.hint))


class PresetRow(Horizontal):
    """The name of a preset: typed whole, it fills the fields above."""

    field_input = getters.query_one(Input)
    message = getters.query_one("#message", Line)

    def __init__(self, presets: tuple[Preset, ...], name: str) -> None:
        super().__init__(classes="row")
        self.presets = presets
        self._preset_name = name

    def compose(self) -> ComposeResult:
        """Three cells, as the parameters have them."""
        label = Line(Content("preset"))
        label.add_class("label")
        yield label
        yield Input(self._preset_name, placeholder="none", select_on_focus=True)
        yield Line(id="message")

    def on_mount(self) -> None:
        """Say what there is to choose from."""
        self.field_input.cursor_blink = False
        self.show_message()

    def show_message(self) -> None:
        """What the preset is good for, else the names."""
        names = ", ".join(preset.name for preset in self.presets)
        self.message.show(Content(self.chosen.hint if self.chosen else names))

    @property
    def chosen(self) -> Preset | None:
        """The preset whose name is typed."""
        typed = self.field_input.value.strip().lower()
        return next((preset for preset in self.presets if preset.name == typed), None)

    def show(self, sampling: Sampling) -> None:
        """Name the preset that ``sampling`` is, unless the user is typing here."""
        if not self.field_input.has_focus:
            found = preset_like(self.presets, sampling)
            with self.prevent(Input.Changed):
                self.field_input.value = found.name if found else ""
        self.show_message()


class ChatSettings(VerticalScroll):
    """An inline panel that says ``Changed`` whenever every field makes sense."""

    DEFAULT_CSS = """
    ChatSettings {
        height: auto;
        max-height: 16;
        border: round $primary;
        border-title-color: $primary;
        padding: 0 1;
        background: $surface;
        scrollbar-size-vertical: 1;
    }
    ChatSettings .row { height: 1; }
    ChatSettings .row .label { width: 16; color: $text-muted; }
    ChatSettings .row Input, ChatSettings .row Input:focus {
        width: 14; height: 1; border: none; padding: 0 1; background: $boost;
    }
    ChatSettings .row Input:focus { text-style: underline; }
    ChatSettings .row #message { margin-left: 2; color: $text-muted; }
    ChatSettings .row.-problem #message { color: $text-error; text-style: bold; }
    ChatSettings TextArea, ChatSettings TextArea:focus {
        height: 3; border: none; padding: 0 1; background: $boost; margin-bottom: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", show=False),
        Binding("up", "step(-1)", "the field above", show=False),
        Binding("down", "step(1)", "the field below", show=False),
    ]

    @dataclass
    class Changed(Message):
        """The settings for the next message."""

        system_prompt: str
        sampling: Sampling

    class Closed(Message):
        """The user is done."""

    prompt = getters.query_one(TextArea)
    preset = getters.query_one(PresetRow)

    def __init__(
        self,
        system_prompt: str = "",
        sampling: Sampling | None = None,
        *,
        kept_for: str = "",
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Make the panel for settings as they are now; a model they are kept for stands in it."""
        super().__init__(id=id, can_focus=False)
        self._told = self.Changed(system_prompt, sampling or Sampling())
        kept = f", kept for {clean_line(kept_for, 30)}" if kept_for else ""
        self.border_title = Content(f"system prompt and sampling{kept}")
        self.border_subtitle = Content("tab next field   esc close")

    def compose(self) -> ComposeResult:
        """The prompt above the parameters."""
        yield TextArea(
            self._told.system_prompt,
            soft_wrap=True,
            highlight_cursor_line=False,
            placeholder=Content("system prompt: none"),
            compact=True,
        )
        texts = texts_of(self._told.sampling)
        for field in FIELDS:
            yield SamplingRow(field, texts[field.name])
        presets = load_presets()
        found = preset_like(presets, self._told.sampling)
        yield PresetRow(presets, found.name if found else "")

    def on_mount(self) -> None:
        """Ready to type."""
        self.prompt.cursor_blink = False
        self.prompt.focus()

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _edited(self, event: Input.Changed | TextArea.Changed) -> None:
        event.stop()
        rows = list(self.query(SamplingRow))
        if event.control is self.preset.field_input:
            self._take_preset(rows)
        for row in rows:
            row.show_message()
        texts: dict[FieldName, str] = {row.field.name: row.text for row in rows}
        sampling = sampling_of(texts)
        if sampling is None:
            return
        self.preset.show(sampling)
        changed = self.Changed(clean(self.prompt.text).strip(), sampling)
        told = self._told
        if (changed.system_prompt, sampling) != (told.system_prompt, told.sampling):
            self._told = changed
            self.post_message(changed)

    def _take_preset(self, rows: Sequence[SamplingRow]) -> None:
        preset = self.preset.chosen
        if preset is None:
            return
        texts = texts_of(preset.over(self._told.sampling))
        with self.prevent(Input.Changed):
            for row in rows:
                row.field_input.value = texts[row.field.name]

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_step(1)

    def action_step(self, step: int) -> None:
        """Move the focus to the next field or the one before; it stays inside."""
        rows = [*self.query(SamplingRow), self.preset]
        fields = [self.prompt, *(row.field_input for row in rows)]
        here = next((i for i, field in enumerate(fields) if field.has_focus), 0)
        fields[max(0, min(here + step, len(fields) - 1))].focus()

    def action_close(self) -> None:
        """Close the panel."""
        self.post_message(self.Closed())
