"""A claim as data: what is said, by whom, and how it is to be tested. Fixed before the run, stored with the verdict.

What decides a verdict (effect of interest, level, how often it must hold elsewhere) stands here, never in a protocol's code; pydantic
refuses a misspelt field by name. `claim_files` reads claims from YAML, `own` makes them from a line of Python.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator

from interp.claims.protocols.parts.expression import Expression
from interp.claims.protocols.parts.model_shape import model_quantities
from interp.claims.protocols.parts.shapes import QUANTITIES
from interp.claims.protocols.protocol import Needs, Parameters, Protocol
from interp.claims.protocols.registry import PROTOCOLS
from interp.core.errors import ClaimError
from interp.models.model import Model

Kind = Literal["arith", "ident", "obs", "causal", "train", "lit", "ill"]
Quantifier = Literal["all", "some", "typical", "order", "equality"]
Where = Callable[[Sequence[str | int]], str]


class Illustration(BaseModel):
    """A sentence on which a claim can be seen, the source's own or its twin, and the two words of it that the source speaks of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    from_word: str = ""
    to_word: str = ""


class Claim(BaseModel):
    """A statement with everything that decides how it is judged.

    Attributes:
        kind: what kind of statement it is.
        quotation, translation: the words of the source, and what they say in English.
        quantifier: of how many heads, layers or models it is said.
        scope: which models it is about, in words; the protocol says it in code, and `only` what the protocol does not know.
        only: a statement on the model's quantities (see `expression`), of which it must be true, as in "ffn_parameters == 0".
        not_as_worded: why it cannot be tested as worded, where that is so; the test is then of the nearest form that can.
        denies: what is tested is what the claim says there is not. "exactly": its verdict is the opposite of the test's. "by example": an
            example refutes it, and that there was none leaves it open ("no_example"): of others nothing was shown.
        test: the protocol and its parameters, the smallest effect of interest among them.
        alpha: level of the adjusted p.
        examples: sentences, the source's own among them; what heads do on them illustrates the claim and decides nothing.
        contradicts: ids of other claims that cannot be true if this one is.
        replications: how many others (models, seeds, corpora, languages) it must come out the same on to count as replicated.
        does_not_show: what a verdict leaves open, for the reader.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    statement: str
    quotation: str = ""
    translation: str = ""
    source: str = ""
    kind: tuple[Kind, ...]
    quantifier: Quantifier
    scope: str
    only: str = ""
    not_as_worded: str = ""
    denies: Literal["", "exactly", "by example"] = ""
    test: SerializeAsAny[Parameters]
    alpha: float = Field(default=0.05, gt=0, lt=1)
    examples: tuple[Illustration, ...] = ()
    contradicts: tuple[str, ...] = ()
    replications: int = Field(default=1, ge=1)
    does_not_show: str

    @field_validator("test", mode="before")
    @classmethod
    def _of_its_protocol(cls, test: object) -> object:
        return _parameters(test) if isinstance(test, dict) else test

    @field_validator("only")
    @classmethod
    def _is_of_quantities(cls, only: str) -> str:
        try:
            if only:
                Expression(only, QUANTITIES)
        except ClaimError as error:
            raise ValueError(str(error)) from error
        return only

    def why_not(self, model: Model) -> str:
        """Why the claim is not about a model, as the rest of a sentence on it; "" where it is."""
        if reason := self.protocol.why_not(model.anatomy):
            return reason
        if not self.only:
            return ""
        only, known = Expression(self.only, QUANTITIES), model_quantities(model)
        return "" if only.names <= known.keys() and only(known) else f"is none of which {self.only!r} is true, and of those it is said"

    @property
    def protocol(self) -> Protocol[Any]:
        """The test design."""
        return PROTOCOLS[self.test.protocol]

    @property
    def needs(self) -> Needs | None:
        """What the claim is tested on; None when the model alone is enough."""
        return self.protocol.needs

    @property
    def hash(self) -> str:
        """16 hex digits that change when anything in the claim does."""
        return hashlib.blake2b(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode(), digest_size=8).hexdigest()


def parse_claim(fields: dict[str, Any], place: str, where: Where = lambda location: "") -> Claim:
    """A claim out of plain fields.

    Args:
        place: where they came from, for the message.
        where: the line of a field, as in ", line 3", for the message.
    Raises: ClaimError naming each field that is wrong, and what is allowed.
    """
    problems: list[str] = []
    test = _checked(lambda: _parameters(fields.get("test")), Parameters, ("test",), where, problems)
    claim = _checked(lambda: Claim(**{**fields, "test": test or _ANY}), Claim, (), where, problems)
    if problems or claim is None:
        raise ClaimError(f"{place}: {'; '.join(problems)}")
    return claim


_ANY = Parameters(protocol=next(iter(PROTOCOLS)))


def _checked(make: Callable[[], Any], model: type[BaseModel], base: tuple[str, ...], where: Where, problems: list[str]) -> Any:
    try:
        return make()
    except ValidationError as error:
        for problem in error.errors():
            location = (*base, *problem["loc"])
            problems.append(f"{'.'.join(map(str, location)) or 'claim'}{where(location)}: {_told(problem, error.title, model)}")
    except (ClaimError, TypeError) as error:
        problems.append(f"{'.'.join(base) or 'claim'}{where(base)}: {error}")
    return None


def _told(problem: Any, title: str, model: type[BaseModel]) -> str:
    """pydantic's message; for a field that does not exist, with those that do."""
    if problem["type"] != "extra_forbidden":
        return str(problem["msg"])
    owners = {protocol.parameters.__name__: protocol.parameters for protocol in PROTOCOLS.values()}
    return f"no such field; expected some of {', '.join(owners.get(title, model).model_fields)}"


def _parameters(test: object) -> Parameters:
    if not isinstance(test, dict) or not isinstance(test.get("protocol"), str):
        raise ClaimError(f"{test!r} came; expected the fields of a protocol: {', '.join(PROTOCOLS)}")
    name = test["protocol"]
    if name not in PROTOCOLS:
        raise ClaimError(f"there is no protocol {name!r}; expected one of {', '.join(PROTOCOLS)}")
    parameters: Parameters = PROTOCOLS[name].parameters(**test)
    return parameters
