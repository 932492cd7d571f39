"""The names of axes, one spelling each, and the order in which they stand in every result.

Glossary
    batch       texts run together
    stack       "encoder" or "decoder"
    task        what a probe is asked of a word
    reader      a way of reading something off vectors
    layer       0 to n_layers - 1
    state       the stream between sublayers: 0 before the first, 2l + 1 after the attention of layer l, 2l + 2 after its FFN
    head        0 to n_heads - 1, within a layer
    pos         a token's place in its text, from 0
    query_pos   the token that attends
    key_pos     the token that is attended to
    neuron      0 to d_mlp - 1, within a layer: an entry of the input of the FFN's output projection
    expert      0 to n_experts - 1, within a layer
    sublayer    an attention or FFN, in the order in which they write: "L0 attention", "L0 FFN"
    depth       the stream at a place: 0 what the first block reads, l what block l - 1 leaves, up to n_layers
    other_depth   the same, of a second stream
    component   one part that writes into the residual stream: embedding, head, bias, FFN
    upos        a word's universal part of speech
    lemma       a word's dictionary form
    place       a range of places in the text
    special     special tokens, and all others
    token       an entry of the vocabulary, among some
    mark        first, special, punctuation and other tokens
    relation    a grammatical relation between two words
    label       anything else that tokens are told apart by
    distance_bin  a range of distances between query and key
    tenth       a tenth of a statistic's range
    key_rank    a place in the list of keys that a head attends to most
    example     one of some queries of a head
    around      places from such a query, in a window around it
    bin         a range of values, in a histogram
    rank        a place in a list, the first is 0
    offset      places from a token, in a window around it: -1 is the token before
    shift       tokens after an earlier copy (induction profile)
    direction   a direction in the stream that a head writes along, the strongest first
    d_model     the residual stream's width
    d_head      a head's width
    d_vocab     entries of the vocabulary
"""

from collections.abc import Sequence

from interp.core.errors import DataError

AXES = (
    "batch",
    "stack",
    "task",
    "reader",
    "layer",
    "sublayer",
    "depth",
    "state",
    "other_depth",
    "head",
    "component",
    "shift",
    "direction",
    "pos",
    "query_pos",
    "key_pos",
    "expert",
    "neuron",
    "upos",
    "lemma",
    "place",
    "special",
    "token",
    "mark",
    "relation",
    "label",
    "distance_bin",
    "tenth",
    "key_rank",
    "example",
    "around",
    "bin",
    "rank",
    "offset",
    "d_model",
    "d_head",
    "d_vocab",
)


def check_axes(dims: Sequence[str]) -> None:
    """Refuse axes that are not in the glossary, twice there, or out of order.

    Raises: DataError naming the axes that came and the order expected.

    Example:
        >>> check_axes(["layer", "head", "query_pos"])
        >>> check_axes(["head", "layer"])
        Traceback (most recent call last):
        interp.core.errors.DataError: axes ('head', 'layer') came; expected each once, in this order: layer, head
    """
    unknown = [dim for dim in dims if dim not in AXES]
    if unknown:
        raise DataError(f"axes {tuple(unknown)} are not known; expected names out of: {', '.join(AXES)}")
    expected = sorted(set(dims), key=AXES.index)
    if list(dims) != expected:
        raise DataError(f"axes {tuple(dims)} came; expected each once, in this order: {', '.join(expected)}")
