"""What a bundled model is made of: one frozen recipe each.

A recipe says the shape, the data mixture and the schedule; `train` turns it into weights, `card` writes down what came out.
Sizes are in tokens, rates per optimiser step.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights, apart from the text itself.

    Shares are of a batch's rows; what is neither repeats nor scaffold is text. `repeats_start` and `repeats_end` are the share of rows with
    repeated spans, at the first and the last step; between them it falls linearly. Random spans are drawn from `repeat_vocab_start` pieces
    at first; each time that copying them is mastered (a running loss under `mastered_nats`), from twice as many, up to all.

    The first `short_steps` steps read rows of `short_ctx` tokens, each beginning at a random position, so that all positions are
    trained: in a short row the token before is found much sooner. In them `scaffold_share` of the rows that are not repeats are
    skip rows, in which the next token is a fixed function of the *previous* one; after them that share falls to none over a quarter
    as many steps. `init_range` is the standard deviation of fresh weights, 1/sqrt(d_model).
    """

    name: str
    n_layers: int
    n_heads: int
    d_model: int
    d_vocab: int = 4096
    n_ctx: int = 256
    batch_rows: int = 16
    n_steps: int = 5600
    warmup_steps: int = 100
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    repeats_start: float = 0.5
    repeats_end: float = 0.2
    repeat_vocab_start: int = 512
    mastered_nats: float = 1.0
    scaffold_share: float = 0.5
    short_steps: int = 3000
    short_ctx: int = 64
    init_range: float = 0.0625
    dropout: float = 0.0
    seed: int = 0


RECIPES = {
    recipe.name: recipe
    for recipe in [
        Recipe(name="tales", n_layers=4, n_heads=8, d_model=256),
    ]
}
