"""The instrument checks itself on the model at hand, with captures and edits."""
