"""From the stream to logits: the final norm and the unembedding, read off the weights, so that no hook is run."""

from functools import cached_property

import torch

from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.norms import FrozenNorm, frozen
from interp.models.precision import wide


class Readout:
    """A decoder's final norm, unembedding matrix, bias, factor and soft cap."""

    def __init__(self, model: Model):
        self.model, self.norm = model, model.at(model.anatomy.main.ln_final)
        self.scale = model.anatomy.readout_scale

    @cached_property
    def bias(self) -> torch.Tensor | None:
        """The head's own; BART and Marian keep theirs in a buffer. Axis: (d_vocab,)."""
        bias = getattr(self.model.at(self.model.anatomy.unembed), "bias", None)
        bias = getattr(self.model.hf, "final_logits_bias", bias)
        return None if bias is None else bias.reshape(-1)

    def columns(self, tokens: torch.Tensor) -> torch.Tensor:
        """Each token's direction in what the final norm gives, in float64: (...,) -> (..., d_model)."""
        return wide(self.model.W_U().T[tokens.to(self.model.W_U().device)]) * self.scale

    def biases(self, tokens: torch.Tensor) -> torch.Tensor:
        """What is added to each token's logit, float64."""
        return wide(torch.zeros_like(tokens)) if self.bias is None else wide(self.bias[tokens.to(self.bias.device)])

    def logits(self, stream: torch.Tensor) -> torch.Tensor:
        """Logits read off a stream, float32: (..., d_model) -> (..., d_vocab)."""
        normed = self.norm.forward(stream.to(self.model.W_U().device)) * self.scale  # not called: nobody is to see it
        logits = normed.to(self.model.W_U().dtype) @ self.model.W_U()
        logits = (logits if self.bias is None else logits + self.bias).float()
        cap = getattr(self.model.hf.config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)


def at_scale_one(norm: torch.nn.Module, d_model: int) -> FrozenNorm:
    """A norm with its scale held at 1 (but for its epsilon): what it does to directions, whatever the token."""
    ones = torch.ones(d_model, device=next(iter(norm.parameters()), torch.empty(0)).device)
    ones[1::2] = -1.0
    return frozen(norm, ones)


def cannot_stream_residual(anatomy: Anatomy) -> dict[str, str]:
    """What a corpus run cannot say of the stream in a model of this anatomy: a variable's name -> the reason."""
    rescaled = "norms behind its sublayers rescale what was written before, so a write is no part of the final stream"
    no_next = "it is no decoder with a trained head, so there is no next token that it predicts"
    bent = "its logits are more than a norm and a matrix away from the stream"
    missing = {"write_final_cosine": rescaled, "direct_logits": rescaled} if anatomy.norms == "post" else {}
    if not anatomy.unembed or anatomy.softcapped:
        missing["direct_logits"] = bent
    if not anatomy.unembed:
        missing["lens_loss"] = bent
    if not (anatomy.causal and anatomy.lm_head):
        missing |= {"direct_logits": no_next, "lens_loss": no_next}
    return missing
