"""A tree of words: from it heads, relations and constituents come out together.

A node is a constituent with one head among its children; the other children say by which relation they hang on it. A word's
head is then the head word of the smallest constituent in which it is not the head itself (Collins 1999, section 2.2, the
other way round: there heads are found in given trees). Constituents are continuous, so dependencies cannot cross.

A node without a label groups words for their heads ("and the dog") and is no constituent of its own.
"""

HEAD = ""


class Leaf:
    """One English word, with what the lexicon knows of it; `place_words` fills in its place, head and relation."""

    __slots__ = ("antecedent", "deprel", "feats", "form", "glued", "head", "index", "lemma", "sense", "upos")

    def __init__(self, form: str, lemma: str, upos: str, feats: str = "_", *, glued: bool = False, sense: str = "") -> None:
        self.form = form
        self.lemma = lemma
        self.upos = upos
        self.feats = feats
        self.glued = glued
        self.sense = sense
        self.index = -1
        self.head: Leaf | None = None
        self.deprel = "root"
        self.antecedent: Leaf | None = None


class Node:
    """A constituent: children as (relation, child); the head's relation is `HEAD`."""

    __slots__ = ("kids", "label")

    def __init__(self, label: str, kids: "list[tuple[str, Node | Leaf]]") -> None:
        self.label = label
        self.kids = kids


Tree = Node | Leaf
Kids = list[tuple[str, Tree]]


def place_words(root: Node) -> tuple[list[Leaf], list[tuple[int, int, str]]]:
    """The words in order, each with its head; and the constituents (start, end, label), the outer before the inner.

    Example:
        >>> dog = Node("NP", [("det", Leaf("the", "the", "DET")), (HEAD, Leaf("dog", "dog", "NOUN"))])
        >>> leaves, spans = place_words(Node("S", [("nsubj", dog), (HEAD, Leaf("ran", "run", "VERB"))]))
        >>> [(leaf.form, leaf.deprel, leaf.head and leaf.head.form) for leaf in leaves], spans
        ([('the', 'det', 'dog'), ('dog', 'nsubj', 'ran'), ('ran', 'root', None)], [(0, 3, 'S'), (0, 2, 'NP')])
    """
    leaves: list[Leaf] = []
    spans: list[tuple[int, int, str]] = []
    _place(root, leaves, spans)
    spans.reverse()
    spans.sort(key=lambda span: (span[0], -span[1]))
    return leaves, spans


def _place(tree: Tree, leaves: list[Leaf], spans: list[tuple[int, int, str]]) -> Leaf:
    """The head word of a tree whose words are put at the end of `leaves`."""
    if isinstance(tree, Leaf):
        tree.index = len(leaves)
        leaves.append(tree)
        return tree
    start = len(leaves)
    placed = [(relation, _place(kid, leaves, spans)) for relation, kid in tree.kids]
    head = next(leaf for relation, leaf in placed if relation == HEAD)
    for relation, leaf in placed:
        if leaf is not head:
            leaf.head, leaf.deprel = head, relation
    if tree.label:
        spans.append((start, len(leaves), tree.label))
    return head
