"""Workers started from a script without `if __name__ == "__main__"`, and from a Streamlit page: it runs once; the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from tiny_families import drawn, words

from interp.api import profile
from interp.models.load import load_model

OPTIONS = {"statistics": ["entropy", "neurons"], "shard": 60, "threads": 1}
SCRIPT = """
import sys
with open({ran!r}, "a") as opened:
    opened.write(sys.modules["__main__"].__file__ + "\\n")
from interp.api import profile
from interp.models.load import load_model
profile(load_model({model!r}), {corpus!r}, out={out!r}, workers=2, **{options!r})
"""


def as_a_script(path: Path) -> None:
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, path], env={**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "ignore"}, check=True)


def as_a_page(path: Path) -> None:
    page = AppTest.from_file(str(path), default_timeout=600).run()
    assert not page.exception


@pytest.mark.parametrize("started", [as_a_script, as_a_page])
def test_the_main_module_runs_once(texts, tmp_path, started):
    model, corpus, ran = tmp_path / "model", tmp_path / "corpus.txt", tmp_path / "ran"
    drawn("gpt2").save_pretrained(model)
    words().save_pretrained(model)
    corpus.write_text("\n".join(texts * 3))
    script = tmp_path / "script.py"
    asked = {"ran": str(ran), "model": str(model), "corpus": str(corpus), "out": str(tmp_path / "run"), "options": OPTIONS}
    script.write_text(SCRIPT.format(**asked))
    started(script)
    assert ran.read_text() == f"{script}\n"  # the script is the main module, whose second run would write a second line
    profile(load_model(str(model)), corpus, out=tmp_path / "whole", **OPTIONS)
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()
