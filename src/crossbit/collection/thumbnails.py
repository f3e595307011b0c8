"""Small pictures, so that a collection can be looked at wherever it is."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

SIDE = 192  # pixels of the longer side
SMALL = 16_384  # bytes: a file that is no larger is kept as it is


def small_picture(content: bytes, side: int = SIDE) -> bytes | None:
    """A picture file's content, shrunk to `side` pixels as WebP where it is large; None where it cannot be opened.

    What browsers show and is small already comes back unchanged. A photo is turned the way its camera says.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if len(content) <= SMALL and opened.format in ("PNG", "JPEG", "WEBP") and max(opened.size) <= side:
                return content
            picture = ImageOps.exif_transpose(opened).convert("RGBA" if opened.has_transparency_data else "RGB")
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    out = io.BytesIO()
    picture.save(out, format="WEBP", quality=80)
    return out.getvalue()
