"""All protocols, by the name that claim files give them."""

from typing import Any

from interp.claims.protocols import attends, induction, positional, positionwise, relation
from interp.claims.protocols.protocol import Protocol

PROTOCOLS: dict[str, Protocol[Any]] = {
    protocol.name: protocol
    for protocol in (
        positionwise.PROTOCOL,
        positional.PROTOCOL,
        relation.PROTOCOL,
        attends.PROTOCOL,
        induction.PROTOCOL,
    )
}
