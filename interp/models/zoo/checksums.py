"""Are a bundled model's files the ones that were shipped? A SHA-256 for each, in the folder's checksums.json.

A weight file of which a part was lost may still load, and would then be another model under the same name. What is looked at before a model
is loaded is what it is made of (weights, configuration, tokenizer: 12 MB at most, hashed in some hundredths of a second), not its card.
It guards against damage, not against malice: whoever can change the weights can change checksums.json.
"""

import hashlib
import json
from pathlib import Path

from interp.core.errors import ModelDamaged

FILE = "checksums.json"
LOADED = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")
_REMEDY = "install interp again (from a checkout: git checkout interp/models/zoo)"


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a model's folder but the list itself, by name.

    Example:
        >>> from interp.models import zoo
        >>> sorted(checksums(zoo.folder("tales")))[0]
        'README.md'
    """
    return {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != FILE}


def seal(folder: Path) -> None:
    """Write the list for a finished model; its files become readable for everybody."""
    (folder / FILE).write_text(json.dumps(checksums(folder), indent=1) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)


def refuse_damaged(folder: Path) -> None:
    """Refuse a bundled model whose weights, configuration or tokenizer are not as they were shipped.

    Raises: ModelDamaged naming the file: missing, or with another checksum.
    """
    shipped = _shipped(folder)
    for name in LOADED:
        if not (folder / name).is_file():
            raise ModelDamaged(f"the bundled model {folder.name!r} has no file {name} in {folder}; expected it there: {_REMEDY}")
        came = _sha256(folder / name)
        if came != shipped.get(name):
            raise ModelDamaged(
                f"the bundled model {folder.name!r} is damaged: {folder / name} has {(folder / name).stat().st_size:,} bytes with the "
                f"SHA-256 {came[:12]}...; expected {str(shipped.get(name))[:12]}...: {_REMEDY}"
            )


def _shipped(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / FILE).read_text()))
    except (OSError, ValueError) as error:
        raise ModelDamaged(f"the bundled model {folder.name!r} has no readable {FILE} ({error}); expected one: {_REMEDY}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
