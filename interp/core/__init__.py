"""The language of the house: axes, sites, labelled results, provenance, errors."""
