"""Many matrices as one small picture: a PNG with one byte for a cell, whose colours are the house's scale.

144 heads as 144 plots are 4 MB of JSON and seconds of drawing; as one picture they are some 100 kB. Every cell is several pixels wide, so
that a browser that scales the picture leaves its edges sharp.
"""

import base64
import struct
import zlib

import numpy as np

from interp.figures.description import Mosaic
from interp.figures.scales import MISSING, stops

_TILE_PX = 96  # a matrix, at least
_CLEAR, _MISSING, _COLOURS = 255, 254, 254  # places in the palette


def picture(mosaic: Mosaic) -> str:
    """The matrices side by side, a clear line between them, as a data URI."""
    png = base64.b64encode(_png(_places(mosaic))).decode()
    return f"data:image/png;base64,{png}"


def _places(mosaic: Mosaic) -> np.ndarray:
    """Each pixel's place in the palette."""
    rows, columns, inner_rows, inner_columns = mosaic.values.shape
    low, high = mosaic.limits
    shades = np.clip((mosaic.values - low) / (high - low), 0, 1) * (_COLOURS - 1)
    shades = np.where(np.isnan(shades), _MISSING, np.round(np.nan_to_num(shades))).astype(np.uint8)
    scale = max(1, -(-_TILE_PX // max(inner_rows, inner_columns)))
    large = shades.repeat(scale, axis=2).repeat(scale, axis=3)
    gap = max(1, round(0.03 * max(large.shape[2:])))
    framed = np.pad(large, ((0, 0), (0, 0), (gap, gap), (gap, gap)), constant_values=_CLEAR)
    return framed.transpose(0, 2, 1, 3).reshape(rows * framed.shape[2], columns * framed.shape[3])


def _palette() -> bytes:
    """Colours mixed straight between the scale's stops, as on screen and paper; then missing, then clear."""
    at, colours = zip(*stops(diverging=False), strict=True)
    channels = np.array([[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in colours], dtype=float)
    mixed = np.stack([np.interp(np.linspace(0, 1, _COLOURS), at, channel) for channel in channels.T], axis=1)
    grey = [int(MISSING[start : start + 2], 16) for start in (1, 3, 5)]
    return np.round(np.vstack([mixed, grey, [0, 0, 0]])).astype(np.uint8).tobytes()


def _png(places: np.ndarray) -> bytes:
    """The file: header, palette, which colour is clear, and the rows, each behind a 0 that says it is not filtered."""
    height, width = places.shape
    rows = np.pad(places, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    clear = bytes([255] * _CLEAR + [0])
    parts = [(b"IHDR", header), (b"PLTE", _palette()), (b"tRNS", clear), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, *zip(*parts, strict=True)))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
