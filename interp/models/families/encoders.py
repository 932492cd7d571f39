"""Encoders: BERT and its line. All post-norm; their heads are more than a matrix."""

from interp.models.families.family import FFN, Attention, Blocks, Family

_BERT = (
    Attention(
        at="attention",
        call="self",
        reads=("self.query", "self.key", "self.value"),
        out="output.dense",
        norm_after="attention.output.LayerNorm",
    ),
    FFN(at="", up="intermediate.dense", out="output.dense", norm_after="output.LayerNorm"),
)
_ONLY_ENCODERS = {
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "position_embedding_type": ("absolute",),  # transformers 5 reads no other, and says nothing
    "chunk_size_feed_forward": (0,),  # the FFN would run once for each piece of the text
}


def _bert(prefix: str) -> list[Blocks]:
    return [Blocks(path=f"{prefix}.encoder.layer.{{layer}}", sublayers=_BERT, causal=False)]


BERT = Family(name="BERT", stacks=_bert("bert"), unembed="", verified=_ONLY_ENCODERS)
ROBERTA = Family(
    name="RoBERTa",
    stacks=_bert("roberta"),
    unembed="",
    verified=_ONLY_ENCODERS,
    # It counts positions from pad_token_id + 1 on, so that many of them are never used.
    positions=lambda config: config.max_position_embeddings - config.pad_token_id - 1,
)
ELECTRA = Family(name="ELECTRA", stacks=_bert("electra"), unembed="", verified=_ONLY_ENCODERS)
DISTILBERT = Family(
    name="DistilBERT",
    stacks=[
        Blocks(
            path="distilbert.transformer.layer.{layer}",
            sublayers=(
                Attention(at="attention", reads=("q_lin", "k_lin", "v_lin"), out="out_lin", norm_after="sa_layer_norm"),
                FFN(at="ffn", up="lin1", out="lin2", norm_after="output_layer_norm"),
            ),
            causal=False,
        )
    ],
    unembed="",
    verified={"chunk_size_feed_forward": (0,)},
)

ENCODERS = {"bert": BERT, "roberta": ROBERTA, "electra": ELECTRA, "distilbert": DISTILBERT}
