"""Work that takes longer than a page may: a thread of its own, what it is doing, a button that stops it, its result in the session.

A session does one such thing at a time. While it runs the page stays alive, and a fragment that redraws itself says how far it is. It
stops at its next step (`core.stopping`) when asked to, or when the person has left. What was finished by then is kept, so that the same run
goes on behind it.
"""

import threading
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from interp.claims.stages import Arrays, Stages
from interp.core.errors import Stopped
from interp.core.stopping import stoppable
from interp.dashboard import served
from interp.dashboard.words import in_plain_words, literal

MOST_RESULTS, MOST_UNFINISHED = 16, 2
EVERY_S, AT_ONCE_S, GONE_S = 1.0, 0.3, 30.0
Tell = Callable[[str], None]
FOUND, _WORK, _PARTS = "found", "long work", "unfinished parts"


class Work:
    """One piece of work of one session."""

    def __init__(self, place: Hashable, what: str, job: Callable[[Tell], Any]):
        self.place, self.what, self.told, self.began = place, what, "", time.monotonic()
        self.result: Any = None
        self.error: Exception | None = None
        self._asked_to_stop, self._gone_since = threading.Event(), 0.0
        context = get_script_run_ctx()
        self._session = context.session_id if context else ""
        self.thread = threading.Thread(target=copy_context().run, args=(self._do, job), daemon=True)
        self.thread.start()

    @property
    def over(self) -> bool:
        return not self.thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._asked_to_stop.is_set()

    def stop(self) -> None:
        """Ask it to stop; it does at its next step."""
        self._asked_to_stop.set()

    def _do(self, job: Callable[[Tell], Any]) -> None:
        try:
            with stoppable(self._unwanted):
                self.result = job(self._tell)
        except Exception as error:  # raised again on the page, by `show`
            self.error = error

    def _tell(self, what: str) -> None:
        self.told = what

    def _unwanted(self) -> bool:
        return self.stopping or self._left()

    def _left(self) -> bool:
        """Whether the session has been without a browser for a while; a short gap in the network is none."""
        if not runtime.exists() or runtime.get_instance().is_active_session(self._session):
            self._gone_since = 0.0
            return False
        self._gone_since = self._gone_since or time.monotonic()
        return time.monotonic() - self._gone_since > GONE_S


def start(place: Hashable, what: str, job: Callable[[Tell], Any]) -> None:
    """Begin, and draw the page again; `show` then says how far it is. Nothing while other work is under way.

    Args:
        place: what the result is of: `found` has it under this.
        what: in words, "Testing S4-42 on tales".
        job: is handed a function to tell what it is doing.
    """
    if busy():
        return
    with in_plain_words():
        served.spend("runs")
        st.session_state[_WORK] = work = Work(place, what, job)
        work.thread.join(AT_ONCE_S)  # what is quick is there at once
        st.rerun()


def busy() -> bool:
    """Whether this session has work under way."""
    work: Work | None = st.session_state.get(_WORK)
    return work is not None and not work.over


def found(place: Hashable) -> Any:
    """What work came to, None where it was not done (lately): the last `MOST_RESULTS` of a session are kept."""
    return st.session_state.get(FOUND, {}).get(place)


def parts(place: Hashable) -> Stages:
    """Where the finished parts of some work are kept, to go on behind them; of the last few that were begun."""
    kept: dict[Hashable, dict[str, Arrays]] = st.session_state.setdefault(_PARTS, {})
    return Stages(memory=_last(kept, place, kept.get(place, {}), MOST_UNFINISHED))


def show() -> None:
    """How far the work is, with the button that stops it; or, once, why it came to nothing. Results go to `found`."""
    work: Work | None = st.session_state.get(_WORK)
    if work is None:
        return
    if not work.over:
        _progress()
        return
    del st.session_state[_WORK]
    if work.error is None:
        _last(st.session_state.setdefault(FOUND, {}), work.place, work.result, MOST_RESULTS)
        st.session_state.get(_PARTS, {}).pop(work.place, None)
    elif isinstance(work.error, Stopped):
        st.info(
            f"{literal(work.what)} was stopped. Run it again and it goes on behind the parts that were finished.", icon=":material/stop:"
        )
    else:
        with in_plain_words():
            raise work.error


@st.fragment(run_every=EVERY_S)
def _progress() -> None:
    work: Work | None = st.session_state.get(_WORK)
    if work is None or work.over:
        st.rerun()
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="long-work"):
        now = "stopping at the next step" if work.stopping else work.told or "beginning"
        st.markdown(
            f":material/hourglass_top: **{literal(work.what)}** · {literal(now)} · {time.monotonic() - work.began:.0f} s", width="stretch"
        )
        st.button("Stop", key="stop-work", icon=":material/stop:", on_click=work.stop, disabled=work.stopping)


def _last(kept: dict[Hashable, Any], place: Hashable, value: Any, most: int) -> Any:
    """Keep a value as the newest of `most`."""
    kept.pop(place, None)
    kept[place] = value
    for old in list(kept)[:-most]:
        del kept[old]
    return value
