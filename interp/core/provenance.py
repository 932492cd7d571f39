"""Where a number came from: enough to make it again, and to notice when it would come out differently.

`fingerprint` is a hash of the weights themselves, `data` a hash of what was read, so that a model or a corpus that changed
under the same name shows.
"""

import hashlib
import json
import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = ("interp", "torch", "transformers", "transformer-lens", "numpy", "scipy", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on; those not installed are left out."""
    return dict(_installed())


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """They do not change under a running process, and every result asks for them."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return tuple(found.items())


@cache
def own_source(rooms: tuple[str, ...] = ("",)) -> str:
    """16 hex digits that stand for interp's own source in these rooms, of all of it if none is named; an edited line is another instrument.

    The tables that it reads count too (.yaml), claims do not: each has a hash of its own.

    Example:
        >>> own_source(("core",)) == own_source()
        False
    """
    root = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(path for room in rooms for path in _sources(root / room)):
        text = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def _sources(room: Path) -> list[Path]:
    return [*room.rglob("*.py"), *(path for path in room.rglob("*.yaml") if "catalogue" not in path.parts)]


def text_hash(texts: Iterable[str]) -> str:
    """16 hex digits that stand for a sequence of texts; where one text ends matters.

    Example:
        >>> text_hash(["ab", "c"]) == text_hash(["a", "bc"])
        False
    """
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Model, data, seed and versions behind a result. `model` is its name, `fingerprint` the hash of its weights."""

    model: str
    fingerprint: str
    data: str
    seed: int | None = None
    versions: dict[str, str] = field(default_factory=versions)

    def to_json(self) -> str:
        """One line of JSON with sorted keys: what a result carries in its attribute `provenance`."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """The provenance that `to_json` wrote."""
        return cls(**json.loads(text))
