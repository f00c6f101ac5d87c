"""What the user wants of each model: which engine, and how it is loaded there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.engine_choices import EngineChoices
from modeldeck.engines.store.profiles import Profiled, Profiles
from modeldeck.engines.types import LocalModel

if TYPE_CHECKING:
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.tui.state import Options


class Wishes:
    """The user's choices: asking for them never fails, changing them may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._engines = EngineChoices(database)
        self._profiles = Profiles(database)

    def engines(self) -> Mapping[str, str]:
        """The engines the user chose, by model name; a database that cannot be read has none."""
        try:
            return self._engines.all()
        except ModeldeckError:
            return {}

    def choose_engine(self, model: LocalModel, engine: str | None) -> Mapping[str, str]:
        """Choose ``engine`` for ``model``, None for the policy's. Raises StoreError."""
        self._engines.choose(model.name, engine)
        return self._engines.all()

    def profiles(self) -> Profiled:
        """Every kept profile; a database that cannot be read has none."""
        try:
            return self._profiles.all()
        except ModeldeckError:
            return {}

    def profile(self, model: LocalModel, engine: str) -> FitOptions | None:
        """How the user had ``model`` loaded in ``engine``; None when it was left to the plan."""
        return profile_in(self.profiles(), model, engine)

    def keep_profile(
        self, model: LocalModel, engine: str, given: FitOptions, usual: Options
    ) -> Profiled:
        """Keep what is ``given`` beyond what is ``usual``. Raises StoreError."""
        from modeldeck.engines.fit.options_text import to_text
        from modeldeck.engines.store.model_settings import identity_of

        text = to_text(_beyond(given, model, usual))
        if text == "{}":
            self._profiles.forget(identity_of(model), engine)
        else:
            self._profiles.keep(identity_of(model), engine, text)
        return self._profiles.all()

    def forget_profile(self, model: LocalModel, engine: str) -> Profiled:
        """Plan ``model`` in ``engine`` anew each time again. Raises StoreError."""
        from modeldeck.engines.store.model_settings import identity_of

        self._profiles.forget(identity_of(model), engine)
        return self._profiles.all()


def profile_in(profiles: Profiled, model: LocalModel, engine: str | None) -> FitOptions | None:
    """The options kept for ``model`` in ``engine``; None when there are none."""
    if not profiles or engine is None:
        return None
    from modeldeck.engines.store.model_settings import identity_of

    text = profiles.get((identity_of(model), engine))
    if text is None:
        return None
    from modeldeck.engines.fit.options_text import from_text

    return from_text(text)


def _beyond(given: FitOptions, model: LocalModel, usual: Options) -> FitOptions:
    """Without the context and the cache type that the list is for: those follow the list."""
    from dataclasses import replace

    trained = model.header.context_length if model.header is not None else 0
    context = min(usual.context_tokens, trained) if trained else usual.context_tokens
    if given.context_tokens in (context, usual.context_tokens):
        given = replace(given, context_tokens=None)
    return replace(given, kv_type=None) if given.kv_type == usual.kv_type else given
