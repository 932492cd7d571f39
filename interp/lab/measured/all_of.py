"""What can be measured on a model's files alone, by its kind; what needs the held-out part of a run; and the same of the untrained twin."""

from interp.lab.batches import Reading
from interp.lab.measured import decoder, encoder, translation
from interp.lab.measured.decoder import Decoder
from interp.lab.measured.encoder import Encoder
from interp.lab.measured.translation import Translator
from interp.lab.measured.words import NONE, Rows
from interp.lab.pairs import Pairs
from interp.lab.recipes import Recipe
from interp.lab.shapes import SHAPES
from interp.models.model import Model
from interp.models.untrained import untrained

TWIN_SEED = 0


def alone(model: Model, recipe: Recipe, *, ablated: bool = True) -> Decoder | Encoder | Translator:
    """Measure a model on generated sentences and random tokens; `ablated=False` leaves a decoder's heads on."""
    predicts = SHAPES[recipe.shape].predicts
    if predicts == "translation":
        return translation.measure(model, recipe)
    return encoder.measure(model) if predicts == "masked" else decoder.measure(model, ablated=ablated)


def on_held_out(model: Model, recipe: Recipe, held: Reading | Pairs) -> Rows:
    """What is measured on the run's held-out books; nothing where none were read."""
    if isinstance(held, Pairs):
        return {}
    return encoder.text_rows(model, held, recipe) if SHAPES[recipe.shape].predicts == "masked" else decoder.text_rows(model, held)


def without_network(model: Model, recipe: Recipe, read: Reading | Pairs, held: Reading | Pairs) -> Rows:
    """What held-out text costs by counting alone, for a model that predicts the next token of it."""
    if isinstance(read, Pairs) or isinstance(held, Pairs) or SHAPES[recipe.shape].predicts != "next":
        return {}
    return decoder.baseline_rows(model, read, held)


def beside_its_twin(model: Model, recipe: Recipe, read: Reading | Pairs, held: Reading | Pairs) -> tuple[dict[str, tuple[str, str]], str]:
    """Every figure of a card, (trained, untrained) by name, and the trained model in one line."""
    twin = untrained(model, TWIN_SEED)
    found = alone(model, recipe)
    trained = on_held_out(model, recipe, held) | without_network(model, recipe, read, held) | found.rows()
    fresh = on_held_out(twin, recipe, held) | alone(twin, recipe, ablated=False).rows()
    return {name: (value, fresh.get(name, NONE)) for name, value in trained.items()}, found.shows()
