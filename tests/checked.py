"""A model that refuses what its self-check found wrong, checked here and now: what `interp.load` does with reports that it has kept."""

from dataclasses import replace

from interp.checks.selfcheck import check, never_there
from interp.models.model import Model


def with_checks(model: Model) -> Model:
    return replace(model, disabled={**never_there(model.anatomy), **check(model).disabled})
