"""Plain texts as a stream."""

import pytest

from interp.core.errors import DataError
from interp.texts.plain import read_texts


def test_one_text_a_line_without_blank_ones(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffThe bank.\r\n\r\n  河边\u2028猫 \nlast".encode())
    assert list(read_texts(path)) == ["The bank.", "河边\u2028猫", "last"]


def test_a_treebanks_sentences_are_texts(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text("1\tYes\t_\tX\t_\t_\t0\troot\t_\tSpaceAfter=No\n2\t!\t_\tX\t_\t_\t1\tpunct\t_\t_\n")
    assert list(read_texts(path)) == ["Yes!"]


def test_the_file_is_read_as_a_stream(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\nalso\n\xff\xfe\n")
    stream = read_texts(path)
    assert [next(stream), next(stream)] == ["good", "also"]
    with pytest.raises(DataError, match=r"a\.txt, line 3: not UTF-8 \(invalid start byte at byte 0\); save the file as UTF-8"):
        next(stream)


@pytest.mark.parametrize(("name", "message"), [("no.txt", "no such file; expected a text file"), ("no.conllu", "universaldependencies")])
def test_a_missing_file_is_refused_at_once(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        read_texts(tmp_path / name)


@pytest.mark.parametrize(("name", "kind"), [("a.pdf", ".pdf"), ("a", r"\(none\)")])
def test_other_files_are_refused(tmp_path, name, kind):
    with pytest.raises(DataError, match=f"a file of kind {kind} came; expected .txt"):
        read_texts(tmp_path / name)
