"""A corpus as a stream: every kind of file gives its texts, a bad record is told with its place, the ones around it are read."""

import gzip
import json

import pytest

from interp.core.errors import DataError
from interp.texts.corpora import open_corpus
from interp.texts.records import PAIR, Bad, record_of

SENTENCE = (
    "# sent_id = a-1\n# text = She said.\n1\tShe\tshe\tPRON\t_\t_\t2\tnsubj\t_\t_\n2\tsaid\tsay\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No\n"
)
SENTENCE += "3\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_\n"
FILES = {
    "a.txt": ("one\n\n  two \r\nthree", ["one", "two", "three"]),
    "a.jsonl": ('{"text": "one"}\n\n{"text": "two", "id": 3}\n', ["one", "two"]),
    "a.conllu": (SENTENCE + "\n" + SENTENCE.replace("She", "He"), ["She said.", "He said."]),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_each_kind_of_file_gives_its_texts(tmp_path, name, packed):
    written, expected = FILES[name]
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(written.encode()) if packed else written.encode())
    corpus = open_corpus(path)
    found = list(corpus)
    assert [record.text for record in found] == expected
    assert [record.text for record in corpus] == expected  # from its start again
    assert found[0].place == f"{path.name}, line 1"
    assert corpus.share == 1.0
    if name == "a.conllu":
        assert [word.upos for word in found[1].sentence.words] == ["PRON", "VERB", "PUNCT"]


@pytest.mark.parametrize(
    ("name", "written", "field"),
    [
        ("a.tsv", "source\ttarget\nthe sea\tdas Meer\n", None),
        ("a.tsv", "the sea\tdas Meer\n", None),
        ("a.jsonl", '{"source": "the sea", "target": "das Meer"}\n', None),
        ("a.jsonl", '{"en": "the sea", "de": "das Meer"}\n', "en,de"),
    ],
)
def test_pairs(tmp_path, name, written, field):
    (tmp_path / name).write_text(written)
    (record,) = open_corpus(tmp_path / name, paired=True, field=field)
    assert (record.text, record.target) == ("the sea", "das Meer")


def test_a_data_set_texts_and_pairs_at_hand():
    datasets = pytest.importorskip("datasets", reason="needs the package datasets")
    rows = datasets.Dataset.from_dict({"text": ["one", "two"], "id": [1, 2]})
    corpus = open_corpus(rows)
    assert [record.text for record in corpus] == ["one", "two"]
    assert corpus.identity["fingerprint"] == rows._fingerprint
    assert [record.text for record in open_corpus(iter(["one", "two"]))] == ["one", "two"]
    assert [record.target for record in open_corpus([("one", "eins")], paired=True)] == ["eins"]


@pytest.mark.parametrize(
    ("name", "written", "place", "reason"),
    [
        ("a.txt", b"one\n\xff\xfe bad\nthree\n", "a.txt, line 2", "not UTF-8"),
        ("a.jsonl", b'{"text": "one"}\n{"text": \n{"text": "three"}\n', "a.jsonl, line 2", "not JSON"),
        ("a.jsonl", b'{"text": "one"}\n{"body": "two"}\n{"text": "three"}\n', "a.jsonl, line 2", "no field 'text'; it has: body"),
        ("a.jsonl", b'{"text": "one"}\n{"text": 2}\n{"text": "three"}\n', "a.jsonl, line 2", "a int came as a text; expected a str"),
        ("a.jsonl", b'{"text": "one"}\n{"text": " "}\n{"text": "three"}\n', "a.jsonl, line 2", "the text is empty"),
        ("a.jsonl", b'{"text": "one"}\n{"text": "\\ud800"}\n{"text": "three"}\n', "a.jsonl, line 2", "not UTF-8"),
        ("a.jsonl", b'{"text": "one"}\n[1]\n{"text": "three"}\n', "a.jsonl, line 2", "a list came; expected an object"),
        ("a.conllu", f"{SENTENCE}\n1\tno\n\n{SENTENCE}".encode(), "a.conllu, line 7", "2 columns; expected 10"),
        (
            "a.conllu",
            f"{SENTENCE}\n{SENTENCE}\n".replace("\nShe", "").encode()[:-1] + b"\xff\n\n" + SENTENCE.encode(),
            "a.conllu, line 7",
            "",
        ),
    ],
)
def test_a_bad_record_is_told_and_those_around_it_are_read(tmp_path, name, written, place, reason):
    (tmp_path / name).write_bytes(written)
    first, bad, last = open_corpus(tmp_path / name)
    assert not isinstance(first, Bad)
    assert not isinstance(last, Bad)
    assert isinstance(bad, Bad)
    assert bad.place == place
    assert reason in bad.reason


def test_what_does_not_fit_is_refused_at_once(tmp_path):
    for name in ("a.tsv", "a.txt", "a.docx"):
        (tmp_path / name).write_text("one\ttwo\n")
    with pytest.raises(DataError, match=r"a\.tsv: pairs of texts; this model reads one text"):
        open_corpus(tmp_path / "a.tsv")
    with pytest.raises(DataError, match=r"an encoder-decoder reads pairs: expected \.tsv"):
        open_corpus(tmp_path / "a.txt", paired=True)
    with pytest.raises(DataError, match=r"a file of kind \.docx came; expected \.txt, \.jsonl"):
        open_corpus(tmp_path / "a.docx")
    with pytest.raises(DataError, match="the field 'source,target' came; expected 1 of them"):
        open_corpus(tmp_path / "a.txt", field="source,target")
    assert isinstance(record_of(("one",), "text 1", PAIR), Bad)


def test_a_file_that_breaks_off_is_no_bad_record(tmp_path):
    whole = gzip.compress("\n".join(str(number) * 50 for number in range(3000)).encode())
    (tmp_path / "a.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.txt\.gz, after line \d+: the file cannot be read on"):
        list(open_corpus(tmp_path / "a.txt.gz"))


def test_a_file_is_never_loaded_whole(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "the old man " * 40}) + "\n" for _ in range(3000)))
    corpus = open_corpus(tmp_path / "a.jsonl")
    records = iter(corpus)
    next(records)
    assert corpus.share < 0.05  # a buffer's worth
    records.close()
