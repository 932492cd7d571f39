"""The README's table of bundled models is written by this file, from their cards.

Write it anew with `python tests/lab/test_zoo_table.py`.
"""

import re
from pathlib import Path

from interp.models import zoo
from interp.models.zoo.checksums import FILE

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- zoo: written by tests/lab/test_zoo_table.py -->", "<!-- end of zoo -->"


def row(name: str) -> str:
    told = zoo.summary(name)
    shape = told["shape"].replace(f", context {context(told['shape'])}", "")
    shows = told["shows"] or "see its card"
    return f"| [`{name}`](interp/models/zoo/{name}/README.md) | {told['what']} | {shape} | {told['n_parameters']} | {shows} |"


def context(shape: str) -> str:
    found = re.search(r"context (\d+)", shape)
    return found[1] if found else ""


def table() -> str:
    head = ["| name | architecture | shape | parameters | shows, measured on its files |", "|---|---|---|---|---|"]
    return "\n".join([BEGIN, *head, *map(row, zoo.names()), END])


def written() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme[readme.index(BEGIN) : readme.index(END) + len(END)]


def test_the_readmes_table_is_what_the_cards_say():
    assert written() == table()


def test_every_bundled_model_has_a_row_with_its_size():
    rows = table().splitlines()[3:-1]
    assert len(rows) == len(zoo.names())
    assert all(re.search(r"\| \d+ layers x \d+ heads, d_model \d+ \| [\d,]+ \| \S", row) for row in rows)


def test_a_card_without_a_summary_gives_an_empty_one(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "_HERE", tmp_path)
    assert zoo.summary("none") == {"what": "", "shape": "", "n_parameters": "", "shows": ""}
    (tmp_path / "some").mkdir()
    line = "A small encoder of BERT's architecture (post-norm, GELU): 4 layers x 8 heads, d_model 128, context 256, 1,234,567 parameters, v"
    (tmp_path / "some" / "README.md").write_text(f"# some\n\n{line}\nShows: L0H1 (0.98); more. And so on.\n")
    assert zoo.summary("some") == {
        "what": "encoder of BERT's architecture (post-norm, GELU)",
        "shape": "4 layers x 8 heads, d_model 128, context 256",
        "n_parameters": "1,234,567",
        "shows": "L0H1 (0.98); more. And so on",
    }


def test_models_list_says_what_each_is_and_shows(tmp_path, monkeypatch, capsys):
    from interp.cli.main import models_list

    monkeypatch.setattr(zoo, "_HERE", tmp_path)
    for name in ("tales", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text("{}")
    line = (
        "A small decoder of GPT-2's architecture: 6 layers x 8 heads, d_model 256, context 256, 5,853,440 parameters, vocabulary of 4,096"
    )
    (tmp_path / "tales" / "README.md").write_text(f"# tales\n\n{line} pieces.\nShows: copying saves 9.1 nats.\n")
    models_list()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tales  (default)"
    assert lines[1].strip() == "decoder of GPT-2's architecture: 6 layers x 8 heads, d_model 256, context 256, 5,853,440 parameters"
    assert lines[2].strip() == "shows: copying saves 9.1 nats"
    assert lines[3] == "other"
    assert lines[-1].startswith("minilm")


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace(written(), table()), encoding="utf-8")
