"""Files that Pillow reads and writes: PNG, JPEG, WebP, AVIF, HEIC, BMP and GIF."""

from __future__ import annotations

import io

import numpy as np

from difffilter.io import jpeg, png
from difffilter.io.picture import check_size, joined, split_alpha

__all__ = ["HEIC_BRANDS", "JPEG", "READABLE", "WRITABLE", "encoded", "read_raster"]

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
HEIC = (".heic", ".heif")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
WRITABLE = (".png", *JPEG, ".webp", ".avif", *HEIC, ".bmp")
READABLE = (*WRITABLE, ".gif")

FORMATS = {"PNG", "JPEG", "MPO", "WEBP", "AVIF", "HEIF", "BMP", "DIB", "GIF"}
KNOWN = "PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF or TIFF"

# Lossy formats that do not say how strongly they are compressed: the highest of these qualities
# whose file is not larger than the one that was read.
QUALITIES = (95, 90, 85, 80, 75, 65, 50, 35, 20)


def read_raster(path, head, max_pixels):
    """Read a file; parameters, result and errors are those of `difffilter.io.files.read`.

    Parameters
    ----------
    path : Path
    head : bytes
        The beginning of the file.
    max_pixels : int or None
    """
    from PIL import Image, UnidentifiedImageError

    _prepare_heic(path, head)
    allowed, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the size is checked below
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(
            f"{path} is not an image that can be read (PNG, JPEG, WebP, TIFF, ...)"
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is damaged or truncated: {error}") from None
    finally:
        Image.MAX_IMAGE_PIXELS = allowed
    with image:
        check_size(path, image.width * image.height, max_pixels)
        if image.format not in FORMATS:
            raise ValueError(f"{path} is a {image.format} file; expected {KNOWN}")
        if getattr(image, "is_animated", False) and image.format in ("PNG", "WEBP", "GIF", "AVIF"):
            raise ValueError(f"{path} is an animation; export its frames to a multi-page TIFF")
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{path} is damaged or truncated: {error}") from None
        meta = _meta(path, image)
        if image.format == "PNG" and head[24] == 16:
            pixels = _read_png16(path)
        else:
            pixels = np.asarray(_plain_mode(image))
    return split_alpha(pixels[None], meta)


def _prepare_heic(path, head):
    """Make Pillow read and write HEIC, if the file or its name is of that kind."""
    named = path.suffix.lower() in HEIC
    if not (named if not head else head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS):
        return
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} is a HEIC file, which needs pillow-heif: pip install 'difffilter[heic]'"
        ) from None
    pillow_heif.register_heif_opener()


# --- metadata -------------------------------------------------------------------------------


def _meta(path, image):
    info, data = image.info, path.read_bytes()
    meta = {"format": image.format, "bytes": len(data)}
    meta |= {k: info[k] for k in ("icc_profile", "exif", "dpi") if info.get(k)}
    if "exif" not in meta and (exif := image.getexif()):
        meta["exif"] = exif.tobytes()
    if "exif" in meta:
        meta["exif"] = meta["exif"].removeprefix(jpeg.EXIF)
    if xmp := info.get("xmp") or info.get("XML:com.adobe.xmp"):
        meta["xmp"] = xmp.encode() if isinstance(xmp, str) else xmp
    if comment := info.get("comment") or info.get("Comment") or info.get("Description"):
        meta["comment"] = comment.encode() if isinstance(comment, str) else comment
    if image.mode == "CMYK":
        meta |= {"cmyk": True, "colours": "CMYK"}
    if image.format in ("JPEG", "MPO"):
        meta |= {
            "segments": jpeg.split(data)[0], "trailer": jpeg.split(data)[2],
            "tables": jpeg.tables_of(image), "subsampling": _subsampling(image),
            "progressive": bool(info.get("progressive")),
        }  # fmt: skip
    if image.format == "PNG":
        meta |= {"chunks": png.chunks_of(data), "kind": data[24:26]}
    if image.format == "WEBP":
        meta["lossless"] = b"VP8L" in _riff_chunks(data)
    return meta


def _subsampling(image):
    """Pillow's number of the subsampling of chrominance most like the image's."""
    sizes = [(across, down) for _, across, down, _ in image.layer]
    if len(sizes) < 3 or sizes[0][0] * sizes[0][1] <= sizes[1][0] * sizes[1][1]:
        return 0
    across, down = sizes[0][0] // sizes[1][0], sizes[0][1] // sizes[1][1]
    return 1 if (across, down) == (2, 1) else 2 if across * down >= 4 else 0


def _riff_chunks(data):
    """The names of a WebP file's chunks."""
    names, offset = [], 12
    while offset + 8 <= len(data):
        names.append(data[offset : offset + 4])
        size = int.from_bytes(data[offset + 4 : offset + 8], "little")
        offset += 8 + size + size % 2
    return names


# --- pixels ---------------------------------------------------------------------------------


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


# --- writing --------------------------------------------------------------------------------


def encoded(picture, path):
    """The bytes of a file; the errors are those of `difffilter.io.files.write`.

    Parameters
    ----------
    picture : Picture
    path : Path
        The file's name, whose suffix is that of the format.

    Returns
    -------
    bytes
    """
    suffix = path.suffix.lower()
    pixels = _checked(picture, path, suffix)
    meta = picture.meta
    if suffix == ".png":
        return _png(pixels, meta)
    if suffix in JPEG:
        return _jpeg(pixels, meta)
    if suffix == ".bmp":
        return _saved(_image(pixels, meta), "BMP", **_only(meta, "dpi"))
    return _lossy(pixels, meta, path)


def _checked(picture, path, suffix):
    """The pixels with alpha, if the format can hold them."""
    pixels = joined(picture)
    if len(pixels) + len(picture.others) != 1:
        count = len(pixels) + sum(len(other.pages) for other in picture.others)
        raise ValueError(f"{path}: {count} pages need a TIFF file; name the output .tif")
    pixels = pixels[0]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if picture.meta.get("developed") and suffix != ".png":  # the file itself had no such pixels
        pixels = np.rint(pixels / 257).astype(np.uint8)
    if pixels.dtype != np.uint8 and (suffix != ".png" or pixels.dtype != np.uint16):
        raise ValueError(
            f"{path}: {suffix} cannot hold {pixels.dtype} pixels; name the output .tif"
        )
    colours = picture.meta.get("colours")
    if colours and not (colours == "CMYK" and suffix in JPEG):
        better = ".jpg" if colours == "CMYK" else ".tif"
        raise ValueError(
            f"{path}: {suffix} cannot hold {colours} colours; name the output {better}"
        )
    if picture.alpha is not None and suffix in (*JPEG, ".bmp"):
        kind = "JPEG" if suffix in JPEG else "BMP"
        raise ValueError(f"{path}: {kind} has no alpha channel; name the output .png or .webp")
    channels = picture.pages.shape[-1] if picture.pages.ndim == 4 else 1
    if channels not in (1, 3) and not colours:
        raise ValueError(f"{path}: {suffix} cannot hold {channels} channels; name the output .tif")
    return pixels


def _image(pixels, meta):
    from PIL import Image

    if meta.get("colours") == "CMYK":  # Image.fromarray would take four channels for RGBA
        return Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes())
    return Image.fromarray(pixels)


def _saved(image, kind, **options):
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    return memory.getvalue()


def _only(meta, *keys):
    return {key: meta[key] for key in keys if key in meta}


def _png(pixels, meta):
    if pixels.dtype == np.uint16:
        import imagecodecs

        data = imagecodecs.png_encode(pixels)
    else:
        data = _saved(_image(pixels, meta), "PNG")
    if "chunks" in meta:
        return png.with_chunks(data, meta["chunks"], meta["kind"])
    return png.with_chunks(data, png.made_chunks(meta))


def _jpeg(pixels, meta):
    options = {"subsampling": meta.get("subsampling", 0), "optimize": True}
    if meta.get("progressive"):
        options["progressive"] = True
    if "quality" in meta or not meta.get("tables"):
        options["quality"] = meta.get("quality", 95)
    else:
        options["qtables"] = meta["tables"]
    data = _saved(_image(pixels, meta), "JPEG", **options)
    own = "segments" in meta
    segments = meta["segments"] if own else jpeg.made_segments(meta)
    return jpeg.with_segments(data, segments, meta["trailer"] if own else b"")


def _lossy(pixels, meta, path):
    """WebP, AVIF or HEIC, no larger than the file that was read if that was of the same kind."""
    kind = {".webp": "WEBP", ".avif": "AVIF"}.get(path.suffix.lower(), "HEIF")
    if kind == "HEIF":
        _prepare_heic(path, b"")
    options = _only(meta, "icc_profile", "exif", "xmp")
    if kind == "WEBP":
        options |= {"lossless": meta.get("lossless", True), "exact": True}
    image = _image(pixels, meta)
    same = meta.get("format") == kind and not options.get("lossless")
    for quality in [meta["quality"]] if "quality" in meta else QUALITIES:
        data = _saved(image, kind, quality=quality, **options)
        if not same or len(data) <= meta["bytes"]:
            break
    return data
