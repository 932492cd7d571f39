"""Each example runs as it stands, in a process of its own, and prints what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import interp

EXAMPLES = Path(interp.__file__).parents[1] / "examples"
PRINTS = {
    "first_look.py": "without it each token costs",
    "ffn_by_position.py": "small-attn   not applicable",
    "syntax_heads.py": "det",
    "bank.py": "nearest",
    "without_ffn.py": "it cannot copy what follows an earlier copy: ",
    "coreference_head.py": "untrained twin",
}


def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PRINTS)


@pytest.mark.parametrize("name", PRINTS)
def test_an_example_runs_and_prints_its_answer(name, tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert PRINTS[name] in ended.stdout
    assert not list(tmp_path.iterdir())
