"""What a self-check found: a name, a figure and a tolerance each, and what rests on it."""

import json
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's outcome.

    Attributes:
        name: "rows sum to 1".
        value: the figure that was measured; None when the check itself broke.
        tolerance: what it may be at most.
        unit: of both.
        features: what is disabled when it fails.
        problem: why it broke, when it did.
    """

    name: str
    value: float | None
    tolerance: float
    unit: str
    features: tuple[str, ...]
    problem: str = ""

    @property
    def passed(self) -> bool:
        """True when the figure is within its tolerance; nan is not."""
        return self.value is not None and self.value <= self.tolerance

    @classmethod
    def from_dict(cls, entry: dict) -> "Finding":
        """The finding of an entry of `Report.to_json`."""
        value = entry["value"]
        return cls(**{**entry, "value": None if value is None else float(value), "features": tuple(entry["features"])})

    def __str__(self) -> str:
        shown = self.problem or f"{self.value:.1e} {self.unit} (at most {self.tolerance:.0e})"
        return f"{self.name}: {shown}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings on one model."""

    model: str
    fingerprint: str
    findings: tuple[Finding, ...]
    elapsed_s: float

    def to_json(self) -> str:
        """All of it as JSON; a figure that is not finite is written as text, since JSON has no such number."""
        entries = [asdict(finding) for finding in self.findings]
        for entry in entries:
            if entry["value"] is not None and not math.isfinite(entry["value"]):
                entry["value"] = str(entry["value"])
        return json.dumps({**asdict(self), "findings": entries}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """The report that `to_json` wrote. Raises: ValueError, KeyError or TypeError for anything else."""
        entries = json.loads(text)
        findings = tuple(Finding.from_dict(entry) for entry in entries.pop("findings"))
        return cls(**{**entries, "elapsed_s": float(entries["elapsed_s"])}, findings=findings)

    @property
    def passed(self) -> bool:
        """True when every check did."""
        return all(finding.passed for finding in self.findings)

    @property
    def disabled(self) -> dict[str, str]:
        """Feature -> reason, for what rests on a check that failed."""
        failed = [finding for finding in self.findings if not finding.passed]
        features = dict.fromkeys(feature for finding in failed for feature in finding.features)
        reasons = {feature: "; ".join(str(finding) for finding in failed if feature in finding.features) for feature in features}
        return {feature: f"the self-check failed: {reason}" for feature, reason in reasons.items()}
