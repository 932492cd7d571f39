"""Claims from YAML files: the bundled ones (`catalogue/`) and one's own. What is wrong is told by file, line and field."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from interp.claims.claim import Claim, parse_claim
from interp.core.errors import ClaimError

CATALOGUE = Path(__file__).parent / "catalogue"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where it was built


def read_claim(path: str | Path) -> Claim:
    """A claim from a YAML file.

    Raises: ClaimError when the file is missing, is not YAML (with the line), or is not a claim (with line and field).
    """
    path = Path(path)
    if not path.is_file():
        raise ClaimError(f"{path}: no such claim file; expected a YAML file like those in {CATALOGUE}")
    try:
        return claim_from_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ClaimError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8") from error


def claim_from_yaml(text: str, where: str) -> Claim:
    """A claim from the text of a YAML file. `where`: what messages call it.

    Raises: ClaimError when it is not YAML (with the line), or is not a claim (with line and field).
    """
    try:
        fields = yaml.load(text, Loader=_LOADER)  # noqa: S506: the safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ClaimError(f"{where}{line}: not YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(fields, dict):
        raise ClaimError(f"{where}: a {type(fields).__name__} came; expected the fields of a claim")
    return parse_claim(fields, where, lambda location: _line(yaml.compose(text, Loader=yaml.SafeLoader), location))


def to_yaml(claim: Claim) -> str:
    """The text of a file that `read_claim` reads the same claim from.

    Example:
        >>> claim_from_yaml(to_yaml(catalogue()["S1-01"]), "again") == catalogue()["S1-01"]
        True
    """
    return yaml.safe_dump(claim.model_dump(mode="json"), allow_unicode=True, sort_keys=False, width=120)


def _line(node: yaml.Node | None, location: Sequence[str | int]) -> str:
    """Where a field stands, or the one that it should be in."""
    line = ""
    for part in location:
        found = _child(node, part)
        if found is None:
            return line
        key, node = found
        line = f" (line {key.start_mark.line + 1})"
    return line


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    return None


@cache
def catalogue() -> Mapping[str, Claim]:
    """The bundled claims by id, in the documents' order.

    Example:
        >>> catalogue()["S1-01"].quantifier
        'all'
    """
    claims = [read_claim(path) for path in CATALOGUE.rglob("*.yaml")]
    return MappingProxyType({claim.id: claim for claim in sorted(claims, key=lambda claim: place_of(claim.id))})


def place_of(claim_id: str) -> list[tuple[int, str]]:
    """Where a claim stands among others: part by part, numbers as numbers.

    Example:
        >>> sorted(["S4-30-12", "S4-30-2", "S1-09"], key=place_of)
        ['S1-09', 'S4-30-2', 'S4-30-12']
    """
    return [(int(part), "") if part.isdigit() else (0, part) for part in claim_id.split("-")]


def find_claim(id_or_path: str) -> Claim:
    """A claim of the catalogue by its id, or one's own by its file.

    Raises: ClaimError when it is neither, with ids that are spelt nearly so.
    """
    known = catalogue()
    if id_or_path in known:
        return known[id_or_path]
    if id_or_path.endswith((".yaml", ".yml")):
        return read_claim(id_or_path)
    near = ", ".join(get_close_matches(id_or_path, known, n=5, cutoff=0.4))
    told = f" (near it: {near})" if near else ""
    raise ClaimError(f"{id_or_path!r} is not a claim; expected an id that `interp claims` lists{told}, or a YAML file")
