"""A statement, a protocol, controls and a decision rule: together they make a verdict."""
