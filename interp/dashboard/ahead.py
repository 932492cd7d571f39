"""What the first page needs, loaded while the server starts and the browser is on its way: the libraries, and the model offered first.

`python -m interp.dashboard OPTIONS` is `streamlit run` on the dashboard with this begun beside it. Nothing of Streamlit is imported in that
thread, and a page waits for it before it imports anything that it imports: two threads never import the same modules at once.
"""

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.models.model import Model

_thread: threading.Thread | None = None
_loaded: dict[str, Any] = {}


def begin(source: str) -> None:
    """Start loading. Args: source: the model that is offered first."""
    global _thread
    _thread = threading.Thread(target=_load, args=(source,), daemon=True, name="ahead")
    _thread.start()


def wait() -> None:
    """Until it is done; at once where it was never begun."""
    if _thread is not None:
        _thread.join()


def taken(source: str) -> "Model | None":
    """The model of that name, if it was loaded ahead; whoever takes it keeps it."""
    return _loaded.pop(source, None)


def _load(source: str) -> None:
    """What goes wrong here goes wrong again where the page asks for it, and is told there."""
    import interp.figures.screen  # noqa: F401
    from interp import api
    from interp.core.errors import InterpError

    try:
        _loaded[source] = api.load(source)
    except InterpError:
        return
