"""All protocols, by the name that claim files give them."""

from typing import Any

from interp.claims.protocols import (
    approximation,
    arithmetic,
    attends,
    cost_scaling,
    disambiguation,
    division_of_labour,
    expansion_probe,
    head_diversity,
    head_subspaces,
    importance,
    induction,
    key_value,
    layer_probe,
    linearity,
    models_compared,
    neuron_selectivity,
    positional,
    positionwise,
    published_number,
    published_order,
    relation,
    unanswered,
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
        published_order.PROTOCOL,
        approximation.PROTOCOL,
        models_compared.PROTOCOL,
        layer_probe.PROTOCOL,
        expansion_probe.PROTOCOL,
        disambiguation.PROTOCOL,
        wiring.PROTOCOL,
        cost_scaling.PROTOCOL,
        unanswered.PROTOCOL,
    )
}
