"""Long work that can be stopped: whoever starts it says when it is not wanted any more, whoever does it asks at each step.

The question travels in a context variable, so that nothing between the two has to hand it on; a thread of one's own is started with
`copy_context().run`. Work that is stopped leaves by `Stopped`; parts that were finished are where they were kept (`claims.stages`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from interp.core.errors import Stopped

_UNWANTED: ContextVar[Callable[[], bool] | None] = ContextVar("unwanted", default=None)


@contextmanager
def stoppable(unwanted: Callable[[], bool]) -> Iterator[None]:
    """Work inside stops at its next step once `unwanted` says yes.

    Example:
        >>> with stoppable(lambda: True):
        ...     go_on()
        Traceback (most recent call last):
        interp.core.errors.Stopped: the work was stopped; the same call begins it again
    """
    token = _UNWANTED.set(unwanted)
    try:
        yield
    finally:
        _UNWANTED.reset(token)


def go_on() -> None:
    """A step of long work: nothing, unless it is to stop. Raises: Stopped."""
    unwanted = _UNWANTED.get()
    if unwanted is not None and unwanted():
        raise Stopped("the work was stopped; the same call begins it again")
