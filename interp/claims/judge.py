"""One call from a claim and a model to a verdict."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from interp.claims.applies import why_not
from interp.claims.claim import Claim, ExactIdentity, PositionalHead, find_claim
from interp.claims.protocols import positional, positionwise, relation
from interp.claims.protocols.finding import Finding, Tell
from interp.claims.verdict import Badges, Verdict
from interp.core.errors import ClaimError
from interp.core.provenance import text_hash, versions
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.plain import read_texts
from interp.texts.sentences import examples as annotated
from interp.texts.sentences import skipped_counts
from interp.texts.tokens import windows
from interp.texts.treebank import read_treebank
from interp.texts.words import Sentence

Data = str | Path | Iterable[str] | Iterable[Sentence]


def judge(
    claim: str | Claim, model: Model, data: Data | None = None, *, seed: int = 0, progress: Callable[[str], None] | None = None
) -> Verdict:
    """Test a claim on a model until there is a verdict.

    Args:
        claim: an id of the catalogue ("S4-42"), a YAML file, or a claim (`interp.attends(...)`).
        model: from `interp.load`.
        data: what the claim is tested on: a .conllu treebank or its sentences; for claims about plain text also a .txt file or texts.
        seed: of the split, the resamples and the random tokens.
        progress: called with what is being done.
    Returns: the verdict, with everything that decided it; "not applicable" for a model that the claim is not about (see `applies`).
    Raises: ClaimError for an unknown claim, missing data, a relation that the treebank lacks; CheckFailed when the model failed the
        self-check that the claim rests on.

    Example:
        >>> import interp
        >>> verdict = interp.judge("S1-01", interp.load())
        >>> verdict.outcome in ("supported", "refuted", "inconclusive"), len(verdict.controls)
        (True, 2)
    """
    claim = claim if isinstance(claim, Claim) else find_claim(claim)
    began = time.perf_counter()
    finding, hashes = _run(claim, model, data, seed, progress or (lambda what: None))
    return Verdict(
        claim=claim.model_dump(mode="json"),
        claim_hash=claim.hash,
        outcome=finding.outcome,
        reason=finding.reason,
        summary=finding.summary,
        site=finding.site,
        badges=finding.badges,
        evidence=finding.evidence,
        controls=finding.controls,
        model=model.name,
        fingerprint=model.fingerprint,
        data=hashes,
        seed=seed,
        versions=versions(),
        rows=finding.rows,
        elapsed_s=time.perf_counter() - began,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _run(claim: Claim, model: Model, data: Data | None, seed: int, tell: Tell) -> tuple[Finding, dict[str, str]]:
    model.require("capture")
    outside = why_not(claim, model.anatomy)
    if outside:
        return _out_of_scope(f"{model.name} {outside}."), {}
    if isinstance(claim.test, ExactIdentity):
        return positionwise.run(claim, model, seed, tell), {}
    if data is None:
        what = "a treebank (.conllu)" if claim.needs == "treebank" else "texts (.txt, or a .conllu treebank)"
        raise ClaimError(
            f"{claim.id} is tested on {what}, and none was given; expected data=... in Python, --data FILE on the command line"
        )
    model.require("patterns")
    examples, hashes = _examples(claim, model, data)
    if isinstance(claim.test, PositionalHead):
        return positional.run(claim, model, examples, seed, tell), hashes
    return relation.run(claim, model, examples, seed, tell), hashes


def _out_of_scope(summary: str) -> Finding:
    return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())


def _examples(claim: Claim, model: Model, data: Data) -> tuple[list[Example], dict[str, str]]:
    texts = _read(claim, data)
    name = Path(data).name if isinstance(data, str | Path) else "given in Python"
    sentences = [text for text in texts if isinstance(text, Sentence)]
    if sentences and len(sentences) < len(texts):
        raise ClaimError(f"{claim.id}: {len(sentences)} of {len(texts)} texts are annotated sentences; expected all of them, or none")
    if sentences:
        found, skipped = annotated(sentences, model.tokenizer, n_ctx=model.anatomy.n_ctx)
        why = ", ".join(f"{kind} {n}" for kind, n in skipped_counts(skipped).items())
        hashes = {
            "name": name,
            "sentences": text_hash(map(_annotation, sentences)),
            "skipped": f"{len(skipped)} of {len(sentences)}" + (f" ({why})" if why else ""),
        }
    else:
        plain = [str(text) for text in texts]
        found = [window for number, text in enumerate(plain) for window in _windows(text, number, model)]
        hashes = {"name": name, "texts": text_hash(plain), "documents": "none are marked: each text counts as one"}
    if not found:
        raise ClaimError(f"{claim.id}: the data holds no text that the model can read")
    return found, hashes


def _annotation(sentence: Sentence) -> str:
    """All of a sentence that a verdict rests on: the same text with another tree is another treebank."""
    words = (f"{word.form} {word.head} {word.deprel} {word.span} {word.multiword}" for word in sentence.words)
    return "\n".join((sentence.document, sentence.text, *words))


def _windows(text: str, number: int, model: Model) -> list[Example]:
    """A text in windows, which are one document: they are not independent of each other."""
    return [replace(window, document=f"text {number}") for window in windows(text, model.tokenizer, model.anatomy.n_ctx)]


def _read(claim: Claim, data: Data) -> list[str | Sentence]:
    if isinstance(data, str | Path):
        if Path(data).suffix == ".conllu":
            return list(read_treebank(data))
        if claim.needs == "treebank":
            raise ClaimError(
                f"{claim.id} is tested on a treebank; {data} came, expected a .conllu file (universaldependencies.org has them)"
            )
        return list(read_texts(data))
    texts: list[str | Sentence] = list(data)  # type: ignore[arg-type]
    if claim.needs == "treebank" and not all(isinstance(text, Sentence) for text in texts):
        raise ClaimError(f"{claim.id} is tested on annotated sentences; plain texts came, expected interp.read_treebank(path)")
    return texts
