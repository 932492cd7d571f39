"""A claim as data: what is said, by whom, and how it is to be tested. Fixed before the run, stored with the verdict.

Claims are YAML files (see `catalogue/`); pydantic refuses a misspelt field by name. What decides a verdict (effect of
interest, level) stands here, never in a protocol's code.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from interp.core.errors import ClaimError

CATALOGUE = Path(__file__).parent / "catalogue"

Kind = Literal["arith", "ident", "obs", "causal", "train", "lit", "ill"]
Quantifier = Literal["all", "some", "typical", "order", "equality"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExactIdentity(_Strict):
    """Parameters of the protocol "ffn_is_positionwise" (see `protocols/positionwise.py`)."""

    protocol: Literal["ffn_is_positionwise"]
    tolerance: float = Field(gt=0, description="largest relative error that rounding explains")
    control_at_least: float = Field(gt=0, description="the same figure for attention must be at least this")
    n_tokens: int = Field(default=16, ge=2)
    n_texts: int = Field(default=8, ge=1)


class PositionalHead(_Strict):
    """Parameters of the protocol "positional_head" (see `protocols/positional.py`)."""

    protocol: Literal["positional_head"]
    offset: Literal[-1, 1] | None = Field(default=None, description="None: the direction is selected with the head")
    at_least: float = Field(gt=0, lt=1, description="smallest mean weight that makes a head positional")
    at_least_source: str
    margin: float = Field(gt=0, lt=1, description="smallest difference from the best untrained head that matters")
    n_untrained: int = Field(default=5, ge=5)
    n_random_texts: int = Field(default=128, ge=40)


class HeadRelation(_Strict):
    """Parameters of the protocol "head_relation" (see `protocols/relation.py`)."""

    protocol: Literal["head_relation"]
    relation: str = Field(description="a Universal Dependencies relation, subtypes included, such as obj")
    head: str | None = Field(default=None, description="a head such as L2H0; None: the best is selected on one half of the data")
    direction: Literal["dependent", "head"] | None = Field(default=None, description="the end that attends; None: selected with the head")
    margin: float = Field(gt=0, lt=1, description="smallest difference from the best fixed offset that matters, in accuracy")
    margin_source: str
    n_untrained: int = Field(default=5, ge=5)


Protocol = Annotated[ExactIdentity | PositionalHead | HeadRelation, Field(discriminator="protocol")]


_NEEDS = {"ffn_is_positionwise": None, "positional_head": "texts", "head_relation": "treebank"}


class Claim(_Strict):
    """A statement with everything that decides how it is judged.

    Attributes:
        needs: what the claim is tested on, "treebank" or "texts"; None when the model alone is enough.
        does_not_show: what a verdict leaves open, for the reader.
    """

    id: str
    statement: str
    quotation: str = ""
    source: str = ""
    kind: tuple[Kind, ...]
    quantifier: Quantifier
    scope: str
    needs: Literal["treebank", "texts"] | None = None
    test: Protocol
    alpha: float = Field(default=0.05, gt=0, lt=1)
    does_not_show: str

    @model_validator(mode="after")
    def _needs_what_its_protocol_reads(self) -> "Claim":
        if self.needs != _NEEDS[self.test.protocol]:
            raise ValueError(f"needs is {self.needs!r}, the protocol {self.test.protocol} reads {_NEEDS[self.test.protocol]!r}")
        return self

    @property
    def hash(self) -> str:
        """16 hex digits that change when anything in the claim does."""
        return hashlib.blake2b(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode(), digest_size=8).hexdigest()


def parse_claim(fields: dict[str, Any], place: str) -> Claim:
    """A claim out of plain fields.

    Args: place: where they came from, for the message.
    Raises: ClaimError naming each field that is wrong, and what is allowed.
    """
    try:
        return Claim(**fields)
    except (ValidationError, TypeError) as error:
        problems = error.errors() if isinstance(error, ValidationError) else [{"loc": (), "msg": str(error)}]
        told = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'claim'}: {_problem(problem)}" for problem in problems)
        raise ClaimError(f"{place}: {told}") from error


def _problem(problem: Any) -> str:
    """pydantic's message; for a field that does not exist, with those that do."""
    if problem.get("type") != "extra_forbidden":
        return str(problem["msg"])
    models = {protocol: model for model in (ExactIdentity, PositionalHead, HeadRelation) for protocol in _protocols(model)}
    model = next((models[part] for part in problem["loc"] if part in models), Claim)
    return f"no such field; expected some of {', '.join(model.model_fields)}"


def _protocols(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["protocol"].annotation)


def read_claim(path: str | Path) -> Claim:
    """A claim from a YAML file.

    Raises: ClaimError when the file is missing, is not YAML (with the line), or is not a claim (with the field).
    """
    path = Path(path)
    if not path.is_file():
        raise ClaimError(f"{path}: no such claim file; expected a YAML file like those in {CATALOGUE}")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ClaimError(f"{path}{line}: not YAML ({getattr(error, 'problem', error)})") from error
    except UnicodeDecodeError as error:
        raise ClaimError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8") from error
    if not isinstance(fields, dict):
        raise ClaimError(f"{path}: a {type(fields).__name__} came; expected the fields of a claim")
    return parse_claim(fields, str(path))


def catalogue() -> dict[str, Claim]:
    """The bundled claims by id.

    Example:
        >>> catalogue()["S1-01"].quantifier
        'all'
    """
    claims = [read_claim(path) for path in sorted(CATALOGUE.glob("*.yaml"))]
    return {claim.id: claim for claim in claims}


def find_claim(id_or_path: str) -> Claim:
    """A claim of the catalogue by its id, or one's own by its file.

    Raises: ClaimError when it is neither, listing what there is.
    """
    known = catalogue()
    if id_or_path in known:
        return known[id_or_path]
    if id_or_path.endswith((".yaml", ".yml")):
        return read_claim(id_or_path)
    raise ClaimError(f"{id_or_path!r} is not a claim; expected one of {', '.join(known)}, or a YAML file")
