"""What the first page needs, loaded while the server starts and the browser is on its way: the libraries, and the model offered first.

`python -m interp.dashboard OPTIONS` is `streamlit run` on the dashboard with this begun beside it. Nothing of Streamlit is imported in that
thread, and a page waits for it before it imports or draws anything: two threads never import the same modules at once, and plotly would
look into a pandas that is half imported. What draws comes first, so that the browser gets itself ready to draw while the rest is loaded.

What is imported stays, so that to look for what could be freed of it would be time lost: for as long as this runs, and ever after.
"""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.models.model import Model

SWITCH_S = 0.001  # the server answers the browser in between; with Python's 5 ms each of some sixty files waits several times
_thread: threading.Thread | None = None
_drawable = threading.Event()
_loaded: dict[str, Any] = {}


def begin(source: str) -> None:
    """Start loading. Args: source: the model that is offered first."""
    global _thread
    _thread = threading.Thread(target=_load, args=(source,), daemon=True, name="ahead")
    _thread.start()


def over() -> bool:
    """Whether it is done, or was never begun."""
    return _thread is None or not _thread.is_alive()


def wait() -> None:
    """Until all is done."""
    if _thread is not None:
        _thread.join()


def wait_for_figures() -> None:
    """Until figures can be drawn, though no model runs yet."""
    if _thread is not None:
        _drawable.wait()


def taken(source: str) -> "Model | None":
    """The model of that name, if it was loaded ahead; whoever takes it keeps it."""
    return _loaded.pop(source, None)


def _load(source: str) -> None:
    """What goes wrong here goes wrong again where the page asks for it, and is told there."""
    from interp import api
    from interp.core.errors import InterpError

    with _hurrying():
        try:
            import interp.core.results  # pandas, which plotly looks for
            import interp.figures.screen
        finally:
            _drawable.set()
        import interp.captures.prompt
        import interp.models.load  # noqa: F401
    try:
        _loaded[source] = api.load(source)
    except InterpError:
        return


@contextmanager
def _hurrying() -> Iterator[None]:
    """Imports without looking for garbage, letting the server have its turn often."""
    switch = sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch)
        gc.freeze()
        gc.enable()
