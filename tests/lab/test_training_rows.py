"""What a model is trained on: rows are the same again, what is marked as a copy can be told, what is held out stays out."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from interp.core.errors import DataError
from interp.lab.batches import IGNORED, batch, repeat_row, repeat_share, scaffold_share, skip_row, text_row
from interp.lab.corpus import TokenStream, books, split, tokenize_books
from interp.lab.recipes import RECIPES, Recipe
from interp.lab.tokenizer import END_OF_TEXT, train_tokenizer
from interp.lab.train import Progress, rate

N_CTX, VOCAB = 96, 4096
RECIPE = Recipe(name="rows", n_layers=1, n_heads=2, d_model=16, n_ctx=N_CTX, n_steps=100, warmup_steps=10, short_steps=40, short_ctx=32)


@pytest.fixture(scope="module")
def stream() -> TokenStream:
    """Text of 8000 tokens, a paragraph each 50; a token says where it stands."""
    return TokenStream(tokens=np.arange(8000, dtype=np.uint16) % VOCAB, starts=np.arange(0, 8000, 50), n_bytes=8000)


def rows_of(stream, seed, n=200, n_ctx=N_CTX, vocab=VOCAB):
    rng = np.random.default_rng(seed)
    return [repeat_row(stream, n_ctx, vocab, rng) for _ in range(n)]


def same(one, other) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("rows", "labels", "positions"))


@pytest.mark.parametrize("step", [0, 39, 40, 99])
def test_a_batch_is_the_same_again_and_another_for_another_seed_step_or_vocabulary(stream, step):
    first = batch(stream, RECIPE, step, VOCAB)
    np.random.default_rng(1).random()  # nothing global is drawn from
    torch.rand(3)
    assert same(first, batch(stream, RECIPE, step, VOCAB))
    others = [
        batch(stream, RECIPE, step + 1, VOCAB),
        batch(stream, RECIPE, step, VOCAB // 2),
        batch(stream, dataclasses.replace(RECIPE, seed=1), step, VOCAB),
    ]
    for other in others:
        assert first.rows.shape != other.rows.shape or not torch.equal(first.rows, other.rows)


def test_a_batch_is_text_then_skips_then_repeats(stream):
    for step in range(0, 100, 7):
        made = batch(stream, RECIPE, step, VOCAB)
        n_ctx = RECIPE.short_ctx if step < RECIPE.short_steps else RECIPE.n_ctx
        assert made.rows.shape == made.labels.shape == made.positions.shape == (RECIPE.batch_rows, n_ctx)
        assert 0 <= made.n_repeats <= RECIPE.batch_rows
        counted = made.labels != IGNORED
        assert torch.equal(made.labels[counted], made.rows[counted])
        whole = counted.all(1)
        n_text = int(whole.sum())
        assert whole[:n_text].all()
        for row in made.rows[:n_text].numpy():
            assert row[0] % 50 == 0 or (row[0] + VOCAB) % 50 == 0  # a paragraph's start
            assert (np.diff(row) % VOCAB == 1).all()
        repeats = counted[len(counted) - made.n_repeats :]
        assert not repeats[:, : min(8, n_ctx)].any()  # the first span is never a copy


def test_positions_run_on_and_reach_every_place_of_the_context(stream):
    reached = torch.zeros(RECIPE.n_ctx, dtype=torch.bool)
    for step in range(40):
        positions = batch(stream, RECIPE, step, VOCAB).positions
        assert (positions.diff(dim=1) == 1).all()
        assert positions.min() >= 0
        assert positions.max() < RECIPE.n_ctx
        reached[positions.flatten()] = True
    assert reached.all()
    assert torch.equal(batch(stream, RECIPE, 40, VOCAB).positions, torch.arange(RECIPE.n_ctx).expand(RECIPE.batch_rows, -1))


def seen_before(row: np.ndarray, place: int) -> bool:
    """The token at `place` is what followed an earlier copy of the token before it."""
    earlier = np.flatnonzero(row[: place - 1] == row[place - 1])
    return any(row[found + 1] == row[place] for found in earlier)


def test_a_marked_token_is_what_followed_the_earlier_copy(stream):
    """One exception in a periodic row: where the span comes back for the first time, its first token is marked, though only from then on
    does anything tell that it comes back there."""
    unmarked_seen = marked = exceptions = 0
    for row, copied in rows_of(stream, 0):
        assert len(row) == len(copied) == N_CTX
        assert not copied[:8].any()
        places = np.flatnonzero(copied)
        wrong = [place for place in places if not seen_before(row, place)]
        assert len(wrong) <= 1
        if wrong:  # then the row is the beginning of one span over and over, and `wrong` is where it begins anew
            assert wrong[0] == places[0]
            assert (row[wrong[0] :] == row[: len(row) - wrong[0]]).all()
        exceptions += len(wrong)
        marked += len(places)
        unmarked_seen += sum(seen_before(row, place) for place in range(1, N_CTX) if not copied[place])
    assert marked > 5000
    assert exceptions < 0.02 * marked
    assert unmarked_seen < 0.02 * (200 * N_CTX - marked)  # and hardly one that could be told goes unmarked


def test_repeat_rows_have_both_kinds_and_both_sources(stream):
    periodic = from_text = 0
    rows = rows_of(stream, 1, n=400)
    for row, copied in rows:
        if copied.any():
            period = int(np.flatnonzero(copied)[0])
            periodic += bool((row[period:] == row[:-period]).all())
        from_text += bool((np.diff(row[:8]) == 1).all())
    assert 0.4 < periodic / len(rows) < 0.62  # half, and a scattered row that happens to look so
    assert 0.18 < from_text / len(rows) < 0.33


def test_random_spans_stay_in_their_vocabulary(stream):
    small = TokenStream(tokens=stream.tokens % 30, starts=stream.starts, n_bytes=8000)
    drawn = np.concatenate([row for row, _ in rows_of(small, 2, vocab=40)])
    assert set(np.unique(drawn)) <= set(range(40))
    assert drawn.max() == 39


def test_in_a_skip_row_the_previous_token_tells_what_comes_and_the_current_one_does_not():
    rng = np.random.default_rng(0)
    follows: dict[int, set[int]] = {}
    after_current: dict[int, set[int]] = {}
    for _ in range(300):
        row, known = skip_row(64, 4096, rng)
        assert (known == (np.arange(64) >= 2)).all()
        assert row.min() >= 1
        assert row.max() <= 512
        for place in range(2, 64):
            follows.setdefault(int(row[place - 2]), set()).add(int(row[place]))
            after_current.setdefault(int(row[place - 1]), set()).add(int(row[place]))
    assert all(len(found) == 1 for found in follows.values())
    assert len(set.union(*follows.values())) == len(follows) > 500  # a permutation; a short cycle of it may not have come up
    assert np.mean([len(found) for found in after_current.values()]) > 10


def test_a_skip_row_fits_a_small_vocabulary():
    rng = np.random.default_rng(0)
    pieces = np.unique([skip_row(50, 300, rng)[0] for _ in range(100)])
    assert (pieces.min(), pieces.max()) == (1, 299)


def test_shares_begin_and_end_as_the_recipe_says():
    recipe = RECIPES["tales"]
    assert repeat_share(recipe, 0) == recipe.repeats_start
    assert repeat_share(recipe, recipe.n_steps) == pytest.approx(recipe.repeats_end)
    assert scaffold_share(recipe, 0) == scaffold_share(recipe, recipe.short_steps) == recipe.scaffold_share
    assert 0 < scaffold_share(recipe, recipe.short_steps + recipe.short_steps // 8) < recipe.scaffold_share
    assert scaffold_share(recipe, recipe.short_steps + recipe.short_steps // 4) == 0
    assert all(0 <= scaffold_share(recipe, step) <= recipe.scaffold_share for step in range(recipe.n_steps))


def test_the_learning_rate_rises_and_falls_to_a_tenth():
    rates = [rate(RECIPE, step) for step in range(RECIPE.n_steps + 1)]
    assert rates[0] == pytest.approx(RECIPE.learning_rate / 10)
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[9] == rates[10] == pytest.approx(RECIPE.learning_rate)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(RECIPE.learning_rate / 10)
    assert rates[55] == pytest.approx(0.55 * RECIPE.learning_rate)  # halfway down


def test_mastery_doubles_the_vocabulary_up_to_all_and_starts_anew():
    recipe = dataclasses.replace(RECIPE, d_vocab=2000, mastered_nats=1.0)
    at = Progress(step=0, tokens=0, repeat_vocab=512, copied_nats=None)
    at = at.after(recipe, None, 100)
    assert at == Progress(step=1, tokens=100, repeat_vocab=512, copied_nats=None)  # a step without copies tells nothing
    at = at.after(recipe, 1.1, 100)
    assert (at.repeat_vocab, at.copied_nats) == (512, 1.1)
    at = at.after(recipe, 0.0, 100)
    assert (at.repeat_vocab, at.copied_nats) == (512, pytest.approx(0.98 * 1.1))  # one good step is not mastery
    sizes = []
    for _ in range(600):
        at = at.after(recipe, 0.1, 100)
        sizes.append(at.repeat_vocab)
    assert sorted(set(sizes)) == [512, 1024, 2000]
    waits = [sizes.count(512), sizes.count(1024)]
    assert waits[1] == math.ceil(math.log((2.0 - 0.1) / (1.0 - 0.1)) / -math.log(0.98)) + 0  # from 2 x mastered down to mastered
    assert at.copied_nats == pytest.approx(0.1, abs=1e-3)
    assert (at.step, at.tokens) == (603, 60300)


@pytest.fixture
def library(tmp_path):
    """Makes a folder of n books, each with words that no other book has."""

    def make(n: int):
        for number in range(n):
            path = tmp_path / f"shelf{number % 2}" / f"book{number:02}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n\n".join(f"Only{number} said {number}{k} — good night." for k in range(30)) + "\n", encoding="utf-8")
        return tmp_path

    return make


@pytest.mark.parametrize(("n", "n_held"), [(2, 1), (3, 1), (24, 1), (25, 1), (50, 2), (77, 3)])
def test_whole_books_are_held_out(library, n, n_held):
    found = books(library(n))
    train, held = split(found)
    assert len(held) == n_held
    assert not set(train) & set(held)
    assert sorted([*train, *held]) == found
    assert (train, held) == split(books(library(n)))


def test_held_out_books_are_in_neither_the_stream_nor_the_tokenizer(library):
    train, held = split(books(library(5)))
    tokenizer = train_tokenizer(train, 400, 64)
    assert tokenizer.eos_token == END_OF_TEXT
    streams = {"train": tokenize_books(train, tokenizer), "held": tokenize_books(held, tokenizer)}
    texts = {name: tokenizer.decode(stream.tokens) for name, stream in streams.items()}
    for path in train:
        assert f"Only{int(path.stem[4:])} said" in texts["train"]
    for path in held:
        assert f"Only{int(path.stem[4:])} said" in texts["held"]
        assert f"Only{int(path.stem[4:])} said" not in texts["train"]
    held_word = f"Only{int(held[0].stem[4:])}"
    assert not any(held_word in piece for piece in tokenizer.get_vocab())
    assert len(tokenizer) <= 400


def test_a_stream_is_the_books_text_with_a_start_for_each_paragraph(library):
    paths = books(library(3))
    tokenizer = train_tokenizer(paths, 300, 64)
    stream = tokenize_books(paths, tokenizer)
    expected = "".join("".join(line + "\n" for line in path.read_text().splitlines() if line) + END_OF_TEXT for path in paths)
    assert tokenizer.decode(stream.tokens) == expected
    assert stream.n_bytes == len(expected.replace(END_OF_TEXT, "").encode())
    assert len(stream.starts) == 90
    for start in stream.starts:
        assert tokenizer.decode(stream.tokens[start : start + 8]).startswith("O")
    assert tokenizer("猫 \u00e9\u0000")["input_ids"] != []
    assert tokenizer.decode(tokenizer("猫 \u00e9")["input_ids"]) == "猫 \u00e9"  # any text comes back: every byte is a piece


def test_a_folder_without_enough_books_is_refused(tmp_path):
    for number, told in enumerate(["no .txt file under", "one .txt file under"]):
        with pytest.raises(DataError, match=f"{told} .*training needs a folder of plain-text books"):
            books(tmp_path)
        (tmp_path / f"{number}.txt").write_text("Once.\n")
    (tmp_path / "notes.md").write_text("not a book")
    assert [path.name for path in books(tmp_path)] == ["0.txt", "1.txt"]


def test_a_book_that_cannot_be_read_is_named(tmp_path):
    tokenizer = None
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(DataError, match=r"blank\.txt: no text in it"):
        tokenize_books([tmp_path / "blank.txt"], tokenizer)
    with pytest.raises(DataError, match=r"latin\.txt: not UTF-8 .* save the file as UTF-8"):
        tokenize_books([tmp_path / "latin.txt"], tokenizer)


def test_too_little_text_for_a_row_is_refused(stream):
    short = TokenStream(tokens=stream.tokens[:90], starts=np.array([0, 50]), n_bytes=90)
    with pytest.raises(DataError, match="90 tokens of text came; expected more than a row of 96"):
        text_row(short, 96, np.random.default_rng(0))
    assert len(text_row(short, 80, np.random.default_rng(0))) == 80
