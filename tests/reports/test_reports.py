"""A folder of verdicts as a page and tables: all of it is there, nothing of it is markup, and edits show."""

import csv
import json
import re
from dataclasses import replace

import pytest

import interp
from interp.claims.claim_files import catalogue
from interp.claims.verdict import Evidence
from interp.core.errors import ClaimError
from interp.reports.collected import collect, contradictions
from interp.reports.overview import claims_table, counts_table
from interp.reports.tables import record

SCRIPT = "<script>alert('x')</script> | & \"quoted\""
SAMPLED = Evidence(
    name="accuracy", unit="accuracy", estimate=0.6, baseline=0.4, baseline_name="offset", effect=0.2, low=0.1, high=0.3, level=0.95,
    upper=0.28, smallest_effect=0.1, n_items=200, n_clusters=80, family=32, p_adjusted=0.01, power=0.9,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Verdicts on a model and on none, one that was not run, one with an interval and with markup in its words."""
    made = tmp_path_factory.mktemp("verdicts")
    found = interp.judge_many(["S4-19", "S4-48-bert-base", "S4-20", "S4-40", "S0-03"], ["small"], out=made)
    strange = replace(found[2].verdict, summary=SCRIPT, evidence=(SAMPLED,), claim={**found[2].verdict.claim, "id": "own-1"})
    (made / "small" / "own-1.json").write_text(strange.to_json())
    interp.report(made)
    return made


def test_every_verdict_has_a_row_and_a_card(folder):
    rows = collect(folder)
    assert [row.claim for row in rows] == ["S0-03", "S4-19", "S4-20", "S4-40", "S4-48-bert-base", "own-1"]
    assert [row.outcome for row in rows if row.claim in ("S4-19", "S4-40", "S0-03")] == ["inconclusive", "refuted", "not run"]
    page = (folder / "report.html").read_text()
    for row in rows:
        assert (f'<article id="{row.claim}"' in page) == (row.verdict is not None)
        assert (f'id="{row.claim}--{row.folder}"' in page) == (row.verdict is not None)
        assert row.statement in page
    assert "What would have caught it, were it wrong" in page
    assert catalogue()["S4-19"].quotation in page
    assert "interp judge S4-20 --model small --seed 0" in page
    assert page.count("<svg") == 1  # of the one that is sampled
    assert not re.findall(
        r"(?:src|href)=\"(?!#)|url\(|@import", re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    )  # nothing from elsewhere


def test_a_card_says_which_control_would_have_caught_it_and_which_claims_share_its_run(folder):
    page = (folder / "report.html").read_text()
    card = page[page.index('<article id="S4-19') :].split("</article>")[0]
    for kind, one in (("must not pass the same test", "sizes drawn at random"), ("must be found", "the formulas, on")):
        assert kind in card
        assert one in card
    assert card.index("must not pass") < card.index("sizes drawn at random") < card.index("must be found") < card.index("the formulas, on")
    assert "The same test on the same texts as" not in card


def test_claims_on_models_at_a_glance(folder):
    rows = [record(row) for row in collect(folder)]
    counts = counts_table(rows).splitlines()
    assert counts[0] == "| claims on | no model | `small` |"
    assert counts[-1] == "| all | 1 ✓ 1 ✗ 1 ○ | 2 ✓ |"
    lines = {line.split(" | ")[0].strip("| "): line for line in claims_table(rows).splitlines()}
    assert lines["S4-19"].endswith("| ✗ |  |")
    assert lines["S4-40"].endswith("|  | · |")
    assert counts_table(rows) in (folder / "report.md").read_text()
    assert 'class="overview"' not in (folder / "report.html").read_text()  # one model needs none


def test_several_models_have_a_sign_for_each_claim_that_leads_to_its_card(folder, tmp_path):
    for place in ("general", "small", "other"):
        (tmp_path / place).mkdir()
        for kept in (folder / place.replace("other", "small")).glob("S*.json"):
            (tmp_path / place / kept.name).write_text(kept.read_text())
    page = interp.report(tmp_path).read_text()
    overview = page[(start := page.index('class="overview"')) : page.index("</details>", start)]
    assert '<a class="no" title="S4-19 on general: refuted" href="#S4-19--general">✗</a>' in overview
    assert '<a class="yes" title="S4-20 on other: supported" href="#S4-20--other">✓</a>' in overview
    card = page[page.index('<article id="S4-20"') :].split("</article>")[0]  # one card, the verdicts folded up in it
    assert re.findall(r'<details class="verdict" id="(.*?)">', card) == ["S4-20--other", "S4-20--small"]
    assert card.count("It does not show") == 1


def test_a_model_that_a_claim_is_not_about_has_a_line_of_its_card(tmp_path):
    interp.judge_many(["S0-01"], ["small", "small-attn"], out=tmp_path)
    card = interp.report(tmp_path).read_text().split('<article id="S0-01"')[1].split("</article>")[0]
    assert '<details class="verdict" id="S0-01--small" open>' in card
    assert re.search(r'<p class=soft id="S0-01--small-attn">small-attn: .*?not applicable</span> .*small-attn', card)


def test_words_of_others_are_no_markup(folder):
    page = (folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; | &amp; &quot;quoted&quot;" in page
    line = next(line for line in (folder / "report.md").read_text().splitlines() if line.startswith("| own-1"))
    assert line.replace("\\|", "").count("|") == 6


def test_an_edited_claim_shows(folder):
    assert next(row for row in collect(folder) if row.claim == "own-1").edited.startswith("The claim in this verdict was edited")
    assert "was edited after its run" in (folder / "report.html").read_text()


def test_tables_carry_the_numbers(folder):
    with (folder / "report.csv").open() as file:
        lines = {line["claim"]: line for line in csv.DictReader(file)}
    assert (lines["own-1"]["effect"], lines["own-1"]["low"], lines["own-1"]["n_clusters"]) == ("0.2", "0.1", "80")
    assert lines["S4-40"]["outcome"] == "not run"
    told = {row["claim"]: row for row in json.loads((folder / "report.json").read_text())}
    assert told["S4-20"]["verdict"]["fingerprint"] == interp.load("small").fingerprint
    assert "2 supported" in (folder / "report.md").read_text() or "3 supported" in (folder / "report.md").read_text()


def test_contradictions_are_told(folder):
    assert [(one.claim, other.claim) for one, other in contradictions(collect(folder))] == [("S4-19", "S4-48-bert-base")]
    told = (folder / "report.html").read_text().split("Where the documents contradict each other")[1].split("</ul>")[0]
    assert re.sub("<.*?>", "", told).startswith("S4-19: ")
    assert re.sub("<.*?>", "", told).endswith("refuted against supported")


def test_an_edited_claim_shows_on_models_that_it_is_not_about_too(tmp_path):
    (judged,) = interp.judge_many(["S0-01"], ["small-attn"], out=tmp_path)
    other = replace(judged.verdict, claim={**judged.verdict.claim, "statement": "Another."})
    (tmp_path / "small-attn" / "S0-01.json").write_text(other.to_json())
    assert "was edited after its run" in interp.report(tmp_path).read_text()


def test_a_contradiction_on_several_models_is_told_once(tmp_path):
    interp.judge_many(["S1-20", "S3-03"], ["small", "small-2"], out=tmp_path)
    told = interp.report(tmp_path).read_text().split("Where the documents contradict each other")[1].split("</ul>")[0]
    assert told.count("<li>") == 1
    assert re.sub("<.*?>", "", told).endswith("refuted against supported on small, small-2")


def test_corpora_side_by_side_keep_their_rows_apart(folder, tmp_path):
    for corpus in ("a", "b"):
        for kept in (folder / "small").glob("*.json"):
            place = tmp_path / corpus / "small" / kept.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(kept.read_text())
    (tmp_path / "a" / "small" / "S4-40.json").write_text((folder / "small" / "own-1.json").read_text().replace("own-1", "S4-40"))
    rows = collect(tmp_path)
    assert len({(row.claim, row.folder) for row in rows}) == len(rows)
    assert [row.outcome for row in rows if row.claim == "S4-40"] == ["supported", "not run"]
    page = interp.report(tmp_path).read_text()
    assert 'href="#S4-20--a/small"' in page
    assert 'href="#S4-20--b/small"' in page


def test_a_folder_without_verdicts_is_told(tmp_path):
    with pytest.raises(ClaimError, match="no such folder; expected what `interp judge --all --out FOLDER` made"):
        interp.report(tmp_path / "nowhere")
    with pytest.raises(ClaimError, match="holds no verdict"):
        interp.report(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ClaimError, match="cannot be read as a verdict"):
        interp.report(tmp_path)
