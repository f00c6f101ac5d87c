"""The error tree that all rooms share: every error says its cause and the next step."""

from __future__ import annotations


class ModeldeckError(Exception):
    """An error a user may read.

    Attributes:
        cause: one sentence: what went wrong.
        next_step: one sentence: what to do now. Never empty.
    """

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(f"{cause} {next_step}")
        self.cause = cause
        self.next_step = next_step


class FormatError(ModeldeckError):
    """A model file's header cannot be read: not the format, cut short, or hostile."""


class ModelNotFound(ModeldeckError):
    """No model answers to the name that was given, or more than one does."""


class EngineError(ModeldeckError):
    """An engine failed.

    Attributes:
        log_tail: the last lines the engine wrote, newest last; may be empty.
    """

    def __init__(self, cause: str, next_step: str, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(cause, next_step)
        self.log_tail = log_tail


class EngineMissing(EngineError):
    """The engine is not installed here.

    Attributes:
        command: what to type to install it; empty where it is no command.
    """

    def __init__(
        self, cause: str, next_step: str, log_tail: tuple[str, ...] = (), *, command: str = ""
    ) -> None:
        super().__init__(cause, next_step, log_tail)
        self.command = command


class LoadFailed(EngineError):
    """The engine did not load the model."""


class EngineDied(EngineError):
    """The engine's process ended while it was needed."""


class RequestRefused(EngineError):
    """The engine is alive but refused this request (a prompt longer than the context, say)."""


class SettingsError(ModeldeckError):
    """A settings file or an option is not usable."""
