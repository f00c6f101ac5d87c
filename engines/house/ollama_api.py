"""A running Ollama, asked over its HTTP interface (``docs/api.md`` of Ollama)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, cast

from modeldeck.engines.adapters.ollama_address import address_of
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.text import clean_line

if TYPE_CHECKING:
    import httpx

_ASK_SECONDS: Final = 2.0
_WORK_SECONDS: Final = 600.0
_MOST_BYTES: Final = 8 << 20
_BLOCK_BYTES: Final = 1 << 20


class Ollama:
    """A running Ollama. Used with ``with``.

    Attributes:
        models: the digest of each model's manifest by its name.
    """

    def __init__(self, client: httpx.Client, models: Mapping[str, str]) -> None:
        self._client = client
        self.models = models

    @classmethod
    def running(cls, environ: Mapping[str, str]) -> Ollama | None:
        """The Ollama of this user's environment; None when none answers."""
        import httpx  # 60 ms

        # A proxy has no business between two programs of one machine.
        client = httpx.Client(base_url=address_of(environ), timeout=_ASK_SECONDS, trust_env=False)
        try:
            models = _digests(_json(client, "GET", "/api/tags"))
        except (HouseError, httpx.HTTPError, httpx.InvalidURL):
            client.close()
            return None
        return cls(client, models)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the connection."""
        self._client.close()

    def loaded(self) -> frozenset[str]:
        """The names of the models in its memory. Raises HouseError."""
        return frozenset(_digests(self._ask("GET", "/api/ps")))

    def delete(self, name: str) -> None:
        """Delete a model, with the blobs that no other has. Raises HouseError."""
        self._ask("DELETE", "/api/delete", {"model": name})

    def create(self, name: str, files: Mapping[str, str]) -> None:
        """Make a model of blobs that it has: ``files`` is ``sha256:HEX`` by file name.

        Raises:
            HouseError: it refused.
        """
        request = {"model": name, "files": dict(files), "stream": False}
        self._ask("POST", "/api/create", request)

    def upload(self, digest: str, path: Path) -> None:
        """Give it a copy of a file as the blob ``sha256:HEX``; it checks the digest.

        Raises:
            HouseError: it refused.
            OSError: the file cannot be read.
        """
        import httpx

        def pieces(file: BinaryIO) -> Iterator[bytes]:
            while piece := file.read(_BLOCK_BYTES):
                yield piece

        with path.open("rb") as file:
            headers = {"Content-Length": str(path.stat().st_size)}
            try:
                answer = self._client.post(
                    f"/api/blobs/{digest}",
                    content=pieces(file),
                    headers=headers,
                    timeout=_WORK_SECONDS,
                )
            except httpx.HTTPError as error:
                raise _gone(error) from error
        if not answer.is_success:
            raise _refused(clean_line(answer.text, 200))

    def has_blob(self, digest: str) -> bool:
        """Whether it has the blob ``sha256:HEX``. Raises HouseError."""
        import httpx

        try:
            return self._client.head(f"/api/blobs/{digest}").is_success
        except httpx.HTTPError as error:
            raise _gone(error) from error

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        import httpx

        try:
            return _json(self._client, method, path, body)
        except httpx.HTTPError as error:
            raise _gone(error) from error


def _json(client: httpx.Client, method: str, path: str, body: object = None) -> dict[str, Any]:
    """What an answer says. Raises HouseError for a refusal, HTTPError for no answer."""
    import json

    timeout = _ASK_SECONDS if body is None else _WORK_SECONDS
    with client.stream(method, path, json=body, timeout=timeout) as response:
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if len(data) > _MOST_BYTES:
                raise _refused("its answer is too long")
        try:
            table: Any = json.loads(data) if data.strip() else {}
        except (ValueError, RecursionError):
            table = {}
        answer = cast("dict[str, Any]", table) if isinstance(table, dict) else {}
        if not response.is_success:
            raise _refused(clean_line(str(answer.get("error") or response.status_code), 200))
        return answer


def _digests(answer: Mapping[str, Any]) -> dict[str, str]:
    models = answer.get("models")
    found: dict[str, str] = {}
    for model in cast("list[object]", models) if isinstance(models, list) else []:
        if isinstance(model, dict):
            table = cast("dict[str, object]", model)
            name, digest = table.get("name"), table.get("digest")
            if isinstance(name, str) and isinstance(digest, str):
                found[name] = digest.removeprefix("sha256:")
    return found


def _refused(reason: str) -> HouseError:
    return HouseError(f"Ollama refused: {reason}.", "Read Ollama's log, and try again.")


def _gone(error: Exception) -> HouseError:
    reason = clean_line(str(error), 200)
    return HouseError(f"Ollama does not answer any more: {reason}.", "Start it and try again.")
