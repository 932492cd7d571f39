"""The model card: what a bundled model was made of, and what the toolkit's own measures say of it.

Every figure in a card is measured on the shipped files when the card is written (`measured`), or read from the run's log; none is typed in.
"""

import json
from dataclasses import asdict
from pathlib import Path

from interp.lab.batches import Reading
from interp.lab.measured.all_of import TWIN_SEED, beside_its_twin
from interp.lab.measured.decoder import samples
from interp.lab.pairs import Pairs
from interp.lab.recipes import Phase, Recipe
from interp.lab.shapes import SHAPES
from interp.models.load import load_model
from interp.models.model import Model

TEMPLATE = Path(__file__).with_name("card.md")
BOOK_DATA = """{n_train} public-domain books of fiction in English (Standard Ebooks, CC0 1.0),
{recipe.grammar_paragraphs:,} generated paragraphs (`interp.texts.grammar`, split "train"; {alone}), and rows of random
tokens: spans that come back, of which only the copied tokens count in the loss, and tokens to recall, whose label is the token before.
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


def write_card(recipe: Recipe, folder: Path, log: Path, read: Reading | Pairs, held: Reading | Pairs, n_books: tuple[int, int]) -> Path:
    """Measure the model in `folder` and write its card, README.md, beside it."""
    model = load_model(folder)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    measured, shows = beside_its_twin(model, recipe, read, held)
    text = TEMPLATE.read_text(encoding="utf-8").format(
        name=recipe.name,
        words=SHAPES[recipe.shape].words,
        shape=f"{recipe.n_layers} layers x {recipe.n_heads} heads, d_model {recipe.d_model}, context {recipe.n_ctx}",
        n_parameters=sum(parameter.numel() for parameter in model.hf.parameters()),
        d_vocab=model.anatomy.d_vocab,
        shows=shows,
        fingerprint=model.fingerprint,
        recipe=recipe,
        words_of_data=_data(recipe, n_books),
        phases="\n".join(map(_phase, recipe.phases)),
        last=rows[-1],
        losses=_losses(rows),
        twin_seed=TWIN_SEED,
        measures="\n".join(f"| {name} | {trained} | {twin} |" for name, (trained, twin) in measured.items()),
        samples=_samples(model) if SHAPES[recipe.shape].predicts == "next" else "",
        settings="\n".join(f"| {name} | {value} |" for name, value in asdict(recipe).items() if name not in ("phases", "seedling")),
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
    shares = {"agreement sentences": recipe.agreement, "sentences with an ambiguous word": recipe.senses}
    alone = " and ".join(f"{share:.0%} of them {what} alone" for what, share in shares.items() if share) or "sentences of all kinds"
    told = BOOK_DATA.format(recipe=recipe, n_train=n_books[0], n_held=n_books[1], alone=alone)
    return told if recipe.seedling is None else f"{told}\n{_seedling(recipe.seedling)}"


def _seedling(recipe: Recipe) -> str:
    phases = "; ".join(f"{phase.n_steps:,} steps of {phase.recall:.0%} recall, {phase.repeats:.0%} repeats" for phase in recipe.phases)
    return (
        f"It was grown (`interp.lab.growth`) out of a model of {recipe.n_layers} layers, d_model {recipe.d_model}, seed {recipe.seed}, "
        f"that had read {phases}; what follows is what it read after that."
    )


def _samples(model: Model) -> str:
    drawn = "\n".join(f"> {sample}\n" for sample in samples(model))
    return f"Unpicked samples, temperature 0.8, the 40 likeliest tokens:\n\n{drawn}\n"
