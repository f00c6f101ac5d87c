"""Trains the packaged demo model: ``python -m modeldeck.engines.demo.train --help-text FILE|-``.

Takes the output of ``modeldeck keys --json`` and writes ``modeldeck-demo.gguf``, ``card.json`` and
``CARD.md``. Two CPU cores and less than 20 minutes are enough. Needs torch, which is not among
the project's dependencies; the card says which versions.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.demo import model_path
from modeldeck.engines.demo.card import Card, markdown
from modeldeck.engines.demo.corpus import (
    Corpus,
    check_questions,
    conversations,
    read_corpus,
)
from modeldeck.engines.demo.helptext import HelpText, parse_help_text
from modeldeck.engines.errors import ModeldeckError

TOKENIZER_CONVERSATIONS = 20_000
CHECKS_PER_TOPIC = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, export, evaluate, write the card. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        text = sys.stdin.read() if options.help_text == "-" else _read(Path(options.help_text))
        help_text = parse_help_text(text)
        corpus = read_corpus(help_text, _read(Path(__file__).with_name("phrases.toml")))
    except ModeldeckError as error:
        _say(f"{error.cause}\n{error.next_step}")
        return 1
    if importlib.util.find_spec("torch") is None:
        _say("torch is not installed here.\nInstall it: pip install torch==2.13.0")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    _build(help_text, corpus, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m modeldeck.engines.demo.train", description="Train the packaged demo model."
    )
    parser.add_argument(
        "--help-text", required=True, metavar="FILE", help="`modeldeck keys --json`; - is stdin"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to write")
    parser.add_argument(
        "--questions", type=Path, metavar="FILE", help="held-out questions to grade it with"
    )
    parser.add_argument("--note", default="", metavar="TEXT", help="a remark for the card")
    parser.add_argument("--conversations", type=int, metavar="N", help="for a shorter trial")
    return parser


def _build(help_text: HelpText, corpus: Corpus, options: argparse.Namespace) -> None:
    from modeldeck.engines.demo.evaluation import graded, read_questions, served
    from modeldeck.engines.demo.export import LICENCE, NAME, write_gguf
    from modeldeck.engines.demo.network import Shape, parameter_count
    from modeldeck.engines.demo.training import Progress, Recipe, answer, train
    from modeldeck.engines.demo.vocabulary import Vocabulary

    shape = Shape()
    recipe = (
        Recipe() if options.conversations is None else Recipe(conversations=options.conversations)
    )
    drawn = itertools.islice(conversations(corpus, recipe.seed), TOKENIZER_CONVERSATIONS)
    vocabulary = Vocabulary((m.content for c in drawn for m in c), shape.vocabulary)
    history: list[Progress] = []

    def report(progress: Progress) -> None:
        history.append(progress)
        _say(
            f"step {progress.step} of {progress.steps}  loss {progress.loss:.4f}  "
            f"{progress.seconds:.0f} s"
        )

    model = train(shape, recipe, corpus, vocabulary, report)
    checks = check_questions(corpus, recipe.seed, CHECKS_PER_TOPIC)
    held_out = sum(
        any(right.startswith(said) for right in topic.answers)
        for text, topic in checks
        if (said := answer(model, vocabulary, (ChatMessage("user", text),), limit=16))
    )
    path = options.out / model_path().name
    write_gguf(path, model, vocabulary.table(), f"help digest {help_text.digest}")

    questions = None
    if options.questions is not None:
        asked = read_questions(_read(options.questions))
        with served(path) as server:
            grades = graded(server, asked, help_text)
        for grade in grades:
            verdict = "right" if grade.right else "WRONG"
            _say(f"{verdict}  {grade.question.text}\n       {grade.answer}")
        questions = (sum(grade.right for grade in grades), len(grades))
        _say(f"{questions[0]} of {questions[1]} right")
    data = path.read_bytes()
    card = Card(
        name=NAME,
        licence=LICENCE,
        help_digest=help_text.digest,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        parameters=parameter_count(model),
        shape=asdict(shape),
        recipe=asdict(recipe),
        command="modeldeck keys --json | python -m modeldeck.engines.demo.train --help-text - "
        "--out engines/demo --questions tests/engines/demo/questions.toml",
        seconds=round(history[-1].seconds),
        training_tokens=sum(
            len(vocabulary.conversation(c).ids)
            for c in itertools.islice(conversations(corpus, recipe.seed), recipe.conversations)
        ),
        losses=[(p.step, round(p.loss, 4)) for p in (*history[:-1:2], history[-1])],
        held_out_phrases=(held_out, len(checks)),
        held_out_questions=questions,
        note=options.note,
    )
    (options.out / "card.json").write_text(card.to_json(), encoding="utf-8")
    (options.out / "CARD.md").write_text(markdown(card), encoding="utf-8")
    _say(f"wrote {path}, held-out phrases {held_out} of {len(checks)}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
