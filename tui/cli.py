"""The command line: the same core as the deck, without importing Textual.

Exit codes: 0 ok, 1 failed, 2 usage, 3 does not fit, 128 + n ended by signal n.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys

# ``--version`` answers at once: everything else is imported when a command needs it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from typing import NoReturn

OK, FAILED = 0, 1
_INTERRUPTED = 128 + 2
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, or open the deck. Returns the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _prepare_streams()
    gc.disable()  # nothing made while starting is garbage: looking for it is a tenth of the time
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return FAILED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        from modeldeck.tui.printing import complain, note

        _give_up_stdout()
        complain(f"The output cannot be written: {error.strerror}.")
        note("next: make room, or write it somewhere else.")
        return FAILED
    finally:
        gc.enable()
    return code


def run() -> NoReturn:
    """The program: ``main``, and out.

    A command that made no event loop leaves no thread, child or temporary folder to be ended: what
    Python would spend on taking its modules apart, an eighth of ``ls``, is saved.
    """
    code = main()
    if "asyncio" in sys.modules:
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _prepare_streams() -> None:
    """Make the three streams usable, whatever the caller has made of them.

    One that is closed (``>&-``) becomes the null device, before a database or a socket takes its
    number. What cannot be decoded or encoded is marked; it is no reason to fail.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _give_up_stdout() -> None:
    """What is still to be written goes nowhere, so that Python's own last flush succeeds."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _run(words: Sequence[str]) -> int:
    if "--version" in words[:1]:
        return _say_version()
    from modeldeck.engines.errors import ModeldeckError
    from modeldeck.tui.printing import report

    try:
        if not words:
            return _plain_start()
        return _plain_list() if words == ["ls"] else _parsed(words)
    except ModeldeckError as error:
        report(error)
        return FAILED


def _plain_start() -> int:
    from modeldeck.tui.deck import open_deck  # Textual: about 0.3 s
    from modeldeck.tui.plain_start import PlainStart

    return open_deck(PlainStart())


def _plain_list() -> int:
    from modeldeck.tui.commands import list_models
    from modeldeck.tui.plain_start import PlainStart

    return list_models(PlainStart())


def _parsed(words: Sequence[str]) -> int:
    from modeldeck.tui.arguments import command_line

    parser = command_line()
    try:
        options = parser.parse_args(words)
        if options.gpu and options.vram:
            parser.error("--gpu and --vram both name the card; give one of them")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else OK
    return _say_version() if options.version else _command(options)


def _command(options: Namespace) -> int:
    match options.command:
        case None:
            from modeldeck.tui.deck import open_deck

            return open_deck(options)
        case "chat" | "demo":
            gc.enable()
            from modeldeck.tui.chat_command import run_chat  # asyncio and httpx: about 0.15 s

            return run_chat(options)
        case name:
            from modeldeck.tui.commands import run_command  # SQLite and the readers: about 0.05 s

            return run_command(name, options)


def _say_version() -> int:
    print(f"modeldeck {_version()}")  # noqa: T201
    return OK


def _version() -> str:
    """The version that is installed, from the name of the folder that an installer keeps it in."""
    first, last = "modeldeck-", ".dist-info"
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if name.startswith(first) and name.endswith(last):
                return name[len(first) : -len(last)]
    from importlib.metadata import version  # 30 ms

    return version("modeldeck")


if __name__ == "__main__":
    run()
