"""For whom is the dashboard: the person at this machine, or others? What others may ask, and how much anybody may.

`interp dashboard` serves the loopback, and whoever sits there may open every model, run and treebank that lies on the machine. With
`--serve --models a,b` it is served to others: they get the listed models and nothing else, no folder or hub name; runs and treebanks only
out of the folders that `--folder` names; no claim of their own that loads a model, computes an expression or matches by a regular
expression. Pages run no code of a model's in either case, and read weights from safetensors.

Limits. A text has a length, a session so many runs a minute and so many bytes of captures; a text whose capture would take more is shown
in part, and the page says how much. Sessions are told apart by Streamlit; what a session keeps goes when it ends.
"""

import os
import time
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from interp.core.errors import ClaimError, DataError, ModelNotFound, TextError

if TYPE_CHECKING:
    from interp.claims.claim import Claim

MODELS = "INTERP_SERVED_MODELS"
"""Environment variable: the models that are served to others, one a line."""
FOLDERS = "INTERP_SERVED_FOLDERS"
"""Environment variable: the folders out of which others may read, one a line."""
MINUTE_S = 60.0
GRAMMAR = "grammar"  # generated sentences in place of a file
NOT_FOR_OTHERS = ("configuration_arithmetic", "approximation", "models_compared")
"""Protocols that load models or compute what the claim says: of the catalogue they run, of a visitor's own they do not."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one session may ask.

    Args:
        characters: of a text or a claim's file.
        runs: texts read, patched or judged in a minute.
        kept_bytes: of captures that it keeps, and so of one of them.
    """

    characters: int
    runs: int
    kept_bytes: int


OWN = Limits(characters=200_000, runs=600, kept_bytes=2_000_000_000)
OTHERS = Limits(characters=20_000, runs=60, kept_bytes=500_000_000)


def to_others() -> bool:
    """Whether anybody but the person at this machine can reach the server."""
    return MODELS in os.environ or not _loopback(st.get_option("server.address"))


def _loopback(address: str | None) -> bool:
    if address in ("localhost", ""):
        return True
    try:
        return address is not None and ip_address(address).is_loopback
    except ValueError:
        return False


def limits() -> Limits:
    """Of a session here."""
    return OTHERS if to_others() else OWN


def models() -> list[str] | None:
    """The models that are served to others; None where every model may be opened."""
    if not to_others():
        return None
    from interp.models import zoo

    return _lines(MODELS) or zoo.names()


def folders() -> list[Path]:
    """The folders out of which others may read."""
    return [Path(line).expanduser().resolve() for line in _lines(FOLDERS)]


def model(name: str) -> str:
    """The name of a model that may be opened. Raises: ModelNotFound for one that is not served."""
    listed = models()
    if listed is None or name in listed:
        return name
    raise ModelNotFound(f"{name!r} is not served here; expected one of: {', '.join(map(called, listed))}")


def called(name: str) -> str:
    """A model as others see it: a folder by its last part, since where it lies is not theirs to know."""
    return Path(name).name if os.sep in name else name


def path(written: str) -> str:
    """A path that may be read, as it was written; links and ".." are followed before it is looked at.

    Raises: DataError for one outside the folders that are served.
    """
    if not to_others() or written == GRAMMAR:
        return written
    place = Path(written).expanduser()
    if any(place.resolve().is_relative_to(folder) for folder in folders()):
        return written
    there = "the folders that were named with --folder" if folders() else "none: this server was started without --folder"
    raise DataError(f"{written}: files outside of the folders that are served are not read; there are {there}")


def text(written: str) -> str:
    """A text that is short enough to be read. Raises: TextError saying how long it may be."""
    most = limits().characters
    if len(written) > most:
        raise TextError(f"the text has {len(written):,} characters; at most {most:,} are read here: take a part of it")
    return written


def spend(what: str = "texts") -> None:
    """Count a run of this session's.

    Raises: DataError when there were too many in the last minute, saying when the next may be.
    """
    most = limits().runs
    runs: deque[float] = st.session_state.setdefault("runs", deque(maxlen=most))
    now = time.monotonic()
    if len(runs) == most and now - runs[0] < MINUTE_S:
        wait = MINUTE_S - (now - runs[0])
        raise DataError(f"{most} {what} a minute are run for one session here; the next may be in {wait:.0f} s")
    runs.append(now)


def claim(asked: "Claim") -> "Claim":
    """One's own claim, where it may be run.

    Raises: ClaimError for one of a visitor's that loads models, computes an expression or matches by a regular expression.
    """
    if not to_others():
        return asked
    test = asked.test.model_dump()
    if asked.test.protocol in NOT_FOR_OTHERS or getattr(asked, "only", None):
        raise ClaimError(
            f"a claim of one's own by {asked.test.protocol!r} is not run on a server; it runs with interp on one's own machine"
        )
    if any("~" in str(value) for value in test.values()):
        raise ClaimError("a regular expression (form~...) is not matched on a server; name the words instead: form=one\\|other")
    return asked


def claim_file(written: str) -> str:
    """The text of one's own claim, before it is read. Raises: TextError, ClaimError: as `text` and `claim`."""
    if to_others() and (found := next((name for name in NOT_FOR_OTHERS if name in written), "")):
        raise ClaimError(f"a claim of one's own by {found!r} is not run on a server; it runs with interp on one's own machine")
    return text(written)


def _lines(name: str) -> list[str]:
    return [line for line in os.environ.get(name, "").splitlines() if line]
