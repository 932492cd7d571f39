"""The model card: what a bundled model was made of, and what the toolkit's own measures say of it.

Every figure in a card is measured on the shipped files when the card is written, or read from the run's log; none is typed in.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interp.core.sites import head_site
from interp.lab.agreement import ATTRACTORS, agreement_rows, share_right
from interp.lab.baselines import bigram_bits_per_byte, gzip_bits_per_byte, unigram_bits_per_byte
from interp.lab.batches import IGNORED, KINDS, Reading, assemble, text_row
from interp.lab.corpus import TokenStream
from interp.lab.pairs import Pairs, chosen
from interp.lab.recipes import Phase, Recipe
from interp.lab.scores import Copying, best_head, copying_of
from interp.lab.shapes import SHAPES
from interp.measures.induction import SHIFTS
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.controls import repeated_token_rows

N_ROWS, SPAN = 32, 64
TEXT_ROWS = 256
TEMPLATE = Path(__file__).with_name("card.md")
PROMPTS = ("The old man", "When the morning came,", "She looked at the sea and", '"I do not know,"', "There was once a")
BOOK_DATA = """{n_train} public-domain books of fiction in English (Standard Ebooks, CC0 1.0),
{recipe.grammar_paragraphs:,} generated paragraphs (`interp.texts.grammar`, split "train"), and rows of random tokens: spans that come back,
of which only the copied tokens count in the loss, and tokens to recall, whose label is the token before.
{n_held} whole books were held out. No treebank and no test sentence was in it."""
PAIR_DATA = """{recipe.pairs:,} generated sentences in English, each with its Chinese translation (`interp.texts.grammar`, split "train");
measured on split "confirmation", whose sentences were not among them. It reads no others: it knows a few hundred words."""
COLUMNS = {
    "tokens": "tokens",
    "text": "text",
    "grammar": "generated",
    "repeats": "copied",
    "pairs": "held-out pairs",
    "previous": "previous-token head",
    "induction": "induction head",
    "agreement_0": "agreement",
    "agreement_1": "with an attractor",
}


@torch.no_grad()
def copying(model: Model, *, seed: int = 0) -> Copying:
    """Measure copying and the heads behind it on spans of 64 random tokens, each twice."""
    span = min(SPAN, model.anatomy.n_ctx // 2)
    ids = torch.from_numpy(repeated_token_rows(N_ROWS, span, model.anatomy.d_vocab, seed=seed, forbidden=model.tokenizer.all_special_ids))
    keep = Keep(model, ["pattern"])
    with watching(keep):
        logits = model.run(ids)
    return copying_of(logits, [keep.arrays[Point(kind="pattern", layer=layer).name] for layer in range(model.anatomy.n_layers)], ids)


@torch.no_grad()
def bits_per_byte(model: Model, stream: TokenStream, recipe: Recipe) -> tuple[float, float]:
    """Loss on held-out text: nats per token and bits per byte, each row told from its own beginning."""
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(np.stack([text_row(stream, recipe.n_ctx, rng) for _ in range(TEXT_ROWS)]))
    losses = [
        torch.nn.functional.cross_entropy(model.run(part)[:, :-1].flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
        for part in drawn.split(16)
    ]
    n_tokens = drawn[:, 1:].numel()
    n_bytes = sum(len(str(model.tokenizer.decode(row[1:], skip_special_tokens=True)).encode()) for row in drawn)
    return sum(losses) / n_tokens, sum(losses) / math.log(2) / n_bytes


@torch.no_grad()
def masked_nats(model: Model, held: Reading, recipe: Recipe) -> float:
    """An encoder's loss on masked tokens of held-out text, nats per token."""
    n_of = {kind: TEXT_ROWS * (kind == "text") for kind in KINDS}
    read = assemble(held, Phase(n_steps=0, row_tokens=recipe.n_ctx), recipe, n_of, np.random.default_rng(0))
    logits = torch.cat([model.run(part) for part in read.inputs["input_ids"].split(16)])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), read.targets.flatten(), ignore_index=IGNORED).item()


@torch.no_grad()
def exact_match(hf: Any, held: Pairs) -> float:
    """Share of held-out sentences whose greedy translation is the generator's, token for token."""
    n_pairs, n_tokens = min(TEXT_ROWS, len(held.source)), held.target.shape[1]
    read = chosen(held, np.arange(n_pairs))
    ids = {name: read.inputs[name] for name in ("input_ids", "attention_mask")}
    written = hf.generate(**ids, max_new_tokens=n_tokens, num_beams=1, do_sample=False)[:, 1:]
    written = torch.nn.functional.pad(written, (0, n_tokens - written.shape[1]))
    return float((written == read.targets.clamp_min(0)).all(1).double().mean().item())


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


def write_card(recipe: Recipe, folder: Path, log: Path, read: Reading | Pairs, held: Reading | Pairs, n_books: tuple[int, int]) -> Path:
    """Measure the model in `folder` and write its card, README.md, beside it."""
    model = load_model(folder)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    text = TEMPLATE.read_text(encoding="utf-8").format(
        name=recipe.name,
        words=SHAPES[recipe.shape].words,
        shape=f"{recipe.n_layers} layers x {recipe.n_heads} heads, d_model {recipe.d_model}, context {recipe.n_ctx}",
        n_parameters=sum(parameter.numel() for parameter in model.hf.parameters()),
        d_vocab=recipe.d_vocab,
        fingerprint=model.fingerprint,
        recipe=recipe,
        words_of_data=_data(recipe, n_books),
        phases="\n".join(map(_phase, recipe.phases)),
        last=rows[-1],
        losses=_losses(rows),
        measures="\n".join(f"| {name} | {value} |" for name, value in _measures(model, recipe, read, held).items()),
        samples=_samples(model) if SHAPES[recipe.shape].predicts == "next" else "",
        settings="\n".join(f"| {name} | {value} |" for name, value in asdict(recipe).items() if name != "phases"),
    )
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def _phase(phase: Phase) -> str:
    shares = [1 - phase.grammar - phase.repeats - phase.recall, phase.grammar, phase.repeats, phase.recall]
    told = " | ".join(f"{share:.0%}" for share in shares)
    return f"| {phase.n_steps:,} | {phase.batch_rows} | {phase.row_tokens} | {told} |"


def _losses(rows: list[dict]) -> str:
    """A dozen rows of the log, and the last one."""
    kept = {name: title for name, title in COLUMNS.items() if name in rows[0]}
    chosen = [*rows[: -1 : max(1, len(rows) // 12)], rows[-1]]
    lines = [" | ".join(f"{row[name]:,}" if name == "tokens" else f"{row[name]:.3f}" for name in kept) for row in chosen]
    return "\n".join([f"| {' | '.join(kept.values())} |", "|---" * len(kept) + "|", *(f"| {line} |" for line in lines)])


def _data(recipe: Recipe, n_books: tuple[int, int]) -> str:
    if SHAPES[recipe.shape].predicts == "translation":
        return PAIR_DATA.format(recipe=recipe)
    return BOOK_DATA.format(recipe=recipe, n_train=n_books[0], n_held=n_books[1])


def _measures(model: Model, recipe: Recipe, read: Reading | Pairs, held: Reading | Pairs) -> dict[str, str]:
    if isinstance(read, Pairs) or isinstance(held, Pairs):
        assert isinstance(held, Pairs)
        return {"held-out sentences translated word for word as the generator does": f"{exact_match(model.hf, held):.1%}"}
    if SHAPES[recipe.shape].predicts == "masked":
        return {"masked tokens of held-out text": f"{masked_nats(model, held, recipe):.3f} nats per token"}
    nats, bits = bits_per_byte(model, held.text, recipe)
    found = copying(model)
    previous, induction = best_head(found.previous), best_head(found.profile.amax(-1))
    shift = int(found.profile[induction].argmax())
    return {
        "held-out text": f"{nats:.3f} nats per token, {bits:.3f} bits per byte",
        "the same by token frequencies alone": f"{unigram_bits_per_byte(read.text, held.text, recipe.d_vocab):.3f} bits per byte",
        "the same by pairs of tokens": f"{bigram_bits_per_byte(read.text, held.text, recipe.d_vocab):.3f} bits per byte",
        "the same by gzip": f"{gzip_bits_per_byte(held.text, model.tokenizer):.3f} bits per byte",
        "random tokens, first time": f"{found.first_nats:.2f} nats per token",
        "the same tokens, second time": f"{found.second_nats:.2f} nats per token",
        "best previous-token head on random tokens": f"{head_site(*previous)}, mean weight {found.previous[previous]:.2f}",
        f"best head on the earlier copy, shifts 0 to {SHIFTS - 1}": (
            f"{head_site(*induction)}, mean weight {found.profile[induction].max():.2f} at shift {shift}"
        ),
        **_agreement(model),
        **_loads(model, held),
    }


@torch.no_grad()
def _agreement(model: Model) -> dict[str, str]:
    rows = {attractors: agreement_rows(model.tokenizer, model.anatomy.n_ctx, attractors) for attractors in ATTRACTORS}
    return {
        f"verb agreement, {attractors} attractors (chance 50 %)": f"{share_right(model.run(ids), ids):.1%} of {len(ids) // 2} pairs"
        for attractors, ids in rows.items()
        if len(ids)
    }


@torch.no_grad()
def _loads(model: Model, held: Reading) -> dict[str, str]:
    """For routed experts: each one's share of the places that a layer gives away, on held-out text."""
    n_active = getattr(model.hf.config, "num_experts_per_tok", 0)
    if not n_active:
        return {}
    rows = torch.from_numpy(np.stack([text_row(held.text, model.anatomy.n_ctx, np.random.default_rng(row)) for row in range(16)]))
    layers = model.hf(input_ids=rows, output_router_logits=True, use_cache=False).router_logits
    chosen_experts = [layer.topk(n_active).indices.flatten() for layer in layers]
    shares = [torch.bincount(experts, minlength=layers[0].shape[-1]) / len(experts) for experts in chosen_experts]
    return {f"load of the experts, layer {number}": ", ".join(f"{share:.0%}" for share in layer) for number, layer in enumerate(shares)}


def _samples(model: Model) -> str:
    drawn = "\n".join(f"> {sample}\n" for sample in samples(model))
    return f"Unpicked samples, temperature 0.8, the 40 likeliest tokens:\n\n{drawn}\n"
