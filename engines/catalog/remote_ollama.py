"""Where Ollama's registry keeps a model, told by its name.

``/v2/NAME/manifests/TAG`` is an OCI manifest, ``/v2/NAME/blobs/DIGEST`` has each layer.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
"""The kind of manifest that is asked for."""

HOST: Final = "registry.ollama.ai"
"""The registry of names without a host."""

_LIBRARY: Final = "library"


class Registry(NamedTuple):
    """A model's place in a registry.

    Attributes:
        host: with its port where there is one.
        repository: with its namespace.
        tag: of the model.
    """

    host: str
    repository: str
    tag: str

    @property
    def manifest_url(self) -> str:
        """Where the manifest is."""
        return f"{self._base}/manifests/{quote(self.tag)}"

    def blob_url(self, digest: str) -> str:
        """Where a layer is."""
        return f"{self._base}/blobs/{digest}"

    @property
    def _base(self) -> str:
        scheme = "http" if self.host.startswith(("127.", "localhost")) else "https"
        return f"{scheme}://{self.host}/v2/{quote(self.repository)}"


def registry_of(name: str) -> Registry:
    """The place of ``qwen3:8b``, ``user/model:tag`` or ``host.name/user/model:tag``."""
    path, _, tag = name.rpartition(":")
    host, _, rest = path.partition("/")
    if "." not in host:
        host, rest = HOST, path
    return Registry(host, rest if "/" in rest else f"{_LIBRARY}/{rest}", tag)
