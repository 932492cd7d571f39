"""All protocols, by the name that claim files give them."""

from typing import Any

from interp.claims.protocols import (
    arithmetic,
    attends,
    cost_scaling,
    disambiguation,
    division_of_labour,
    head_diversity,
    head_subspaces,
    importance,
    induction,
    key_value,
    layer_probe,
    linearity,
    neuron_selectivity,
    positional,
    positionwise,
    published_number,
    relation,
    wiring,
)
from interp.claims.protocols.protocol import Protocol

PROTOCOLS: dict[str, Protocol[Any]] = {
    protocol.name: protocol
    for protocol in (
        positionwise.PROTOCOL,
        positional.PROTOCOL,
        relation.PROTOCOL,
        attends.PROTOCOL,
        induction.PROTOCOL,
        head_subspaces.PROTOCOL,
        importance.PROTOCOL,
        head_diversity.PROTOCOL,
        arithmetic.PROTOCOL,
        linearity.PROTOCOL,
        neuron_selectivity.PROTOCOL,
        key_value.PROTOCOL,
        division_of_labour.PROTOCOL,
        published_number.PROTOCOL,
        layer_probe.PROTOCOL,
        disambiguation.PROTOCOL,
        wiring.PROTOCOL,
        cost_scaling.PROTOCOL,
    )
}
