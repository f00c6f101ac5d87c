"""The command line with the real engine: what a shell and a person at a terminal get."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.support.machine import Machine
from tests.support.terminal import Terminal, modeldeck_command

pytestmark = pytest.mark.real

QUESTION = "How do I quit?"
WORDS = r"w\d+ w\d+"


def run(machine: Machine, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        modeldeck_command(*words),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=machine.environ(),
    )


def shut(children: list[psutil.Process]) -> bool:
    """Whether every one of them has ended."""
    _, alive = psutil.wait_procs(children, timeout=5)
    return not alive


def test_one_question_as_json(machine: Machine) -> None:
    done = run(machine, "demo", "--json", QUESTION)

    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    kinds = {
        "model": str,
        "engine": str,
        "text": str,
        "reasoning": str,
        "prompt_tokens": int,
        "completion_tokens": int,
        "ttft_ms": float,
        "prefill_tps": float,
        "decode_tps": float,
        "source": str,
    }
    assert {key: type(value) for key, value in record.items()} == kinds
    assert "`q`" in record["text"]
    assert record["source"] == "engine"
    assert record["completion_tokens"] > 3


def test_a_question_through_a_pipe(machine: Machine) -> None:
    done = run(machine, "chat", "-m", "second", "-", stdin=QUESTION + "\n")

    assert done.returncode == 0, done.stderr
    assert "`q`" in done.stdout
    assert "tok/s (engine)" in done.stderr


def test_the_engine_that_comes_along_passes_its_test(machine: Machine) -> None:
    done = run(machine, "engines", "llama-server", "--test", "--json")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["test"]["passed"]
    names = [step["name"] for step in record["test"]["steps"]]
    assert names == ["load", "answer", "counts", "tokenize", "unload"]
    named = run(machine, "engines", "ollama", "--test")
    assert named.returncode == 1
    assert "ollama" in named.stderr


def test_which_engines_there_are(machine: Machine) -> None:
    done = run(machine, "engines", "--json")

    assert done.returncode == 0, done.stderr
    (engine,) = (e for e in json.loads(done.stdout) if e["name"] == "llama_server")
    assert engine["available"] is True
    assert engine["devices"]
    assert engine["problem"] is None


def test_ctrl_c_stops_the_answer_and_keeps_what_there_is(
    machine: Machine, slow_model: Path
) -> None:
    with machine.deck("chat", "-m", str(slow_model), "hi") as shell:
        shell.wait_for(WORDS)
        children = shell.children()
        shell.press("^c")

        assert shell.wait_exit() == 130
        assert children
        assert shut(children)
        assert "tok/s (engine)" in shell.text
        assert "Traceback" not in shell.text


def test_a_person_asks_line_after_line(machine: Machine, slow_model: Path) -> None:
    with machine.deck("chat", "-m", str(slow_model)) as shell:
        shell.wait_for("^›")
        shell.type("hello")
        shell.press("ENTER")
        shell.wait_for(WORDS)
        shell.press("^c")
        shell.wait_for(r"tok/s[\s\S]*^› ?$")
        shell.type("more")
        shell.press("ENTER")
        shell.wait_for(r"more\n[\s\S]*w\d")
        shell.press("^c")
        shell.wait_for(r"more\n[\s\S]*tok/s[\s\S]*^› ?$")
        children = shell.children()
        shell.press("^d")

        assert shell.wait_exit() == 0
        assert shut(children)
        assert "Traceback" not in shell.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["answer", "prompt"])
def test_a_signal_ends_it_and_the_engine(
    machine: Machine, slow_model: Path, number: signal.Signals, moment: str
) -> None:
    words = ["hi"] if moment == "answer" else []
    with machine.deck("chat", "-m", str(slow_model), *words) as shell:
        shell.wait_for(WORDS if words else "^›")
        children = shell.children()
        shell.send_signal(number)

        assert shell.wait_exit() == 128 + number
        assert children
        assert shut(children)
        assert "Traceback" not in shell.text


def test_in_the_background_it_ends_on_sigterm_all_the_same(
    machine: Machine, slow_model: Path
) -> None:
    """A shell without job control starts ``… &`` with ctrl+c ignored."""
    chat = modeldeck_command("chat", "-m", str(slow_model), "hi")
    with subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$0" "$@"', *chat],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.environ(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(20)
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()

        assert process.wait(timeout=20) == 128 + signal.SIGTERM
        assert children
        assert shut(children)


def test_when_nobody_reads_on_the_engine_stops(machine: Machine, slow_model: Path) -> None:
    with subprocess.Popen(
        modeldeck_command("chat", "-m", str(slow_model), "hi"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.environ(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(20)
        children = psutil.Process(process.pid).children(recursive=True)
        process.stdout.close()

        assert process.wait(timeout=10) == 1
        assert process.stderr.read() == b""
        assert children
        assert shut(children)


def test_the_list_fits_a_terminal_of_80_columns(machine: Machine) -> None:
    (machine.models / ("long-name-" * 9 + ".gguf")).write_bytes(b"GGUF" + b"\xff" * 64)
    with Terminal(modeldeck_command("ls"), environ=machine.environ(), size=(80, 24)) as shell:
        assert shell.wait_exit() == 0
        lines = shell.text.splitlines()

    rows = [line for line in lines if line.startswith(("second ", "modeldeck-demo "))]
    assert len(rows) == 2
    heading = next(line for line in lines if line.startswith("NAME"))
    assert all(row[heading.index("VERDICT") :].startswith("fits: ") for row in rows)
