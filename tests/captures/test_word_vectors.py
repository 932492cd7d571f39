"""Vectors of words: those of the plain model, however the texts are cut into batches and passes."""

import numpy as np
import pytest
import torch

from interp.captures.prompt import capture
from interp.captures.word_vectors import stream_points, word_vectors
from interp.core.errors import DataError, ModelUnsupported
from interp.models.points import Point
from interp.texts.sentences import annotate
from interp.texts.words import Sentence, Word


def sentence(text, number):
    words, place = [], 0
    for index, form in enumerate(text.split()):
        words.append(Word(id=index + 1, form=form, lemma=form, upos="X", deprel="_", head=0, span=(place, place + len(form))))
        place += len(form) + 1
    return Sentence(id=f"s{number}", text=text, words=tuple(words), document=f"d{number}")


@pytest.fixture
def corpus(texts):
    return [sentence(text, number) for number, text in enumerate(texts)]


def found(model, examples, words, points, **options):
    return dict(word_vectors(model, examples, words, points, **options))


def test_they_are_the_plain_models_hidden_states(tiny_named, corpus):
    tiny = tiny_named("bert")
    examples = [annotate(one, tiny.model.tokenizer) for one in corpus]
    words = [(number, place) for number, example in enumerate(examples) for place in range(len(example.words))]
    seen = found(tiny.model, examples, words, stream_points(tiny.model))
    for row, (number, place) in enumerate(words):
        with torch.no_grad():
            states = tiny.hf(torch.tensor([examples[number].ids]), output_hidden_states=True).hidden_states
        for depth, vectors in enumerate(seen.values()):
            mean = states[depth][0, list(examples[number].word_tokens[place])].mean(0).numpy()
            assert vectors[row] == pytest.approx(mean, abs=1e-5)


def test_a_word_of_several_pieces_is_their_mean(tiny_named, corpus):
    """A word made of two tokens by hand."""
    model = tiny_named("gpt2").model
    example = annotate(corpus[0], model.tokenizer)
    joined = type(example)(**{**example.__dict__, "word_tokens": ((0, 1), *example.word_tokens[1:])})
    (point,) = points = [Point(kind="resid_mid", layer=1)]
    both = found(model, [example], [(0, 0), (0, 1)], points)[point]
    assert found(model, [joined], [(0, 0)], points)[point][0] == pytest.approx(both.mean(0), abs=1e-6)
    seen = capture(model, corpus[0].text)
    assert both == pytest.approx(seen.tensor("resid_mid", 1)[:2].numpy(), abs=1e-5)


def test_batches_and_passes_change_nothing(tiny_named, corpus):
    model = tiny_named("gpt2").model
    examples = [annotate(one, model.tokenizer) for one in corpus]
    words = [(4, 2), (0, 1), (4, 2), (1, 0)]
    whole = found(model, examples, words, stream_points(model))
    pieces = found(model, examples, words, stream_points(model), max_tokens=1, max_bytes=1)
    assert list(whole) == list(pieces) == stream_points(model)
    for point in whole:
        assert pieces[point] == pytest.approx(whole[point], abs=1e-6)
        assert whole[point].dtype == np.float32
        assert (whole[point][0] == whole[point][2]).all()


def test_refusals(tiny_named, corpus):
    model = tiny_named("gpt2").model
    examples = [annotate(one, model.tokenizer) for one in corpus]
    with pytest.raises(DataError, match="no word came"):
        next(word_vectors(model, examples, [], stream_points(model)))
    neox = tiny_named("neox").model
    with pytest.raises(DataError, match=r"showed nothing at blocks\.0\.hook_resid_mid"):
        next(word_vectors(neox, examples, [(0, 0)], [Point(kind="resid_mid", layer=0)]))
    with pytest.raises(ModelUnsupported):
        next(word_vectors(tiny_named("t5").model, examples, [(0, 0)], [Point(kind="resid_pre", layer=0)]))
