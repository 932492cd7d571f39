"""Is a claim about models like this one? What each protocol needs of a model, asked before any number is made.

    ffn_is_positionwise   an FFN and attention (its control) in every layer
    positional_head       attention
    head_relation         attention
All of them run single texts, so that an encoder-decoder, which runs pairs, is out of scope. A model whose self-check failed is another
matter: it is refused (`Model.require`), for nothing is known about it.
"""

from interp.claims.claim import Claim, ExactIdentity
from interp.models.anatomy import Anatomy


def why_not(claim: Claim, anatomy: Anatomy) -> str:
    """Why the claim is not about models of this anatomy, as the rest of a sentence on the model; "" where it is.

    Example:
        >>> import interp
        >>> from interp.claims.claim import catalogue
        >>> why_not(catalogue()["S4-42"], interp.load().anatomy)
        ''
    """
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    layers = range(anatomy.n_layers)
    without_attention = sum(anatomy.attention(layer) is None for layer in layers)
    without_ffn = sum(anatomy.ffn(layer) is None for layer in layers)
    if not isinstance(claim.test, ExactIdentity):
        return "has no attention" if without_attention == len(layers) else ""
    if without_ffn:
        return f"has no FFN in {without_ffn} of its {len(layers)} layers"
    if without_attention:
        return f"has no attention in {without_attention} of its {len(layers)} layers, and attention is the control that must fail the test"
    return ""
