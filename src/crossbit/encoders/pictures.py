"""Opening pictures of any kind as plain RGB, and saying in words why one cannot be opened."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from crossbit.errors import DataError

MAX_PIXELS = 89_478_485  # Pillow's own limit, at which it only warns; a larger picture is refused here


def open_picture(source: bytes | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture as RGB, upright, on white where it is transparent.

    source: the content of a picture file, or its path. EXIF rotation is applied, CMYK, palette, grey and 16-bit
    pictures are converted; of an animation the first frame is taken.

    Raises DataError, with a reason for a person, for a picture that is missing, empty, damaged, cut off, larger than
    max_pixels or of a kind that Pillow does not know.
    """
    content = read_bytes(source)
    if not content:
        raise DataError("the file is empty (zero bytes)")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > max_pixels:
                raise DataError(_too_large(f"{picture.width} x {picture.height} pixels", max_pixels))
            picture.load()
            return _on_white(ImageOps.exif_transpose(picture))
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_too_large("a decompression bomb", max_pixels)) from error
    except UnidentifiedImageError as error:
        raise DataError("not a picture of a kind that can be read") from error
    except Exception as error:  # on damaged files Pillow raises OSError, SyntaxError, struct.error and more
        raise DataError(f"the picture is damaged or cut off ({error})") from error


def read_bytes(source: Any) -> bytes:
    """The content of a picture given as bytes or as a Path; raises DataError with the reason."""
    if isinstance(source, bytes):
        return source
    if not isinstance(source, Path):
        raise DataError(f"a picture is given as bytes or as a pathlib.Path, not as {type(source).__name__}")
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror or error})") from error


def _too_large(what: str, max_pixels: int) -> str:
    return f"the picture is too large: {what}, where {max_pixels} pixels are allowed"


def _on_white(picture: Image.Image) -> Image.Image:
    """RGB of any mode; transparent parts show white, as on a page."""
    if picture.mode.startswith(("I", "F")):
        # Pillow cuts values above 255 off when it converts these; they are scaled instead.
        values = np.asarray(picture, dtype=np.float64)
        top = 65535.0 if picture.mode.startswith("I") else max(float(np.nanmax(values)), 1e-12)
        return Image.fromarray((np.clip(np.nan_to_num(values) / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if "transparency" in picture.info or picture.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        above = picture.convert("RGBA")
        below = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(below, above).convert("RGB")
    return picture.convert("RGB")
