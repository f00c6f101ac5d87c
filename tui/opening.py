"""Opens what one run of the program is built from, and closes it afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.paths import data_dir
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.units import parse_size
from modeldeck.tui.services import EnginesMade, Services
from modeldeck.tui.settings import Settings, load_settings, settings_path

if TYPE_CHECKING:
    from argparse import Namespace

    from modeldeck.tui.plain_start import PlainStart


@contextlib.contextmanager
def open_services(options: Namespace | PlainStart) -> Generator[Services]:
    """Open everything for one run of the program and close it afterwards.

    What is wrong with the settings is a problem to show, not an error. Engines are made when they
    are first asked for.

    Raises:
        ModeldeckError: the database cannot be opened, or ``--gpu`` or ``--vram`` makes no sense.
    """
    config_path = Path(options.config) if options.config else settings_path()
    settings, found = load_settings(Path(options.config) if options.config else None)
    problems = list(found)
    settings = _with_options(settings, options)
    database = Database.open(data_dir() / "modeldeck.db", SCHEMAS)
    if database.note:
        problems.append(database.note)
    make_engines = partial(_made_engines, settings.engines)
    services = Services(settings, problems, config_path, database, make_engines, os.environ)
    try:
        yield services
    finally:
        services.close()


def _with_options(settings: Settings, options: Namespace | PlainStart) -> Settings:
    """The settings with what the command line says in place of the file. Raises SettingsError."""
    if options.gpu:
        from modeldeck.engines.fit.card_group import cards_named

        cards_named(options.gpu, 0)
        settings = settings._replace(gpu=options.gpu, vram=None)
    if options.vram:
        parse_size(options.vram)
        settings = settings._replace(vram=options.vram, gpu=None)
    if options.theme:
        settings = settings._replace(theme=options.theme)
    if options.color:
        settings = settings._replace(color=options.color)
    return settings


def _made_engines(tables: Mapping[str, Mapping[str, object]]) -> EnginesMade:
    """Every registered engine, set up with its own table of the settings."""
    from modeldeck.engines import registry  # with the engines themselves: 0.1 s

    engines, failures = registry.create_all()
    problems = [str(failure) for failure in failures]
    for engine in engines:
        try:
            engine.configure(tables.get(engine.info.name, {}))
        except SettingsError as error:
            problems.append(str(error))
    return EnginesMade(engines, tuple(problems))
