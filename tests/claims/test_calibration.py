"""The engine on cases whose truth is known, in short; the full calibration is a command. And that a stopped one goes on."""

import dataclasses
import json
import sys

import numpy as np
import pytest

import interp
from interp.claims.calibration import runs
from interp.claims.calibration.cases import loaded, newborn, trained, whole
from interp.claims.calibration.equals import MARGIN, OfEquals, of_equals
from interp.claims.calibration.known_tables import known_tables
from interp.claims.calibration.nulls import EXACT, NULLS
from interp.claims.calibration.planted import planted
from interp.claims.calibration.runs import calibrate
from interp.claims.calibration.world import with_coins, with_random_heads, with_random_tags, world
from interp.claims.judge import judge
from interp.claims.protocols.registry import PROTOCOLS
from interp.claims.verdict import Evidence
from interp.cli import main
from interp.core.errors import ClaimError
from interp.figures.calibration import calibration_figures
from interp.figures.figure import Figure
from interp.models.constructed import constructed
from interp.models.constructed.weakening import weakened
from interp.models.load import load_model

N_EQUALS = 18


def test_the_best_of_144_equal_heads_is_not_supported_and_a_better_one_is():
    drawn = [of_equals(seed) for seed in range(N_EQUALS)]
    assert sum(one.supported for one in drawn) <= 1
    assert sum(one.naive for one in drawn) >= N_EQUALS // 3  # what testing on the data that chose it would make of it
    assert np.mean([one.chosen for one in drawn]) > 0.03
    assert abs(np.mean([one.confirmed for one in drawn])) < 0.02
    assert 0.2 < np.mean([one.p_best for one in drawn]) < 0.8
    found = [of_equals(seed, gain=3 * MARGIN) for seed in range(3)]
    assert all(one.supported for one in found)


@pytest.mark.parametrize(
    "name",
    [
        "head_relation, untrained models",
        "positional_head, untrained models",
        "head_subspaces, less than random, untrained models",
        "key_value, untrained models",
        "layer_probe, the last layer, labels by coins",
        "linearity, nonlinear FFNs, neurons in pairs that make up linear maps",
        "models_compared, copies of one model",
    ],
)
def test_nothing_is_found_where_nothing_is(name):
    null = next(one for one in NULLS if one.name == name)
    case = null.make(5)
    assert judge(case.claim, case.model, case.data, seed=5).outcome != "supported"


def test_every_protocol_on_samples_has_nulls():
    assert {one.protocol for one in NULLS} == set(PROTOCOLS) - set(EXACT)
    assert {one.protocol for one in planted()} <= {one.protocol for one in NULLS}
    assert len({one.name for one in (*NULLS, *planted())}) == len([*NULLS, *planted()])


@pytest.mark.parametrize(
    ("protocol", "weak", "strong"),
    [
        ("positional_head", "strength 0.06", "strength 1"),
        ("attends", "share of the sentences 0", "share of the sentences 1"),
        ("head_diversity", "strength 0.03", "strength 0.2"),
        ("linearity", "bent by 0.3", "bent by 1"),
        ("importance", "says 0.003", "says 0.1"),
    ],
)
def test_what_is_planted_is_found_when_it_is_strong_and_not_when_it_is_weak(protocol, weak, strong):
    cases = {one.what: one.make(0) for one in planted() if one.protocol == protocol and one.what in (weak, strong)}
    outcomes = {what: judge(case.claim, case.model, case.data, seed=0).outcome for what, case in cases.items()}
    assert outcomes[strong] == "supported"
    assert outcomes[weak] != "supported"


def test_cases_depend_on_their_seed_alone():
    null = NULLS[0]
    first, again, other = null.make(1), null.make(1), null.make(2)
    assert first.data == again.data != other.data
    assert first.model.fingerprint == again.model.fingerprint != other.model.fingerprint
    assert first.claim.hash == other.claim.hash
    assert {one.protocol for one in (*NULLS, *planted())} <= set(PROTOCOLS)


def test_shuffled_labels_keep_their_words_and_lose_their_meaning():
    found = world(3)
    hung, tagged = with_random_heads(found, 3), with_random_tags(found, 3)
    for before, heads, tags in zip(found, hung, tagged, strict=True):
        assert [word.form for word in before.words] == [word.form for word in heads.words] == [word.form for word in tags.words]
        assert sorted(word.upos for word in before.words) == sorted(word.upos for word in tags.words)
        assert all(word.head not in (0, word.id) and word.head <= len(before.words) for word in heads.words)
    pairs = [(before, after) for one, other in zip(found, hung, strict=True) for before, after in zip(one.words, other.words, strict=True)]
    assert np.mean([before.head == after.head for before, after in pairs]) < 0.2
    coins = [word.upos for sentence in with_coins(found, 3) for word in sentence.words]
    assert set(coins) == {"NOUN", "VERB"}
    assert 0.45 < np.mean([coin == "VERB" for coin in coins]) < 0.55


def test_no_offset_leads_from_it_to_its_subject():
    found = world(0)
    apart = [it - subject for sentence in found for _, it, subject in sentence.links]
    assert all(sentence.words[subject].deprel == "nsubj" for sentence in found for _, _, subject in sentence.links)
    assert max(map(apart.count, set(apart))) < 0.5 * len(apart)
    assert len({len(sentence.words) for sentence in found}) == 6


def test_known_tables_agree_and_a_wrong_folder_is_refused(tmp_path):
    found = known_tables()
    assert all(one.agrees for one in found)
    assert found[0].ours == pytest.approx(2.4737, abs=5e-5)
    assert {one.name: one.known for one in found}["parameters of BERT-base"] == 109_482_240
    assert not dataclasses.replace(found[0], ours=2.48).agrees
    with pytest.raises(ClaimError, match=r"no en_ewt-ud-dev.conllu, en_ewt-ud-test.conllu; expected the folder of UD English EWT"):
        known_tables(tmp_path)


def test_the_fixed_offsets_of_the_english_treebank(ewt_folder):
    found = [one for one in known_tables(ewt_folder) if "fixed offset" in one.name]
    assert len(found) == 22
    assert all(one.agrees for one in found)


def test_a_constructed_model_reads_fewer_tokens_and_says_the_same():
    made = whole("previous-token")
    text = "cat dog fox hen cow"
    short, long = loaded(made), load_model(made.hf, made.tokenizer)
    np.testing.assert_array_equal(*(interp.capture(model, text).pattern("L0H1").values for model in (short, long)))
    assert short.anatomy.n_ctx < long.anatomy.n_ctx
    assert newborn(1).fingerprint != newborn(2).fingerprint


def test_labels_are_not_drawn_from_the_stream_that_words_and_halves_come_from():
    """Else a label could go with the word that it labels, or with the half that its sentence falls into."""
    coins = [word.upos for sentence in with_coins(world(3), 3) for word in sentence.words]
    rng = np.random.default_rng(3)
    assert coins != [("NOUN", "VERB")[rng.integers(2)] for _ in coins]


def test_a_weakened_circuit_is_the_same_at_1_and_attends_to_all_alike_at_0():
    made = constructed("previous-token")
    text = "cat dog fox hen cow"
    patterns = [load_model(one.hf, one.tokenizer) for one in (made, weakened(made, 1.0), weakened(made, 0.5), weakened(made, 0.0))]
    full, same, half, none = (interp.capture(model, text).pattern("L0H1").values for model in patterns)
    np.testing.assert_array_equal(full, same)
    assert full[3, 2] > half[3, 2] > none[3, 2]
    np.testing.assert_allclose(none[3, :4], 0.25, atol=1e-6)
    assert trained() is trained()
    assert whole("previous-token").truth == made.truth


EVIDENCE = Evidence(
    name="a", unit="accuracy", estimate=0.5, baseline=0.2, baseline_name="offset", effect=0.3, low=0.2, high=0.4, level=0.95,
    upper=0.38, smallest_effect=0.1, n_items=500, n_clusters=100, family=8, p_adjusted=0.4, p_ties=0.001, power=0.95,
)  # fmt: skip
EQUAL = OfEquals(supported=False, naive=True, chosen=0.05, confirmed=0.0, p=0.9, p_best=0.5)


@pytest.fixture
def judged(monkeypatch):
    """One kind of null and one planted circuit, whose verdicts cost nothing: supported at seed 1 alone. Gives the seeds judged."""
    made = constructed("attention-only")
    verdict = dataclasses.replace(judge("S1-01", load_model(made.hf, made.tokenizer)), evidence=(EVIDENCE, EVIDENCE))
    seeds: list[int] = []

    def quick(claim, model, data, *, seed):
        seeds.append(seed)
        return dataclasses.replace(verdict, outcome="supported" if seed == 1 else "refuted", reason="")

    first = NULLS[1].make(0)
    null, one_planted = (dataclasses.replace(one, make=lambda seed: first) for one in (NULLS[1], next(planted())))
    monkeypatch.setattr(runs, "judge", quick)
    monkeypatch.setattr(runs, "NULLS", (null,))
    monkeypatch.setattr(runs, "planted", lambda: iter([one_planted]))
    monkeypatch.setattr(runs, "of_equals", lambda seed, gain: EQUAL)
    return seeds


def test_what_is_told_follows_from_the_runs(judged):
    found = calibrate(runs=10)
    null = found.nulls()[0]
    assert (null["runs"], null["supported"], null["others"]) == (10, 1, {"refuted": 9})
    assert [(row["name"], row["runs"], row["supported"]) for row in found.by_protocol()] == [("head_relation", 10, 1)]
    assert {"key_value", "importance"} <= set(found.without_nulls())  # there is but the one kind here
    assert not set(found.without_nulls()) & set(EXACT)
    assert (null["low"], null["high"]) == (
        pytest.approx(0.0025, abs=1e-4),
        pytest.approx(0.4450, abs=1e-4),
    )  # Clopper & Pearson for 1 of 10
    assert {name: len(values) for name, values in found.p_values().items()} == {
        "head_relation, shuffled heads of words: p": 10,
        "best of 144 equal heads: adjusted p": 10,
    }
    assert [row["p"] < 0.05 for row in found.uniformity()] == [True, True]  # all p alike are not uniform
    assert found.power()[0] == {
        "name": "positional_head, strength 0.06", "protocol": "positional_head", "effect": pytest.approx(3.0),
        "runs": 3, "supported": 1, "share": 1 / 3, "low": pytest.approx(0.0084, abs=1e-4), "high": pytest.approx(0.9057, abs=1e-4),
    }  # fmt: skip
    assert found.curse()["naive"] == 1.0
    assert "1 of   10 supported [0.3%, 44.5%]" in str(found)
    assert json.loads(found.to_json())["nulls"] == found.nulls()
    drawn = calibration_figures(found)
    assert list(drawn) == ["false-positives", "p-values", "power-positional_head", "power-equal-heads"]
    assert all(Figure(one).csv() for one in drawn.values())


def test_a_stopped_one_goes_on_and_another_codes_is_refused(judged, tmp_path, monkeypatch):
    whole_one = calibrate(runs=5)
    judged.clear()

    def stop(what):
        if what.startswith("10 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(runs=5, out=tmp_path, progress=stop)
    assert judged == [0, 0, 1]  # a null, what is planted, (equal heads,) the next null
    with (tmp_path / "runs.jsonl").open("a") as file:
        file.write('{"part": "nu')  # a line that a kill cut off
    assert calibrate(runs=5, out=tmp_path).rows == whole_one.rows
    assert sorted(judged) == [0, 0, 1, 1, 2, 2, 3, 4]
    monkeypatch.setattr(runs, "own_source", lambda: "another")
    with pytest.raises(ClaimError, match="was begun by other code, libraries or weights"):
        calibrate(runs=5, out=tmp_path)
    (tmp_path / "runs.jsonl").write_text("no json\n")
    with pytest.raises(ClaimError, match="is not a calibration's"):
        calibrate(runs=5, out=tmp_path)


def test_one_whose_time_is_over_tells_of_the_runs_that_there_are(judged, tmp_path):
    found = calibrate(runs=10, out=tmp_path, minutes=0.0)
    assert [row["runs"] for row in found.nulls()] == [3]
    assert "3 runs of each" in calibration_figures(found)["false-positives"].caption
    assert calibrate(runs=10, out=tmp_path).nulls()[0]["runs"] == 10


def test_bad_arguments(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaimError, match="file is a file; expected a folder"):
        calibrate(runs=3, out=tmp_path / "file")
    with pytest.raises(ClaimError, match="2 runs came; expected 3 at least"):
        calibrate(runs=2)
    with pytest.raises(ClaimError, match="protocols nonsense came; expected some of: attends, cost_scaling"):
        calibrate(runs=3, protocols=("nonsense",))


def test_the_command_writes_numbers_and_figures(judged, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["interp", "claims", "calibrate", "--runs", "3", "--out", str(tmp_path / "made")])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert not ended.value.code
    assert "False positives" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "made").iterdir()}
    names = ["false-positives.svg", "p-values.svg", "power-positional_head.svg", "power-equal-heads.svg"]
    assert written == {"runs.jsonl", "calibration.json", *names}
