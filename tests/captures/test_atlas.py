"""The atlas of a run is what its profile holds, said by name; a wrong, unfinished or damaged run is refused in words."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import small_runs

from interp import api
from interp.captures.atlas import heads, layers, missing, neurons, statistics
from interp.captures.atlas.opened import open_atlas
from interp.captures.corpus.registry import GROUPS
from interp.core.errors import DataError, SiteError
from interp.measures.head_statistics import HEAD_STATISTICS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_runs.of_tales(tmp_path_factory.mktemp("tales"))


@pytest.fixture(scope="module")
def atlas(run):
    return open_atlas(run)


@pytest.fixture(scope="module")
def profile(run):
    return api.read(run / "profile.nc")


@pytest.fixture(scope="module")
def tiny_atlas(tiny_named, tmp_path_factory):
    kept: dict = {}

    def of(form):
        if form not in kept:
            kept[form] = open_atlas(small_runs.of_tiny(tmp_path_factory.mktemp(form), tiny_named(form).model))
        return kept[form]

    return of


# ------------------------------------------------------------------------------------------------------------------ what it says


def test_it_knows_what_was_run(atlas, profile):
    assert atlas.made.model == "tales"
    assert (atlas.n_texts, atlas.n_tokens) == (3, profile.attrs["n_tokens"])
    assert ".conllu" in atlas.corpus
    assert atlas.made.data in atlas.corpus
    assert api.atlas(atlas.folder / "profile.nc").n_tokens == atlas.n_tokens


def test_opening_loads_no_torch(run):
    code = f"""
import sys
from interp.captures.atlas.opened import open_atlas
from interp.captures.atlas import heads, neurons, layers
atlas = open_atlas({str(run)!r})
heads.standings(atlas, "L0H0"); neurons.top_texts(atlas, neurons.neuron(atlas, "L0N1")); layers.spread(atlas, "entropy")
print([name for name in ("torch", "transformers", "matplotlib", "plotly", "streamlit") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_every_statistic_is_the_profiles(atlas, profile):
    of_heads = statistics.statistics(atlas, "heads")
    some = {"entropy", "previous_hits", "head_copying", "mass_on_mark.first", "dependent_to_head.obj", "induction_profile.1"}
    assert some <= set(of_heads)
    assert not [name for name in of_heads if "ids" in name or "example" in name or name == "most_attended_token"]
    np.testing.assert_array_equal(statistics.statistic(atlas, "entropy"), profile["entropy"])
    first = statistics.statistic(atlas, "mass_on_mark.first")
    np.testing.assert_array_equal(first, profile["mass_on_mark"].sel(mark="first"))
    assert first.attrs["long_name"] == "weight on keys by mark: first"
    shift = statistics.statistic(atlas, "induction_profile.2")
    np.testing.assert_array_equal(shift, profile["induction_profile"].sel(shift=2))
    assert shift.attrs["n"] == profile["induction_profile"].attrs["n"][2]
    np.testing.assert_array_equal(statistics.statistic(atlas, "neuron_max"), profile["neuron_max"])
    assert statistics.parts(atlas) == ["heads", "neurons"]


def test_ranked_lists_begin_with_the_largest_or_the_smallest(atlas, profile):
    values = profile["neuron_max"].values
    found = statistics.ranked(statistics.statistic(atlas, "neuron_max"), 5)
    assert [each.value for each in found] == np.sort(values.ravel())[::-1][:5].tolist()
    layer, index = np.unravel_index(values.argmax(), values.shape)
    assert found[0].site == f"L{layer}N{index}"
    least = statistics.ranked(statistics.statistic(atlas, "neuron_max"), 5, largest=False)
    assert [each.value for each in least] == np.sort(values.ravel())[:5].tolist()


def test_what_has_no_number_is_in_no_list(atlas, profile):
    never = next(label for label in profile.relation.values if profile["dependent_to_head"].sel(relation=label).isnull().all())
    assert statistics.ranked(statistics.statistic(atlas, f"dependent_to_head.{never}"), 5) == []


def test_a_head_stands_where_it_stands(atlas, profile):
    entropy = next(each for each in heads.standings(atlas, "L2H3") if each.name == "entropy")
    values = profile["entropy"].values
    assert entropy.value == values[2, 3]
    assert (entropy.place, entropy.of) == (int((values > values[2, 3]).sum()) + 1, values.size)


def test_examples_by_tenths_are_tokens_of_the_texts(atlas, profile):
    found = heads.tenths(atlas, "L0H2", "previous")
    assert [tenth.upper for tenth in found] == pytest.approx([1 - 0.1 * at for at in range(10)])
    assert sum(tenth.share for tenth in found) == pytest.approx(1.0)
    texts = {0: "The old man looked at the sea.", 1: "She said the word, and she said it again."}
    model = api.load()
    seen = 0
    for tenth in found:
        for example in tenth.examples:
            assert tenth.lower - 1e-6 <= example.value <= tenth.upper + 1e-6
            if example.text in texts:
                capture = api.capture(model, texts[example.text])
                assert example.tokens[example.at].strip() == capture.example.tokens[example.pos].strip()
                pattern = capture.pattern("L0H2").values
                assert example.value == pytest.approx(pattern[example.pos, example.pos - 1], abs=1e-4)
                seen += 1
    assert seen >= 4


def test_distances_are_the_profiles_without_the_empty_ends(atlas, profile):
    found = heads.distances(atlas, "L1H1")
    whole = profile["distance_histogram"].sel(layer=1, head=1)
    assert found.sum() == pytest.approx(float(whole.sum()), abs=1e-6)
    assert found.sizes["distance_bin"] < whole.sizes["distance_bin"]
    assert int(found.last_offset[-1]) == 0  # a decoder looks at nothing ahead


def test_what_a_head_writes_is_spelt(atlas, profile):
    (first, *_) = heads.writes(atlas, "L0H0")
    model = api.load()
    ids = profile["head_promoted_ids"].sel(layer=0, head=0, direction=0).values
    assert [token for token, _ in first.promoted] == [small_spelling(model, token) for token in ids]
    assert [value for _, value in first.promoted] == profile["head_promoted"].sel(layer=0, head=0, direction=0).values.tolist()
    assert first.share == float(profile["head_direction_share"].sel(layer=0, head=0, direction=0))


def small_spelling(model, token):
    from interp.texts.tokens import spelled

    return spelled(int(token), model.tokenizer)


def test_a_neurons_top_texts_and_histogram(atlas, profile):
    one = neurons.neuron(atlas, "L1N7")
    found = neurons.top_texts(atlas, one)
    np.testing.assert_allclose([each.value for each in found], profile["neuron_top"].sel(layer=1, neuron=7).values)
    seen = api.capture(api.load(), "The old man looked at the sea.")
    of_first = next(each for each in found if each.text == 0)
    assert of_first.tokens[of_first.at] == seen.example.tokens[of_first.pos]
    assert of_first.value == pytest.approx(float(seen.neurons(1)[of_first.pos, 7]), abs=1e-4)
    assert int(neurons.histogram(atlas, one).sum()) == atlas.n_tokens
    up, down = neurons.promoted(atlas, one)
    assert up[0][1] == float(profile["neuron_promoted"].sel(layer=1, neuron=7, rank=0))
    assert down[0][1] < 0


def test_the_spread_of_a_layer(atlas, profile):
    low, middle, high = layers.spread(atlas, "neuron_sd")
    np.testing.assert_allclose(middle, np.median(profile["neuron_sd"].values, axis=1), rtol=1e-6)
    assert (low.values < middle.values).all()
    assert (middle.values < high.values).all()
    assert [result.name for result in layers.by_depth(atlas)] == [
        "lens_loss", "effective_rank", "rank_one_distance", "distance_to_one_token",
    ]  # fmt: skip


def test_a_mixtures_neurons_are_of_its_experts(tiny_atlas):
    atlas = tiny_atlas("deepseek-v3")
    assert set(statistics.parts(atlas)) == {"heads", "neurons", "shared neurons", "expert neurons", "experts"}
    load = statistics.statistic(atlas, "expert_load")
    assert statistics.ranked(load, 1)[0].site == f"L1E{int(load.values[1].argmax())}"
    best = statistics.ranked(statistics.statistic(atlas, "expert_neuron_max"), 1)[0]
    one = neurons.neuron(atlas, best.site)
    assert one.sort == "expert neurons"
    assert neurons.top_texts(atlas, one)[0].value == pytest.approx(best.value, abs=1e-5)
    assert neurons.neuron(atlas, "L1N3", "shared neurons").name("neuron_max") == "shared_neuron_max"
    assert layers.expert_tokens(atlas, 1)
    assert layers.expert_tokens(atlas, 0) == {}


def test_an_encoder_decoders_stacks_stand_apart(tiny_atlas):
    atlas = tiny_atlas("bart")  # its encoder has two layers, its decoder three
    assert atlas.stacks == ("E", "D", "X")
    names = heads.heads(atlas)
    assert names[0] == "EL0H0"
    assert {"EL1H3", "DL2H3", "XL2H3"} <= set(names)
    assert "EL2H0" not in names
    sizes = {stack: statistics.statistic(atlas, "entropy", stack).shape for stack in atlas.stacks}
    assert sizes == {"E": (2, 4), "D": (3, 4), "X": (3, 4)}
    whole = api.read(atlas.folder / "profile.nc")["entropy"]
    np.testing.assert_array_equal(statistics.statistic(atlas, "entropy", "X"), whole.sel(stack="X"))
    assert "previous" not in [each.name for each in heads.standings(atlas, "XL0H0")]
    assert heads.writes(atlas, "EL0H0") == []
    assert heads.writes(atlas, "XL0H0")[0].reads == ()
    with pytest.raises(SiteError, match=r"stack '' came; this profile has 'E', 'D', 'X'"):
        statistics.statistic(atlas, "entropy", "")


# ------------------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("form", ["gpt2", "qwen2-moe"])
def test_each_variable_is_got_by_its_group(tiny_named, form):
    model = tiny_named(form).model
    made = {name: group.make(model) for name, group in GROUPS.items() if form == "qwen2-moe" or not group.rare}
    assert not [(variable, name) for name, one in made.items() for variable in one.names if missing.group_of(variable) != name]
    assert missing.group_of("shared_neuron_active_by_upos") == missing.group_of("expert_neuron_selectivity_upos") == "neurons_by_upos"
    assert {missing.group_of(name) for name in HEAD_STATISTICS} == {"heads"}


def test_what_is_run_again_is_told(run):
    about = json.loads((run / "run.json").read_text())
    assert set(missing.ANNOTATED) == {name for name, group in GROUPS.items() if group.annotated}
    assert missing.command(about, "rank").startswith("interp profile tales CORPUS.conllu --out OTHER --window --statistics heads,")


def test_what_a_run_lacks_is_told_with_the_way_to_get_it(tmp_path):
    place = small_runs.of_tales(tmp_path, ("entropy",))
    atlas = open_atlas(place)
    with pytest.raises(DataError, match=r"has no distance_histogram, since the group distances was not kept\. Run .*entropy,distances"):
        heads.distances(atlas, "L0H0")
    with pytest.raises(DataError, match=r"has no neuron_by_upos.*needs annotated texts.*TREEBANK\.conllu"):
        atlas.read("neuron_by_upos")
    assert neurons.sorts(atlas) == []
    assert [each.name for each in heads.standings(atlas, "L0H0")] == ["entropy"]


@pytest.mark.parametrize("head", ["L9H0", "L0H99", "DL0H0", "L0N1", "no head"])
def test_a_head_that_is_not_there(atlas, head):
    with pytest.raises(SiteError, match=r"is no head of this profile; expected one of L0H0 to L5H7|is not a site"):
        heads.standings(atlas, head)


def test_a_neuron_that_is_not_there(atlas):
    with pytest.raises(SiteError, match=r"'L0N99999' is not in this profile; it has 6 layers, 1024 neurons"):
        neurons.neuron(atlas, "L0N99999")
    with pytest.raises(SiteError, match=r"is no neuron; expected the form L3N100"):
        neurons.neuron(atlas, "seven")
    with pytest.raises(DataError, match=r"entropy is of heads, neuron_max of neurons"):
        statistics.pairs(atlas, "entropy", "neuron_max")


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not there; expected the folder of a run: interp profile"):
        open_atlas(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no run: neither profile\.nc nor run\.json is in it"):
        open_atlas(tmp_path)


def test_a_run_that_is_not_finished(run, tmp_path):
    shutil.copytree(run, tmp_path / "half")
    (tmp_path / "half" / "profile.nc").unlink()
    with pytest.raises(DataError, match=r"the run in it is not finished \(1 shard done so far, no profile\.nc yet\); start the same"):
        open_atlas(tmp_path / "half")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_a_file_cut_short_is_told_as_damaged(run, tmp_path, share):
    shutil.copytree(run, tmp_path / "cut")
    whole = (run / "profile.nc").read_bytes()
    (tmp_path / "cut" / "profile.nc").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"profile\.nc (is not a netCDF file that can be read|is damaged)"):
        open_atlas(tmp_path / "cut")


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "profile.nc").write_text("not at all")
    with pytest.raises(DataError, match=r"is not a netCDF file that can be read"):
        open_atlas(tmp_path)
    api.save(_other(), tmp_path / "profile.nc")
    with pytest.raises(DataError, match=r"holds no profile of a corpus run; expected one that interp profile"):
        open_atlas(tmp_path)


def _other():
    from interp.core.results import labelled

    return labelled([[0.5]], ["layer", "head"], name="entropy", long_name="entropy", units="nats").to_dataset()


def test_a_damaged_run_json_is_told(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json cannot be read"):
        open_atlas(tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    assert open_atlas(tmp_path / "run").n_texts == 3
