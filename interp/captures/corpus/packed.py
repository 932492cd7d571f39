"""A model packed to be sent to another process, which puts it under the instrument again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from interp.core.errors import ModelError, ModelUnsupported
from interp.models.model import Model, instrument, plain_copy


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A plain transformers model and what `instrument` needs to know; the checks that were made are not made again."""

    hf: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    name: str
    lm_head: bool
    disabled: Mapping[str, str]
    fingerprint: str

    @classmethod
    def of(cls, model: Model) -> "Packed":
        """A model on the CPU shares its parameters with what is packed; one elsewhere is copied to the CPU.

        Raises: ModelUnsupported for a model that is spread over devices.
        """
        devices = {parameter.device for parameter in model.hf.parameters()}
        if len(devices) > 1:
            raise ModelUnsupported(f"{model.name} is spread over {len(devices)} devices; expected one for several workers, or workers=1")
        at_home = devices == {torch.device("cpu")}
        hf = plain_copy(model.hf, share=at_home).cpu()
        return cls(
            hf=hf,
            tokenizer=model.tokenizer,
            name=model.name,
            lm_head=model.anatomy.lm_head,
            disabled=dict(model.disabled),
            fingerprint=model.fingerprint,
        )

    def unpack(self, device: str = "cpu") -> Model:
        """The model under the instrument. Raises: ModelError when it is not the one that was packed."""
        model = instrument(self.hf.to(torch.device(device)), self.tokenizer, name=self.name, lm_head=self.lm_head)
        if model.fingerprint != self.fingerprint:
            raise ModelError(f"{self.name}: a worker has other weights ({model.fingerprint}) than were sent ({self.fingerprint})")
        return replace(model, disabled=self.disabled)
