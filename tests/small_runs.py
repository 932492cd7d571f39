"""Runs over a few texts, kept in folders, for whoever reads runs: of the bundled model, of tiny mixtures and encoder-decoders."""

import shutil
from pathlib import Path

import numpy as np

from interp import api
from interp.models.model import Model

SENTENCES = """# newdoc id = d1
# sent_id = d1-1
# text = The old man looked at the sea.
1\tThe\tthe\tDET\t_\t_\t3\tdet\t_\t_
2\told\told\tADJ\t_\t_\t3\tamod\t_\t_
3\tman\tman\tNOUN\t_\t_\t4\tnsubj\t_\t_
4\tlooked\tlook\tVERB\t_\t_\t0\troot\t_\t_
5\tat\tat\tADP\t_\t_\t7\tcase\t_\t_
6\tthe\tthe\tDET\t_\t_\t7\tdet\t_\t_
7\tsea\tsea\tNOUN\t_\t_\t4\tobl\t_\tSpaceAfter=No
8\t.\t.\tPUNCT\t_\t_\t4\tpunct\t_\t_

# sent_id = d1-2
# text = She said the word, and she said it again.
1\tShe\tshe\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tsaid\tsay\tVERB\t_\t_\t0\troot\t_\t_
3\tthe\tthe\tDET\t_\t_\t4\tdet\t_\t_
4\tword\tword\tNOUN\t_\t_\t2\tobj\t_\tSpaceAfter=No
5\t,\t,\tPUNCT\t_\t_\t8\tpunct\t_\t_
6\tand\tand\tCCONJ\t_\t_\t8\tcc\t_\t_
7\tshe\tshe\tPRON\t_\t_\t8\tnsubj\t_\t_
8\tsaid\tsay\tVERB\t_\t_\t2\tconj\t_\t_
9\tit\tit\tPRON\t_\t_\t8\tobj\t_\t_
10\tagain\tagain\tADV\t_\t_\t8\tadvmod\t_\tSpaceAfter=No
11\t.\t.\tPUNCT\t_\t_\t8\tpunct\t_\t_

# sent_id = d1-3
# text = <b>ים</b> 猫在河边 $x$
1\t<b>ים</b>\t_\tX\t_\t_\t0\troot\t_\t_
2\t猫在河边\t_\tX\t_\t_\t1\tdep\t_\t_
3\t$x$\t_\tX\t_\t_\t1\tdep\t_\t_

"""
EVERYTHING = ("atlas", "mass_by_upos", "relations", "neurons_by_upos", "neurons_by_lemma")


def of_tales(folder: Path, statistics: tuple[str, ...] = EVERYTHING) -> Path:
    """The bundled model over three annotated sentences, one of them in three scripts with markup; all that the atlas shows."""
    corpus = folder / "corpus.conllu"
    corpus.write_text(SENTENCES, encoding="utf-8")
    api.profile(api.load(), corpus, statistics=statistics, out=folder / "run", window=True)
    return folder / "run"


def of_tiny(folder: Path, model: Model) -> Path:
    """A tiny model over a few texts, or pairs: all that the atlas shows of it."""
    texts = ["the old man saw a dog by sea", "she said nothing but it was cold then", "the old man saw the old dog"]
    corpus = list(zip(texts, reversed(texts), strict=True)) if model.anatomy.encoder_decoder else texts
    api.profile(model, corpus, statistics=("atlas",), out=folder / "run")
    return folder / "run"


def widened(run: Path, folder: Path, *, layers: int = 12, heads: int = 12, neurons: int = 3072, d_vocab: int = 50_257) -> Path:
    """A run with the axes of a larger model (GPT-2-small's, if not said): the same variables, types and attributes, numbers repeated."""
    whole = api.read(run / "profile.nc")
    sizes = {"layer": layers, "head": heads, "neuron": neurons, "d_vocab": d_vocab}
    sizes |= {"sublayer": 2 * layers, "component": 2 * layers + 2, "depth": layers + 1}
    wide = whole.drop_vars("site").isel({axis: np.arange(size) % whole.sizes[axis] for axis, size in sizes.items() if axis in whole.sizes})
    wide = wide.assign_coords({axis: np.arange(size) for axis, size in sizes.items() if axis in whole.sizes})
    wide = wide.assign_coords(site=(("layer", "head"), [[f"L{layer}H{head}" for head in range(heads)] for layer in range(layers)]))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run / "run.json", folder / "run.json")
    api.save(wide, folder / "profile.nc")
    return folder
