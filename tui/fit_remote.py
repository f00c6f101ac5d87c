"""Models that are elsewhere, for ``modeldeck fit``: asked for, and what was said kept on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from modeldeck.engines.catalog.remote import RemoteModel, RemoteProblem, remote_models
from modeldeck.engines.catalog.targets import Target
from modeldeck.engines.store.remote_answers import kept_answers
from modeldeck.engines.units import age_text
from modeldeck.tui.printing import note


def models_elsewhere(
    target: Target, *, all_variants: bool
) -> Iterator[RemoteModel | RemoteProblem]:
    """What ``target`` names outside this machine; says so when a server could not be reached.

    Raises:
        ModeldeckError: it cannot be read, or there is no such model.
    """
    with kept_answers() as answers:
        found = remote_models(target, os.environ, answers, all_variants=all_variants)
    seen = [one.as_of for one in found if isinstance(one, RemoteModel) and one.as_of is not None]
    if seen:
        age = age_text(max(0.0, time.time() - min(seen)))
        note(f"{target.text}: the server cannot be reached; this is what it said {age} ago")
    yield from found
