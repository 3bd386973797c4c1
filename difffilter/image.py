"""What an image is: dtype, range, channel axis; reading and writing files."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["Picture", "as_float", "like", "read", "write"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


# --- arrays ---------------------------------------------------------------------------------


def as_float(image, channel_axis=None, *, name="image", axes=(2, 3)):
    """The image as floating point, checked.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, of any real or boolean dtype, or either of them with one more
        axis of channels. Integers are scaled so that their full range becomes [0, 1] (signed
        ones: [-1, 1]); floats are taken as they are.
    channel_axis : int, optional
        The axis of the channels; ``None`` means that there is none.
    name : str
        What to call the array in messages.
    axes : tuple of int, optional
        How many axes it may have besides the channels; ``None``: any number from 1.

    Returns
    -------
    ndarray
        float64 for float64, float32 for everything else. It may share memory with ``image``.

    Raises
    ------
    TypeError
        If the dtype is not real.
    ValueError
        If the array is empty, has another number of axes, or holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> as_float(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """
    image = np.asarray(image)
    if image.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers; got dtype {image.dtype}")
    if channel_axis is not None and not -image.ndim <= channel_axis < image.ndim:
        raise ValueError(f"channel_axis={channel_axis} is outside {name} of {image.ndim} axes")
    spatial = image.ndim - (channel_axis is not None)
    if spatial < 1 or (axes is not None and spatial not in axes):
        accepted = "at least 1 axis" if axes is None else " or ".join(map(str, axes)) + " axes"
        hint = "; if one holds colours, say which: channel_axis=-1" if image.ndim == 4 else ""
        raise ValueError(
            f"{name} must have {accepted} besides channels; got shape {image.shape} "
            f"with channel_axis={channel_axis}{hint}"
        )
    if image.size == 0:
        raise ValueError(f"{name} is empty: its shape is {image.shape}")
    kind = image.dtype.kind
    if kind == "f":
        result = image if image.dtype == np.float64 else image.astype(np.float32, copy=False)
        # A sum is not finite when an element is not, and costs no temporary; it may also overflow.
        with np.errstate(all="ignore"):
            finite = np.isfinite(result.sum()) or np.isfinite(result).all()
        if not finite:
            bad = int(np.size(result) - np.count_nonzero(np.isfinite(result)))
            raise ValueError(
                f"{name} has {bad} pixels that are NaN or infinite; "
                "replace them, or exclude them with a mask after filling them with a number"
            )
        return result
    if kind == "b":
        return image.astype(np.float32)
    # The division is done in float64 so that the largest value becomes exactly 1.
    return (image / np.float64(np.iinfo(image.dtype).max)).astype(np.float32)


def like(result, original):
    """Bring a float image back to the dtype of the image that it was made from.

    Parameters
    ----------
    result : ndarray
        Floating point, in the units that `as_float` gives.
    original : ndarray
        The array whose dtype is wanted.

    Returns
    -------
    ndarray
        Integers are clipped to their range and rounded.

    Examples
    --------
    >>> import numpy as np
    >>> like(np.array([-0.1, 0.5, 2.0]), np.zeros(3, np.uint8))
    array([  0, 128, 255], dtype=uint8)
    """
    dtype = np.asarray(original).dtype
    if dtype.kind == "f":
        return result.astype(dtype, copy=False)
    if dtype.kind == "b":
        return result >= 0.5
    limits = np.iinfo(dtype)
    # float64 holds every integer up to 32 bits; the upper limit of 64 bits is rounded down to it.
    top = float(limits.max) if limits.bits < 64 else np.nextafter(float(limits.max), 0)
    return np.clip(np.rint(result * np.float64(limits.max)), limits.min, top).astype(dtype)


# --- files ----------------------------------------------------------------------------------


@dataclass
class Picture:
    """An image file's content.

    Attributes
    ----------
    pages : ndarray
        ``(N, H, W)`` or ``(N, H, W, C)``, in the file's dtype; N is 1 but for multi-page TIFF.
        Palettes are resolved to colours.
    alpha : ndarray or None
        ``(N, H, W)``, in the file's dtype; no filter touches it.
    axes : str
        What the leading axes of a TIFF are, in tifffile's letters.
    lead : tuple of int
        The lengths of those axes; their product is N.
    meta : dict
        What else the file carries: ICC profile, EXIF, resolution, compression.
    """

    pages: np.ndarray
    alpha: np.ndarray | None = None
    axes: str = ""
    lead: tuple[int, ...] = ()
    meta: dict = field(default_factory=dict)

    @property
    def channel_axis(self):
        """-1 for colour, None for grey: of one page and of a volume alike."""
        return -1 if self.pages.ndim == 4 else None

    def volumes(self):
        """The pages as stacks ``(D, H, W[, C])``: along Z if there is such an axis, else the last."""
        stacked = self.pages.reshape(self.lead + self.pages.shape[1:])
        depth = self.axes.index("Z") if "Z" in self.axes else len(self.lead) - 1
        stacked = np.moveaxis(stacked, depth, len(self.lead) - 1)
        return stacked.reshape((-1, self.lead[depth], *self.pages.shape[1:]))

    def with_volumes(self, volumes):
        """A picture like this one with the pages of other volumes, in the order of `volumes`."""
        depth = self.axes.index("Z") if "Z" in self.axes else len(self.lead) - 1
        others = self.lead[:depth] + self.lead[depth + 1 :]
        stacked = volumes.reshape((*others, self.lead[depth], *self.pages.shape[1:]))
        stacked = np.moveaxis(stacked, len(self.lead) - 1, depth)
        return self.with_pages(stacked.reshape(self.pages.shape))

    def with_pages(self, pages):
        """A picture like this one with other pixels of the same dtype."""
        return Picture(pages, self.alpha, self.axes, self.lead, self.meta)


def read(path):
    """Read an image file.

    Parameters
    ----------
    path : path-like
        A PNG, JPEG, WebP or TIFF file; the content decides, not the name.

    Returns
    -------
    Picture

    Raises
    ------
    OSError
        If there is no such file or it may not be read.
    ValueError
        If the file is no image, is damaged, or is of a kind that is not supported.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(32)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes)")
    try:
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _read_tiff(path)
        return _read_pillow(path, head)
    except (OSError, ValueError):
        raise
    except Exception as error:  # decoders raise what they like on a damaged file
        raise ValueError(f"{path} is damaged: {error}") from error


def write(path, picture):
    """Write an image file, whole or not at all.

    Parameters
    ----------
    path : path-like
        The format follows from the suffix: .png, .jpg, .jpeg, .webp, .tif or .tiff.
    picture : Picture
        What to write. What the format cannot hold (16 bits or alpha in JPEG, pages outside TIFF)
        is an error.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    ValueError
        If the suffix is unknown or the format cannot hold the picture.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; use one of {', '.join(SUFFIXES)}")
    with replacing(path) as temporary:
        if suffix in (".tif", ".tiff"):
            _write_tiff(temporary, picture)
        else:
            _write_pillow(temporary, picture, path)


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place when the block ends well."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.stem[:100]}.", suffix=path.suffix, dir=path.parent
        )
    except OSError as error:
        raise type(error)(f"cannot write in the folder {path.parent}: {error.strerror}") from error
    os.close(handle)
    try:
        yield Path(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp's files are for the owner's eyes alone
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# --- PNG, JPEG, WebP ------------------------------------------------------------------------


def _read_pillow(path, head):
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(
            f"{path} is not an image that can be read (PNG, JPEG, WebP, TIFF)"
        ) from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is refused: {error}") from None
    except OSError as error:
        raise ValueError(f"{path} is damaged or truncated: {error}") from None
    with image:
        if image.format not in ("PNG", "JPEG", "MPO", "WEBP"):
            raise ValueError(f"{path} is a {image.format} file; PNG, JPEG, WebP and TIFF are read")
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
        if image.format == "WEBP":
            meta["lossless"] = b"VP8L" in _riff_chunks(path.read_bytes())
        if image.format == "PNG" and head[24] == 16:
            pixels = _read_png16(path)
        else:
            pixels = np.asarray(_plain_mode(image))
    return _split_alpha(pixels[None], meta)


def _riff_chunks(data):
    """The names of a WebP file's chunks."""
    names, place = [], 12
    while place + 8 <= len(data):
        names.append(data[place : place + 4])
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return names


def _plain_mode(image):
    """Resolve bitmaps, palettes and transparent colours to L, LA, RGB, RGBA or CMYK."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        clear = "transparency" in image.info
        image = image.convert("RGBA" if clear else "RGB")
        red, green, blue = (np.asarray(image.getchannel(c)) for c in "RGB")
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return image.convert("LA" if clear else "L")
        return image
    if "transparency" in image.info and image.mode in ("L", "RGB"):
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        raise ValueError(f"pixels of mode {image.mode} are not supported; convert to grey or RGB")
    return image


def _read_png16(path):
    """16-bit PNG by imagecodecs: Pillow would drop the low byte of colours."""
    import imagecodecs

    return imagecodecs.png_decode(path.read_bytes())


def _split_alpha(pages, meta, axes="", lead=(1,), alpha=None):
    if alpha is None:
        alpha = pages.ndim == 4 and pages.shape[-1] in (2, 4) and not meta.get("cmyk")
    if alpha:
        colour, alpha = pages[..., :-1], pages[..., -1]
        if colour.shape[-1] == 1:
            colour = colour[..., 0]
        return Picture(np.ascontiguousarray(colour), np.ascontiguousarray(alpha), axes, lead, meta)
    return Picture(pages, None, axes, lead, meta)


def _joined(picture):
    """Colours and alpha in one array again."""
    if picture.alpha is None:
        return picture.pages
    pages = picture.pages if picture.pages.ndim == 4 else picture.pages[..., None]
    return np.concatenate([pages, picture.alpha[..., None]], axis=-1)


def _write_pillow(temporary, picture, path):
    from PIL import Image

    suffix = path.suffix.lower()
    pixels = _joined(picture)
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
    options = {k: picture.meta[k] for k in ("icc_profile", "exif") if k in picture.meta}
    if suffix in (".jpg", ".jpeg"):
        options |= {"quality": 95, "subsampling": max(picture.meta.get("subsampling", 0), 0)}
    if suffix == ".webp":
        options |= {"quality": 95, "lossless": picture.meta.get("lossless", True), "exact": True}
    elif "dpi" in picture.meta:
        options["dpi"] = picture.meta["dpi"]
    Image.fromarray(pixels).save(temporary, **options)


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


# --- TIFF -----------------------------------------------------------------------------------

# Tags carried over as they stand: what was photographed, by what, when, by whom.
_TEXT_TAGS = (269, 271, 272, 274, 285, 305, 306, 315, 316, 33432)
_SUB_FILES = {34665: "exif", 34853: "gps"}


def _read_tiff(path):
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    with file:
        if not file.series:
            raise ValueError(f"{path} is damaged: it holds no image")
        series = file.series[0]
        page = series.pages[0]
        if any(
            (s.shape, s.dtype, s.axes) != (series.shape, series.dtype, series.axes)
            for s in file.series
        ):
            raise ValueError(
                f"{path} holds {len(file.series)} images of different sizes or kinds; split it first"
            )
        try:
            pixels = np.stack([s.asarray() for s in file.series])
        except Exception as error:
            raise ValueError(f"{path} is damaged or truncated: {error}") from None
        axes = "I" + series.axes
        if len(pixels) == 1:
            pixels, axes = pixels[0], series.axes
        if pixels.dtype.kind not in "buif":
            raise ValueError(f"{path} holds {pixels.dtype} pixels; real numbers are supported")
        samples = "S" in axes
        if samples and axes.index("S") < axes.index("Y"):  # planes stored one after another
            pixels = np.moveaxis(pixels, axes.index("S"), -1)
            axes = axes.replace("S", "") + "S"
        lead_axes = axes.removesuffix("S").removesuffix("YX")
        if len(axes) != len(lead_axes) + 2 + samples:
            raise ValueError(f"{path} has axes {axes}; Y and X must come last")
        lead = pixels.shape[: len(lead_axes)]
        if page.photometric == 3 and page.colormap is not None:
            colours = (page.colormap >> 8).astype(np.uint8)  # 16 bits by the format's decree
            pixels, samples = np.moveaxis(colours[:, pixels], 0, -1), True
        meta = _tiff_meta(file, page)
        alpha = samples and len(page.extrasamples) == 1 and pixels.shape[-1] in (2, 4)
        pages = pixels.reshape((-1, *pixels.shape[len(lead_axes) :]))
    return _split_alpha(pages, meta, lead_axes, lead or (1,), alpha=alpha)


def _tiff_meta(file, page):
    meta = {"tags": [], "byteorder": file.byteorder}
    for code in _TEXT_TAGS:
        if code in page.tags:
            tag = page.tags[code]
            meta["tags"].append((code, int(tag.dtype), tag.count, tag.value, True))
    if 34675 in page.tags:
        meta["icc_profile"] = bytes(page.tags[34675].value)
    if 282 in page.tags and 283 in page.tags:
        unit = page.tags[296].value if 296 in page.tags else 2
        meta["resolution"] = (page.tags[282].value, page.tags[283].value, int(unit))
    if page.compression in (5, 8, 32773, 32946, 34925, 50000):  # lossless: LZW, Deflate, ...
        meta["compression"] = int(page.compression)
    elif page.compression != 1:
        meta["compression"] = 8
    if page.is_tiled:
        meta["tile"] = (page.tilelength, page.tilewidth)
    if file.is_imagej:
        meta["imagej"] = dict(file.imagej_metadata or {})
    elif file.is_ome:
        meta["ome"] = _ome_scale(file.ome_metadata)
    elif page.description and not page.description.startswith('{"shape"'):
        meta["description"] = page.description
    meta |= _read_sub_files(file, page)
    return meta


def _ome_scale(xml):
    """The physical size of a pixel, which is what a filter's user needs back."""
    from xml.etree import ElementTree

    for node in ElementTree.fromstring(xml).iter():
        if node.tag.endswith("}Pixels"):
            return {k: v for k, v in node.attrib.items() if k.startswith("PhysicalSize")}
    return {}


def _read_sub_files(file, page):
    """The EXIF and GPS directories, in Pillow's form, which can be written again."""
    found = {}
    for code, name in _SUB_FILES.items():
        if code in page.tags and not file.is_bigtiff:
            tag = page.tags[code]
            file.filehandle.seek(tag.valueoffset)  # of the directory itself
            directory = _tiff_directory(file.byteorder)
            directory.load(file.filehandle)
            found[name] = dict(directory), dict(directory.tagtype)
    return found


def _tiff_directory(byteorder):
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    start = b"II*\0\x08\0\0\0" if byteorder == "<" else b"MM\0*\0\0\0\x08"
    return ImageFileDirectory_v2(start)


def _write_tiff(temporary, picture):
    import tifffile

    meta = picture.meta
    pixels = _joined(picture)
    samples = pixels.ndim == 4
    colours = pixels.shape[-1] - (picture.alpha is not None) if samples else 1
    axes = picture.axes + "YX" + "S" * samples
    pixels = pixels.reshape((picture.lead if picture.axes else ()) + pixels.shape[1:])
    tags = list(meta.get("tags", []))
    sub_files = {code: meta[name] for code, name in _SUB_FILES.items() if name in meta}
    # tifffile does not write pointers to directories: the code below keeps the place for one.
    tags += [(code - 1, 4, 1, 0, True) for code in sub_files]
    options = {
        "photometric": "rgb" if colours == 3 else "minisblack",
        "iccprofile": meta.get("icc_profile"),
        "compression": meta.get("compression"),
        "tile": meta.get("tile"),
        "description": meta.get("description"),
        "extratags": tags,
        "software": False,
    }
    if picture.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    if samples:
        options["planarconfig"] = "contig"
    if "resolution" in meta:
        *options["resolution"], options["resolutionunit"] = meta["resolution"]
    kind, metadata = {}, {"axes": axes} if picture.axes else None
    if "imagej" in meta:
        kind = {"imagej": True}
        keep = {k: v for k, v in meta["imagej"].items() if k not in ("ImageJ", "axes", "shape")}
        metadata = keep | {"axes": axes}
        options |= {"compression": None, "tile": None}
        tags[:] = [tag for tag in tags if tag[0] != 305]
    elif "ome" in meta:
        kind = {"ome": True}
        metadata = {"axes": axes} | meta["ome"]
    with tifffile.TiffWriter(
        temporary, byteorder=meta.get("byteorder"), bigtiff=pixels.nbytes > 2**32 - 2**25, **kind
    ) as writer:
        options = {key: value for key, value in options.items() if value is not None}
        writer.write(pixels, metadata=metadata, **options)
    for code, (values, types) in sub_files.items():
        _append_sub_file(temporary, code, values, types)


def _append_sub_file(path, code, values, types):
    """Put an EXIF or GPS directory at the end of a TIFF file and point the tag there."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        order = "little" if file.byteorder == "<" else "big"
        tag = file.pages[0].tags[code - 1]
        directory = _tiff_directory(file.byteorder)
    directory.tagtype.update(types)
    for number, value in values.items():
        directory[number] = value
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.write(b"\0" * (end % 2))
        start = file.tell()
        file.write(directory.tobytes(start))
        file.seek(tag.offset)
        file.write(code.to_bytes(2, order))
        file.seek(tag.valueoffset)
        file.write(start.to_bytes(4, order))
