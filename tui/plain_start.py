"""What a command without options asks for: nothing. Saves the parser, which takes 15 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from modeldeck.tui.terminal import ColorChoice


class PlainStart:
    """Stands for the parsed options of a command line without any."""

    config: ClassVar[str | None] = None
    gpu: ClassVar[str | None] = None
    vram: ClassVar[str | None] = None
    theme: ClassVar[str | None] = None
    color: ClassVar[ColorChoice | None] = None
    no_mouse: ClassVar[bool] = False
    json: ClassVar[bool] = False
