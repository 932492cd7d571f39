"""Which weights are these? A short hash of every weight, and of the configuration that says what they do.

Every byte is read: one changed bit gives another fingerprint, so nothing is sampled. Tensors are cut into pieces, the pieces are hashed by
SHA-256 in several threads (hashlib lets go of the interpreter's lock, and so does a copy from the accelerator), and the hash of their
hashes is the answer. A tensor with two names, such as a tied head, is read once. Weights of a folder and of an object give the same.

Not in it: buffers that are not saved, since they follow from the configuration; the file's name, its version and the type it was saved in.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from transformers import PreTrainedModel

PIECE_BYTES = 1 << 24
MOST_THREADS = 8
_ABOUT_THE_FILE = ("architectures", "dtype", "torch_dtype", "transformers_version")


def fingerprint(module: PreTrainedModel) -> str:
    """16 hex digits that stand for every weight and saved buffer by name, shape, type and value, and for the configuration.

    The same weights under another rotary base are another model; under another name or device they are the same.

    Example:
        >>> from interp.models.load import load_model
        >>> model = load_model()
        >>> fingerprint(model.hf) == model.fingerprint
        True
    """
    tensors = {name: tensor.detach() for name, tensor in sorted(module.state_dict().items())}
    known = _hashes({_place(tensor): tensor for tensor in tensors.values()})
    digest = hashlib.sha256(json.dumps(_what_counts(module.config.to_dict()), sort_keys=True, default=str).encode())
    for name, tensor in tensors.items():
        digest.update(f"\n{name} {tuple(tensor.shape)} {tensor.dtype} {known[_place(tensor)]}".encode())
    return digest.hexdigest()[:16]


def _what_counts(config: dict) -> dict:
    """A configuration, and those inside it, without what is about the file."""
    kept = {key: value for key, value in config.items() if not str(key).startswith("_") and key not in _ABOUT_THE_FILE}
    return {key: _what_counts(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _place(tensor: torch.Tensor) -> tuple:
    """Alike for two names of one tensor, and for no two tensors that differ."""
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def _hashes(tensors: Mapping[tuple, torch.Tensor]) -> dict[tuple, str]:
    """The hash of each tensor's bytes, all pieces of all tensors shared out among the threads."""
    pieces = [(place, piece) for place, tensor in tensors.items() for piece in _pieces(tensor)]
    digests = {place: hashlib.sha256() for place in tensors}
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        for (place, _), found in zip(pieces, threads.map(_hash, [piece for _, piece in pieces]), strict=True):
            digests[place].update(found)
    return {place: digest.hexdigest() for place, digest in digests.items()}


def _pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    flat = tensor.contiguous().reshape(-1)
    return iter(flat.split(PIECE_BYTES // flat.element_size())) if flat.numel() else iter(())


def _hash(piece: torch.Tensor) -> bytes:
    return hashlib.sha256(piece.cpu().view(torch.uint8).numpy().data).digest()
