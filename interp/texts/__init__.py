"""What a model reads: annotated examples, treebanks, plain text, controls, and the alignment of words with tokens."""
