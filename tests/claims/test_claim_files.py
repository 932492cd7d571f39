"""Claim files: the bundled ones are true to their sources, and a wrong one is refused by file and field."""

import os
from pathlib import Path

import pytest

from interp.claims.claim import Claim, parse_claim
from interp.claims.claim_files import CATALOGUE, catalogue, find_claim, read_claim
from interp.claims.own import attends
from interp.core.errors import ClaimError

FILES = sorted(CATALOGUE.rglob("*.yaml"))
TEXT = (CATALOGUE / "S4" / "S4-41-obj.yaml").read_text(encoding="utf-8")


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_bundled_file_is_a_claim_under_its_own_id():
    assert FILES
    assert set(catalogue()) == {path.stem for path in FILES} == {read_claim(path).id for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_quotation_is_in_the_source_word_for_word(path):
    folder = Path(os.environ.get("INTERP_DATA", "nowhere")).parent / "sources"
    if not folder.is_dir():
        pytest.skip("INTERP_DATA/../sources is not there; set INTERP_DATA to run this")
    claim = read_claim(path)
    named = [source for source in folder.iterdir() if source.name in claim.source]
    assert len(named) == 1, claim.source
    assert claim.quotation
    assert claim.quotation in named[0].read_text(encoding="utf-8")


def test_a_wrong_file_is_refused_by_file_and_field(written):
    def refused(old: str, new: str) -> str:
        path = written(TEXT.replace(old, new))
        with pytest.raises(ClaimError) as error:
            read_claim(path)
        assert str(path) in str(error.value)
        return str(error.value)

    message = refused("head_relation", "head_relatoin")
    assert "head_relatoin" in message
    assert all(known in message for known in ("ffn_is_positionwise", "positional_head", "head_relation"))
    message = refused("margin: 0.10", "margn: 0.10")
    assert "test.margn (line 14): no such field; expected some of protocol, relation, head" in message
    assert "test.margin (line 11): Field required" in message
    message = refused("statement:", "statment:")
    assert "statment (line 2): no such field; expected some of id, statement" in message
    message = refused("quantifier: some", "quantifier: most")
    assert "quantifier (line 7)" in message
    assert "'typical'" in message
    assert "test.margin (line 14)" in refused("margin: 0.10", "margin: much")
    assert "less than 1" in refused("margin: 0.10", "margin: 10")
    assert "less than 1" in refused("margin: 0.10", "margin: .inf")
    assert "greater than 0" in refused("margin: 0.10", "margin: 0")
    assert "alpha" in refused("kind: [obs]", "kind: [obs]\nalpha: 5")
    message = refused("kind: [obs]", "kind: [obs")
    assert "not YAML" in message
    assert ", line " in message


def test_what_is_no_file_or_no_mapping_or_no_utf8(written, tmp_path):
    with pytest.raises(ClaimError, match=r"no\.yaml: no such claim file; expected a YAML file"):
        read_claim(tmp_path / "no.yaml")
    with pytest.raises(ClaimError, match=r"mine\.yaml: a list came; expected the fields of a claim"):
        read_claim(written("- id\n"))
    with pytest.raises(ClaimError, match=r"mine\.yaml: a NoneType came"):
        read_claim(written(""))
    path = tmp_path / "latin.yaml"
    path.write_bytes("statement: café\n".encode("latin-1"))
    with pytest.raises(ClaimError, match=r"latin\.yaml: not UTF-8"):
        read_claim(path)
    with pytest.raises(ClaimError, match=r"^a place: test: None came; expected the fields of a protocol: .*; id: Field required"):
        parse_claim({}, "a place")


def test_found_by_id_or_file_and_else_told_what_there_is(written):
    assert find_claim("S1-01") == catalogue()["S1-01"]
    assert find_claim(str(written(TEXT))) == catalogue()["S4-41-obj"]
    with pytest.raises(ClaimError, match=r"'S4-4l-obj' is not a claim; expected an id .*near it: S4-41-obj"):
        find_claim("S4-4l-obj")


def changes(value):
    """The plain value, changed."""
    if isinstance(value, str):
        return value + "x"
    return value * 0.5 if isinstance(value, float) else value + 1


def test_the_hash_changes_when_anything_does():
    fields = catalogue()["S4-41-obj"].model_dump(mode="json")
    claims = [Claim(**fields)]
    for name in ("id", "statement", "quotation", "source", "scope", "alpha", "replications", "does_not_show"):
        claims.append(Claim(**{**fields, name: changes(fields[name])}))
    claims += [Claim(**{**fields, "kind": ["obs", "lit"]}), Claim(**{**fields, "quantifier": "typical"})]
    for name, value in {
        "relation": "iobj",
        "head": "L0H0",
        "direction": "head",
        "margin": 0.2,
        "margin_source": "x",
        "n_untrained": 6,
    }.items():
        claims.append(Claim(**{**fields, "test": {**fields["test"], name: value}}))
    assert len({claim.hash for claim in claims}) == len(claims)
    assert Claim(**fields).hash == claims[0].hash
    assert len(claims[0].hash) == 16


def test_ones_own_claim():
    claim = attends(from_="deprel=nsubj:pass", to="dependent")
    assert claim.statement == "Some head points from the head to its nsubj:pass."
    assert (claim.needs, claim.test.direction, claim.test.head, claim.test.margin) == ("treebank", "head", None, 0.1)
    named = attends(from_="deprel=obj", head="L2H0", margin=0.05, margin_source="half of Voita's, since the corpus is small")
    assert (named.statement, named.test.direction) == ("Head L2H0 points from obj to its head.", "dependent")
    assert (named.id, named.test.margin) == ("own:obj:head:L2H0", 0.05)
    assert claim.hash != named.hash


def test_ones_own_claim_by_selectors():
    claim = attends(from_="upos=PRON", to="link=Antecedent", head="L2H0")
    assert (claim.id, claim.test.protocol) == ("own:upos=PRON:link=Antecedent:L2H0", "attends")
    assert claim.statement == "Head L2H0 attends from upos=PRON to link=Antecedent."
    assert attends(from_="deprel=obj", to="upos=VERB").test.protocol == "attends"
    assert attends(from_="deprel=obj", to="head").test.protocol == "head_relation"


def test_ones_own_claim_refuses():
    for selector in ("obj", "deprel=", "upos VERB", "gender=Fem", "upos=VERB & "):
        with pytest.raises(
            ClaimError, match=r"attends\(\.\.\.\): test\.from_words: .* is no condition; expected upos=\.\.\., deprel=\.\.\."
        ):
            attends(from_=selector)
    with pytest.raises(ClaimError, match=r"'head' in 'head' is no condition"):
        attends(from_="head")
    with pytest.raises(ClaimError, match=r"margin=0\.01 differs from the protocol's 0\.1; expected margin_source="):
        attends(from_="deprel=obj", margin=0.01)
    with pytest.raises(ClaimError, match="less than 1"):
        attends(from_="deprel=obj", margin=2.0, margin_source="so that nothing passes")
    with pytest.raises(ClaimError, match="sideways"):
        attends(from_="deprel=obj", to="sideways")
