"""What a protocol is: a test design, written once, that many claims use with parameters of their own.

A module of this folder holds one. Its docstring is the design: what is measured, against what, in which unit, with which controls, under
which assumptions, from which source, and what it does not tell. It ends in a `Protocol`, and `registry` lists it; nothing else has to be
told of it: claim files, the judge, the plan and the dashboard read that list.

    Parameters   what a claim may set, checked field by field (a smallest effect of interest, a level, how many twins)
    Case         one claim on one model and data: what `run` and `plan` are handed
    Finding      what comes out (see `finding`)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from interp.claims.plan import Plan
from interp.claims.protocols.finding import Finding, Tell
from interp.claims.shared import Shared
from interp.claims.stages import Stages
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.texts.example import Example

Needs = Literal["treebank", "texts"]


class Parameters(BaseModel):
    """Base of every protocol's parameters; a field that a protocol does not have is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: str


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, kw_only=True)
class Case(Generic[P]):
    """One claim on one model and data.

    Attributes:
        id: the claim's, for messages.
        test: the claim's parameters of this protocol.
        alpha: level of the adjusted p.
        model: what is tested.
        examples: what it reads; empty where the protocol needs no data.
        seed: of the split, the resamples and whatever is drawn.
        tell: called with what is being done.
        stages: keeps long parts, so that a run that was stopped goes on behind them.
        shared: what other claims of the same run have made.
        read: a hash of the examples, for the keys of what is shared.
    """

    id: str
    test: P
    alpha: float
    model: Model
    examples: list[Example]
    seed: int
    tell: Tell
    stages: Stages
    shared: Shared = field(default_factory=Shared)
    read: str = ""

    def twin(self, number: int) -> Model:
        """The untrained twin of that number."""
        return self.shared.get(("untrained", self.model.fingerprint, number), lambda: untrained(self.model, seed=number))


@dataclass(frozen=True, kw_only=True)
class Protocol(Generic[P]):
    """A test design.

    Attributes:
        parameters: what a claim may set.
        needs: what it is run on; None when the model alone is enough.
        requires: self-checks of the model that it rests on, beside the forward pass itself.
        family: what is looked at together, and so corrected for together.
        controls: what is always run beside it, nulls and positives.
        why_not: why a claim of this protocol is not about models of an anatomy, as the rest of a sentence on the model; "" where it is.
        plan: what a run would do, without doing it.
        run: the run.
        subject: what a claim is tested on in place of the model at hand, "published configurations" say; "" where it is that model.
    """

    parameters: type[P]
    needs: Needs | None
    requires: tuple[str, ...]
    family: str
    controls: tuple[str, ...]
    why_not: Callable[[Anatomy], str]
    plan: Callable[[Case[P]], Plan]
    run: Callable[[Case[P]], Finding]
    subject: Callable[[P], str] = lambda test: ""

    @property
    def name(self) -> str:
        """As claim files spell it.

        Example:
            >>> from interp.claims.protocols.positional import PROTOCOL
            >>> PROTOCOL.name, PROTOCOL.needs
            ('positional_head', 'texts')
        """
        field: Any = self.parameters.model_fields["protocol"]
        return str(field.annotation.__args__[0])


def needs_attention(anatomy: Anatomy) -> str:
    """For protocols on heads that read single texts."""
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    without = sum(anatomy.attention(layer) is None for layer in range(anatomy.n_layers))
    return "has no attention" if without == anatomy.n_layers else ""
