"""Reading and writing image files."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from difffilter.io.picture import check_size, joined, split_alpha
from difffilter.io.tiff import read_tiff, write_tiff

__all__ = ["SUFFIXES", "check_target", "read", "replacing", "write"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def read(path, max_pixels=None):
    """Read an image file.

    Parameters
    ----------
    path : path-like
        A PNG, JPEG, WebP or TIFF file, recognised by its content rather than its name.
    max_pixels : int, optional
        Refuse larger files; ``None``: the default limits of `picture.check_size`.

    Returns
    -------
    Picture

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is not an image, is damaged, is of an unsupported kind, or is too large.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected an image file")
    with open(path, "rb") as file:
        head = file.read(32)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes)")
    try:
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return read_tiff(path, max_pixels)
        return _read_pillow(path, head, max_pixels)
    except (MemoryError, OSError, ValueError):
        raise
    except Exception as error:  # decoders may raise anything on a damaged file
        raise ValueError(f"{path} is damaged: {error}") from error


def write(path, picture):
    """Write an image file, whole or not at all.

    Parameters
    ----------
    path : path-like
        The format follows from the suffix: .png, .jpg, .jpeg, .webp, .tif or .tiff.
    picture : Picture
        Pixels and metadata. A picture that the format cannot hold (16 bits or alpha in JPEG,
        several pages outside TIFF) is an error.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    ValueError
        If the suffix is unknown or the format cannot hold the picture.
    """
    path = Path(path)
    suffix = _check_suffix(path, SUFFIXES)
    with replacing(path) as temporary:
        try:
            if suffix in (".tif", ".tiff"):
                write_tiff(temporary, picture)
            else:
                _write_pillow(temporary, picture, path)
        except (MemoryError, OSError, ValueError):
            raise
        except Exception as error:  # encoders may raise anything on odd metadata
            raise ValueError(f"{path} cannot be written: {error!r}") from error


def check_target(path, overwrite, suffixes=None):
    """Raise an error if a result could not be written to this file, before any work is done.

    Parameters
    ----------
    path : path-like
    overwrite : bool
        Whether a file that exists may be replaced.
    suffixes : iterable of str, optional
        The suffixes of the formats that can be written; ``None``: any.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    ValueError
        If the file exists and may not be replaced, or its suffix is unknown.
    """
    path = Path(path)
    if suffixes is not None:
        _check_suffix(path, suffixes)
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists already; pass --overwrite to replace it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"cannot write in the folder {path.parent}: permission denied")


def _check_suffix(path, suffixes):
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path} has suffix {suffix!r}; expected one of {', '.join(suffixes)}")
    return suffix


@contextmanager
def replacing(path):
    """Write a file whole or not at all.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    Path
        A temporary file in the same folder, renamed to `path` if the block ends without an error
        and deleted otherwise.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")
    temporary = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(4)}{path.suffix}")
    try:  # an interrupt may come as soon as the file is there
        try:
            open(temporary, "xb").close()
        except OSError as error:
            message = f"cannot write in the folder {path.parent}: {error.strerror}"
            raise type(error)(message) from error
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # not made yet, or renamed already
            os.unlink(temporary)
        raise


# --- PNG, JPEG, WebP ------------------------------------------------------------------------


def _read_pillow(path, head, max_pixels):
    from PIL import Image, UnidentifiedImageError

    allowed, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the size is checked below
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(
            f"{path} is not an image that can be read (PNG, JPEG, WebP, TIFF)"
        ) from None
    except OSError as error:
        raise ValueError(f"{path} is damaged or truncated: {error}") from None
    finally:
        Image.MAX_IMAGE_PIXELS = allowed
    with image:
        check_size(path, image.width * image.height, max_pixels)
        if image.format not in ("PNG", "JPEG", "MPO", "WEBP"):
            raise ValueError(f"{path} is a {image.format} file; expected PNG, JPEG, WebP or TIFF")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise ValueError(f"{path} is an animation; export its frames to a multi-page TIFF")
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{path} is damaged or truncated: {error}") from None
        meta = {k: image.info[k] for k in ("icc_profile", "exif", "dpi") if image.info.get(k)}
        if "exif" not in meta and (exif := image.getexif()):
            meta["exif"] = exif.tobytes()
        if image.format in ("JPEG", "MPO"):
            from PIL import JpegImagePlugin

            meta["subsampling"] = JpegImagePlugin.get_sampling(image)
        if image.mode == "CMYK":
            meta["cmyk"] = True
        if image.format == "WEBP":
            meta["lossless"] = b"VP8L" in _riff_chunks(path.read_bytes())
        if image.format == "PNG" and head[24] == 16:
            pixels = _read_png16(path)
        else:
            pixels = np.asarray(_plain_mode(image))
    return split_alpha(pixels[None], meta)


def _riff_chunks(data):
    """The names of a WebP file's chunks."""
    names, offset = [], 12
    while offset + 8 <= len(data):
        names.append(data[offset : offset + 4])
        size = int.from_bytes(data[offset + 4 : offset + 8], "little")
        offset += 8 + size + size % 2
    return names


def _plain_mode(image):
    """Convert bitmaps, palettes and transparent colours to L, LA, RGB, RGBA or CMYK."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        transparent = "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
        red, green, blue = (np.asarray(image.getchannel(c)) for c in "RGB")
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return image.convert("LA" if transparent else "L")
        return image
    if "transparency" in image.info and image.mode in ("L", "RGB"):
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        raise ValueError(f"pixels of mode {image.mode} are not supported; convert to grey or RGB")
    return image


def _read_png16(path):
    """Read a 16-bit PNG by imagecodecs: Pillow would drop the low byte of colours."""
    import imagecodecs

    return imagecodecs.png_decode(path.read_bytes())


def _write_pillow(temporary, picture, path):
    from PIL import Image

    suffix = path.suffix.lower()
    pixels = joined(picture)
    if len(pixels) != 1:
        raise ValueError(f"{path}: {len(pixels)} pages need a TIFF file; name the output .tif")
    pixels = pixels[0]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint16 and suffix == ".png":
        return _write_png16(temporary, pixels, picture.meta)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"{path}: {suffix} cannot hold {pixels.dtype} pixels; name the output .tif"
        )
    if suffix in (".jpg", ".jpeg") and picture.alpha is not None:
        raise ValueError(f"{path}: JPEG has no alpha channel; name the output .png or .webp")
    cmyk = picture.meta.get("cmyk", False)
    if cmyk and suffix not in (".jpg", ".jpeg"):
        raise ValueError(f"{path}: {suffix} cannot hold CMYK colours; name the output .jpg")
    options = {k: picture.meta[k] for k in ("icc_profile", "exif") if k in picture.meta}
    if suffix in (".jpg", ".jpeg"):
        options |= {"quality": 95, "subsampling": max(picture.meta.get("subsampling", 0), 0)}
    if suffix == ".webp":
        options |= {"quality": 95, "lossless": picture.meta.get("lossless", True), "exact": True}
    elif "dpi" in picture.meta:
        options["dpi"] = picture.meta["dpi"]
    if cmyk:  # Image.fromarray would take four channels for RGBA
        image = Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes())
    else:
        image = Image.fromarray(pixels)
    image.save(temporary, **options)


def _write_png16(temporary, pixels, meta):
    import struct
    import zlib

    import imagecodecs

    data = imagecodecs.png_encode(pixels)

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    extra = b""
    if "icc_profile" in meta:
        extra += chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(meta["icc_profile"]))
    if "dpi" in meta:
        extra += chunk(b"pHYs", struct.pack(">IIB", *(round(d / 0.0254) for d in meta["dpi"]), 1))
    if "exif" in meta:
        extra += chunk(b"eXIf", meta["exif"].removeprefix(b"Exif\0\0"))
    after_header = 8 + 25  # the signature and the IHDR chunk
    temporary.write_bytes(data[:after_header] + extra + data[after_header:])
