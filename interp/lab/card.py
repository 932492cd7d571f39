"""The model card: what a bundled model was made of, and what the toolkit's own measures say of it.

Every figure in a card is measured on the shipped files when the card is written; none is typed in.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from interp.core.sites import head_site
from interp.lab.batches import text_row
from interp.lab.corpus import TokenStream
from interp.lab.recipes import Recipe
from interp.measures.attention import weight_at_offset
from interp.measures.induction import SHIFTS
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.controls import repeated_token_rows

N_ROWS, SPAN = 32, 64
TEMPLATE = Path(__file__).with_name("card.md")
PROMPTS = ("The old man", "When the morning came,", "She looked at the sea and", '"I do not know,"', "There was once a")


@dataclass(frozen=True, kw_only=True)
class Copying:
    """What a model does with random tokens that come twice.

    Attributes:
        first_nats, second_nats: mean loss on the first and on the second half, per token.
        previous: (layer, head) weight on the previous token.
        profile: (layer, head, shift) weight on "earlier copy + shift".
    """

    first_nats: float
    second_nats: float
    previous: torch.Tensor
    profile: torch.Tensor


@torch.no_grad()
def copying(model: Model, *, seed: int = 0) -> Copying:
    """Measure copying and the heads behind it on spans of 64 random tokens, each twice."""
    span = min(SPAN, model.anatomy.n_ctx // 2)
    ids = torch.from_numpy(repeated_token_rows(N_ROWS, span, model.anatomy.d_vocab, seed=seed, forbidden=model.tokenizer.all_special_ids))
    keep = Keep(model, ["pattern"])
    with watching(keep):
        logits = model.run(ids)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(N_ROWS, -1)
    patterns = [keep.arrays[Point(kind="pattern", layer=layer).name] for layer in range(model.anatomy.n_layers)]
    return Copying(
        first_nats=loss[:, : span - 1].mean().item(),
        second_nats=loss[:, span:].mean().item(),
        previous=torch.stack([weight_at_offset(pattern, -1).nanmean((0, 2)) for pattern in patterns]),
        profile=torch.stack([_profile(pattern, span) for pattern in patterns]),
    )


def _profile(pattern: torch.Tensor, span: int) -> torch.Tensor:
    """By exact place: token i's earlier copy is at i - span. A diagonal's first `shift` queries are in the first half, before any copy."""
    shifts = [pattern.diagonal(shift - span, -2, -1)[:, :, shift : shift + span - SHIFTS].mean((0, 2)) for shift in range(SHIFTS)]
    return torch.stack(shifts, dim=-1)


@torch.no_grad()
def bits_per_byte(model: Model, stream: TokenStream, recipe: Recipe, *, rows: int = 256) -> tuple[float, float]:
    """Loss on held-out text: nats per token and bits per byte, each row told from its own beginning."""
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(np.stack([text_row(stream, recipe.n_ctx, rng) for _ in range(rows)]))
    losses = [
        torch.nn.functional.cross_entropy(model.run(part)[:, :-1].flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
        for part in drawn.split(16)
    ]
    n_tokens = drawn[:, 1:].numel()
    n_bytes = sum(len(str(model.tokenizer.decode(row[1:], skip_special_tokens=True)).encode()) for row in drawn)
    return sum(losses) / n_tokens, sum(losses) / math.log(2) / n_bytes


def unigram_bits_per_byte(train: TokenStream, held: TokenStream, d_vocab: int) -> float:
    """What a model of token frequencies alone (counted on the training books, one added to each) would reach on the held-out books."""
    counts = np.bincount(train.tokens, minlength=d_vocab) + 1.0
    nats = -np.log(counts / counts.sum())[held.tokens].sum()
    return float(nats / math.log(2) / held.n_bytes)


@torch.no_grad()
def samples(model: Model, *, n_tokens: int = 40, seed: int = 0) -> list[str]:
    """Five continuations, one of each prompt, drawn at temperature 0.8 from the 40 likeliest tokens; the first that come."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [_continue(model, prompt, n_tokens) for prompt in PROMPTS]


def _continue(model: Model, prompt: str, n_tokens: int) -> str:
    ids = torch.tensor([model.tokenizer(prompt)["input_ids"]])
    for _ in range(min(n_tokens, model.anatomy.n_ctx - ids.shape[1])):
        top = (model.run(ids)[0, -1] / 0.8).topk(40)
        ids = torch.cat([ids, top.indices[torch.multinomial(top.values.softmax(-1), 1)][None]], dim=1)
    return " ".join(str(model.tokenizer.decode(ids[0])).split())


def write_card(recipe: Recipe, folder: Path, log: Path, train: TokenStream, held: TokenStream, n_books: tuple[int, int]) -> Path:
    """Measure the model in `folder` and write its card, README.md, beside it."""
    model = load_model(folder)
    nats, bits = bits_per_byte(model, held, recipe)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    text = _text(recipe, model, rows, copying(model), nats, bits, unigram_bits_per_byte(train, held, recipe.d_vocab), n_books)
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def _text(
    recipe: Recipe, model: Model, rows: list[dict], found: Copying, nats: float, bits: float, unigram: float, n_books: tuple[int, int]
) -> str:
    previous, induction = _best(found.previous), _best(found.profile.amax(-1))
    shift = int(found.profile[induction[0], induction[1]].argmax())
    losses = "\n".join(f"| {row['tokens']:,} | {row['text']:.3f} | {row['copied']:.3f} |" for row in rows[:: max(1, len(rows) // 12)])
    drawn = "\n".join(f"> {sample}\n" for sample in samples(model))
    settings = "\n".join(f"| {name} | {value} |" for name, value in asdict(recipe).items())
    last = rows[-1]
    return TEMPLATE.read_text(encoding="utf-8").format(
        name=recipe.name,
        shape=f"{recipe.n_layers} layers x {recipe.n_heads} heads, d_model {recipe.d_model}, context {recipe.n_ctx}",
        n_parameters=sum(parameter.numel() for parameter in model.hf.parameters()),
        d_vocab=recipe.d_vocab,
        fingerprint=model.fingerprint,
        recipe=recipe,
        n_train=n_books[0],
        n_held=n_books[1],
        last=last,
        losses=losses,
        nats=nats,
        bits=bits,
        unigram=unigram,
        found=found,
        previous=head_site(*previous),
        previous_weight=found.previous[previous],
        induction=head_site(*induction),
        induction_weight=found.profile[induction].max(),
        shifts=SHIFTS - 1,
        shift=shift,
        samples=drawn,
        settings=settings,
    )


def _best(values: torch.Tensor) -> tuple[int, int]:
    place = int(values.argmax())
    return place // values.shape[1], place % values.shape[1]
