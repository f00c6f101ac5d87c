"""The training loop: packs conversations into batches, and steps a Llama over them. Needs torch."""

# torch is absent where the project is checked, so its types are unknown there
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.demo.corpus import Corpus, conversations
from modeldeck.engines.demo.muon import Muon
from modeldeck.engines.demo.network import Llama, Shape
from modeldeck.engines.demo.vocabulary import Encoded, Vocabulary


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the model is trained; with the corpus it determines the result.

    Attributes:
        seed: of the corpus, the weights and the order.
        conversations: how many are drawn; each is seen once.
        batch_tokens: tokens of one step, padding included.
        pool: conversations sorted by length together, so that a batch needs little padding.
        matrix_rate: peak learning rate of Muon, which trains the matrices of the blocks.
        vector_rate: peak learning rate of AdamW, which trains embeddings and norms.
        warm_up: fraction of the steps with a rising rate; then it falls to zero as a cosine.
        prompt_share: weight of the loss on tokens the model need not write.
        lead_tokens: how many tokens at the head of an answer count more: they name the key.
        lead_share: weight of the loss on those.
        threads: CPU threads.
    """

    seed: int = 8
    conversations: int = 30_000
    batch_tokens: int = 2048
    pool: int = 2048
    matrix_rate: float = 0.01
    vector_rate: float = 3e-3
    warm_up: float = 0.03
    prompt_share: float = 0.05
    lead_tokens: int = 7
    lead_share: float = 5.0
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of the loop: mean loss at the heads of answers since the last one.

    ``seconds`` is processor time over the threads, so that a busy machine counts no other work.
    """

    step: int
    steps: int
    loss: float
    seconds: float


def train(
    shape: Shape,
    recipe: Recipe,
    corpus: Corpus,
    vocabulary: Vocabulary,
    report: Callable[[Progress], None],
    report_every: int = 50,
) -> Llama:
    """Train a new model; the same arguments on the same machine give the same weights."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    # else every new tensor is filled first: a quarter of the time
    torch.utils.deterministic.fill_uninitialized_memory = False
    model = Llama(shape)
    batches = list(_batches(corpus, recipe, vocabulary))
    matrices = [p for p in model.blk.parameters() if p.dim() == 2]
    vectors = [model.token_embd.weight, *(p for p in model.parameters() if p.dim() == 1)]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(vectors, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    started, losses = time.process_time(), 0.0
    for step, batch in enumerate(batches, start=1):
        loss, answer_loss = _loss(model, batch, recipe)
        loss.backward()
        share = rate_share(step, len(batches), recipe.warm_up)
        muon.step(recipe.matrix_rate * share)
        adam.param_groups[0]["lr"] = recipe.vector_rate * share
        adam.step()
        adam.zero_grad()
        losses += answer_loss
        if step % report_every == 0 or step == len(batches):
            elapsed = (time.process_time() - started) / recipe.threads
            mean = losses / ((step - 1) % report_every + 1)
            report(Progress(step, len(batches), mean, elapsed))
            losses = 0.0
    model.eval()
    return model


def answer(
    model: Llama, vocabulary: Vocabulary, messages: Sequence[ChatMessage], limit: int = 40
) -> str:
    """The model's most likely answer, at most ``limit`` tokens of it."""
    ids = vocabulary.prompt(messages)
    begin = len(ids)
    with torch.inference_mode():
        while len(ids) - begin < limit:
            hidden = model(torch.tensor([ids]))
            best = int(model.scores(hidden[0, -1]).argmax())
            if best == vocabulary.turn_end:
                break
            ids.append(best)
    return vocabulary.decode(ids[begin:])


def rate_share(step: int, steps: int, warm_up: float) -> float:
    """The learning rate at ``step`` (1…steps) as a share of its peak: a rise, then a cosine."""
    rising = max(1, round(warm_up * steps))
    if step <= rising:
        return step / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def _loss(model: Llama, batch: Sequence[Encoded], recipe: Recipe) -> tuple[Tensor, float]:
    """The weighted loss to descend, and the plain mean loss over the heads of answers."""
    longest = max(len(item.ids) for item in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    written = torch.full((len(batch), longest), -1)
    present = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, item in enumerate(batch):
        ids[row, : len(item.ids)] = torch.tensor(item.ids)
        written[row, : len(item.ids)] = torch.tensor(item.written)
        present[row, : len(item.ids)] = True
    present = present[:, 1:]
    targets, written = ids[:, 1:][present], written[:, 1:][present]
    # bfloat16 is twice as fast where the CPU has it, and merely slower where it has not
    with torch.autocast("cpu", torch.bfloat16):
        scores = model.scores(model(ids[:, :-1])[present])
    losses = functional.cross_entropy(scores.float(), targets, reduction="none")
    lead = (written >= 0) & (written < recipe.lead_tokens)
    weights = torch.where(
        lead, recipe.lead_share, torch.where(written < 0, recipe.prompt_share, 1.0)
    )
    return (losses * weights).sum() / weights.sum(), float(losses.detach()[lead].mean())


def _batches(corpus: Corpus, recipe: Recipe, vocabulary: Vocabulary) -> Iterator[list[Encoded]]:
    """Batches of conversations of like length, in random order within each pool."""
    order = torch.Generator().manual_seed(recipe.seed)
    drawn = itertools.islice(conversations(corpus, recipe.seed), recipe.conversations)
    while pool := list(itertools.islice(drawn, recipe.pool)):
        encoded = sorted((vocabulary.conversation(c) for c in pool), key=_length)
        batches: list[list[Encoded]] = [[]]
        for item in encoded:
            if batches[-1] and len(item.ids) * (len(batches[-1]) + 1) > recipe.batch_tokens:
                batches.append([])
            batches[-1].append(item)
        for at in torch.randperm(len(batches), generator=order).tolist():
            yield batches[at]


def _length(item: Encoded) -> int:
    return len(item.ids)
