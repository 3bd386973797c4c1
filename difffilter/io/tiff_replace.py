"""Copies of TIFF files with other pixels: all else stays as it is, byte for byte.

The pixels of a page take the place of the old ones as far as they fit, and what does not fit is
appended. Only the tags that say how pixels are stored change.
"""

from __future__ import annotations

import io
import shutil
import struct

import numpy as np

from difffilter.io.jpeg import quality_of_stream
from difffilter.io.picture import joined
from difffilter.io.tiff import images_of, is_smaller_copy, opened
from difffilter.io.tiff_pixels import becomes_rgb, bits, stored

__all__ = ["CannotReplace", "replace_pixels"]

# Tags that say where pixels are and how they are packed, and which are written anew.
COMPRESSION, FILL_ORDER, T4_OPTIONS, PREDICTOR = 259, 266, 292, 317
OFFSETS, COUNTS = (273, 324), (279, 325)  # of strips, of tiles
PACKING = {COMPRESSION, FILL_ORDER, *OFFSETS, *COUNTS, T4_OPTIONS, PREDICTOR}

# Tags that change if palettes or YCbCr become RGB.
BITS, PHOTOMETRIC, SAMPLES, PLANAR, PALETTE, FORMAT = 258, 262, 277, 284, 320, 339
OF_KIND = {BITS, PHOTOMETRIC, SAMPLES, PLANAR, PALETTE, FORMAT}
OF_YCBCR = {529, 530, 531, 532}

# Tags that mean nothing once the pixels are packed in another way: of fax, and of JPEG.
OF_THE_OLD = {293, 326, 327, 328, 347, *range(512, 522)}

LOSSLESS = {1, 5, 8, 32773, 32946, 34925, 50000}
JPEG, DEFLATE = 7, 8

# Compressions of bitmaps, by Pillow's names.
FAX = {2: "tiff_ccitt", 3: "group3", 4: "group4"}


class CannotReplace(ValueError):
    """The structure of the file does not allow it."""


def replace_pixels(path, picture):
    """Write a copy of the picture's source with the picture's pixels.

    Thumbnails and the levels of pyramids are computed anew from the pixels.

    Parameters
    ----------
    path : Path
        The file to write.
    picture : Picture
        With the pages, sizes and dtypes of its source.

    Raises
    ------
    CannotReplace
        If that cannot be done; the file is then incomplete.
    """
    with opened(picture.source) as file:
        images = images_of(file)
        pictures = [picture, *picture.others]
        if len(images) != len(pictures) or file.is_ndpi:
            raise CannotReplace("the source has changed")
        arrays = [_of_source(p, i) for p, i in zip(pictures, images, strict=True)]
        new, raw = [], []
        for image, array in zip(images, arrays, strict=True):
            for series, part in zip(image.series, array, strict=True):
                (raw if _is_raw(file, series) else new).append((series, part))
        copies = [s for n, s in enumerate(file.series) if n and is_smaller_copy(s)]
        levels = _levels(new + raw, copies)
        shutil.copyfile(picture.source, path)
        with open(path, "r+b") as target:
            for series, part in raw:
                target.seek(series.dataoffset)
                target.write(part.astype(part.dtype.newbyteorder(file.byteorder)).data)
            _replace_pages(file, target, [*_pages(new), *levels])


def _of_source(picture, image):
    """The pixels of a picture in the order and the form in which the file stores them."""
    page = image.page
    pixels = stored(joined(picture), page)
    colours = pixels.shape[3:]
    lead = picture.lead if picture.axes else ()
    pixels = pixels.reshape((*lead, *pixels.shape[1:3], *colours))
    axes = image.axes
    if "S" in axes and not becomes_rgb(page):
        pixels = np.moveaxis(pixels, -1, axes.index("S"))
    shape = image.shape + (colours if becomes_rgb(page) and "S" not in axes else ())
    if not becomes_rgb(page) and (pixels.shape != shape or pixels.dtype != page.dtype):
        raise CannotReplace("the pixels have another shape or type")
    return pixels.reshape((len(image.series), *pixels.shape[len(image.series) > 1 :]))


def _is_raw(file, series):
    """Whether the pixels of all pages are one array in the file, which can be overwritten."""
    page = series.keyframe
    return (
        series.dataoffset is not None
        and page.is_contiguous
        and page.fillorder == 1
        and not becomes_rgb(page)
        and not file.is_ndpi
        and series.dataoffset + series.nbytes <= file.filehandle.size
    )


def _pages(parts):
    """Pairs of a page and its pixels."""
    for series, array in parts:
        pages = list(series.pages)
        own = array.shape[-3:] if becomes_rgb(series.keyframe) else series.keyframe.shape
        try:
            arrays = array.reshape((len(pages), *own))
        except ValueError:
            raise CannotReplace("a page has more than one plane") from None
        for page, pixels in zip(pages, arrays, strict=True):
            if page is not None:
                yield page.aspage(), pixels


# --- smaller copies -------------------------------------------------------------------------


def _levels(parts, copies):
    """Pairs of a page with a smaller copy of another page, and its pixels."""
    found = []
    pages = list(_pages(parts))
    for series, array in parts:
        for level in series.levels[1:]:
            own = list(_pages([(series, array)]))
            found += zip([p.aspage() for p in level.pages], [a for _, a in own], strict=False)
    inside = {sub.offset: a for page, a in pages for sub in page.pages or []}
    for series in copies:
        page = series.keyframe.aspage()
        before = [a for p, a in pages if p.offset != page.offset and p.index <= page.index]
        found.append((page, inside.get(page.offset, (before or [pages[0][1]])[-1])))
    return [
        (page, _shrunk(array, page))
        for page, array in found
        if _is_like(page, array)
    ]  # fmt: skip


def _is_like(page, array):
    """Whether a page may be a smaller copy of an array."""
    planar = page.planarconfig == 2 and page.samplesperpixel > 1
    if becomes_rgb(page) or array.ndim != len(page.shape) or array.dtype != page.dtype:
        return False
    if array.shape[-1] != page.shape[-1] and not planar and array.ndim == 3:
        return False
    height, width = array.shape[1:] if planar else array.shape[:2]
    return abs(height * page.imagewidth - width * page.imagelength) <= max(height, width)


def _shrunk(array, page):
    """The means of an array over the areas of a smaller page's pixels."""
    from skimage.transform import resize_local_mean

    planar = page.planarconfig == 2 and page.samplesperpixel > 1
    axis = (0 if planar else -1) if array.ndim == 3 else None
    size = page.imagelength, page.imagewidth
    means = resize_local_mean(
        array.astype(np.float64), size, channel_axis=axis, preserve_range=True
    )
    return (np.rint(means) if array.dtype.kind != "f" else means).astype(array.dtype)


# --- strips, tiles and tags -----------------------------------------------------------------


def _replace_pages(file, target, pages):
    space = _Space(file, [page for page, _ in pages])
    seen = set()
    for page, pixels in pages:
        if page.offset not in seen:  # several series may share a page
            seen.add(page.offset)
            _replace_page(file, target, space, page, pixels)
    space.clear(target)


def _replace_page(file, target, space, page, pixels):
    form = file.tiff
    segments, entries = _encoded(file, page, pixels)
    places = []
    for segment in segments:
        places.append(space.place(target, segment))
    entries[OFFSETS[page.is_tiled]] = places
    entries[COUNTS[page.is_tiled]] = [len(segment) for segment in segments]
    kind, letter = (16, "Q") if file.is_bigtiff else (4, "I")
    jpeg = entries[COMPRESSION] == _short(form, JPEG)
    rgb = becomes_rgb(page) and not jpeg
    anew = PACKING | OF_THE_OLD | (set() if jpeg else OF_YCBCR) | (OF_KIND if rgb else set())
    file.filehandle.seek(page.offset)
    head = form.byteorder + form.tagnoformat[-1]
    (count,) = struct.unpack(head, file.filehandle.read(form.tagnosize))
    old = file.filehandle.read(count * form.tagsize)
    after = file.filehandle.read(form.offsetsize)
    written, had = [], set()  # a tag may occur twice
    for k in range(count):
        entry = old[k * form.tagsize : (k + 1) * form.tagsize]
        (code,) = struct.unpack(form.byteorder + "H", entry[:2])
        had.add(code)
        if code not in anew and code > 0:  # (some programs fill directories with zeros)
            written.append((code, entry))
    if rgb:
        entries[PHOTOMETRIC] = _short(form, 2)
    needed = (
        had | {*OFFSETS, *COUNTS, COMPRESSION} | ({BITS, PHOTOMETRIC, SAMPLES} if rgb else set())
    )
    for code, entry in entries.items():
        if code in anew & needed:
            written.append((code, _entry(form, target, space, code, entry, kind, letter)))
    if len(written) > count:
        raise CannotReplace("its directories are too small")
    written.sort(key=lambda pair: pair[0])
    body = struct.pack(head, len(written)) + b"".join(entry for _, entry in written)
    body += after + bytes((count - len(written)) * form.tagsize)
    target.seek(page.offset)
    target.write(body)


def _short(form, value):
    return 3, 1, struct.pack(form.byteorder + "H", value)


def _entry(form, target, space, code, value, kind, letter):
    """The entry of a tag in a directory; long values are written elsewhere."""
    if isinstance(value, tuple):
        dtype, count, packed = value
    else:
        dtype, count = kind, len(value)
        packed = struct.pack(f"{form.byteorder}{count}{letter}", *value)
    if len(packed) > form.offsetsize:
        place = space.place(target, packed)
        packed = struct.pack(form.byteorder + letter, place)
    return struct.pack(f"{form.byteorder}HH{letter}", code, dtype, count) + packed.ljust(
        form.offsetsize, b"\0"
    )


def _encoded(file, page, pixels):
    """The strips or tiles of a page, encoded as in the source, and the tags that say how."""
    import tifffile

    if page.imagedepth > 1:
        raise CannotReplace("a page has more than one plane")
    memory = io.BytesIO()
    if page.compression in FAX and pixels.dtype == np.bool_ and not page.is_tiled:
        from PIL import Image

        rows = {278: max(1, min(page.rowsperstrip, page.imagelength))}
        image = Image.fromarray(pixels)
        image.save(memory, "TIFF", compression=FAX[page.compression], tiffinfo=rows)
    else:
        # (tifffile packs bits correctly in one byte order only, and packed they have none.)
        order = "<" if bits(page) else file.byteorder
        tifffile.imwrite(
            memory, pixels, byteorder=order, bigtiff=file.is_bigtiff, metadata=None,
            software=False, **_form(file, page),
        )  # fmt: skip
    memory.seek(0)
    with tifffile.TiffFile(memory) as made:
        if len(made.pages) != 1:
            raise CannotReplace("a page has more than one plane")
        first, handle = made.pages[0], made.filehandle
        segments = []
        for offset, count in zip(first.dataoffsets, first.databytecounts, strict=True):
            handle.seek(offset)
            segments.append(handle.read(count))
        entries = {PREDICTOR: _short(file.tiff, 1), FILL_ORDER: _short(file.tiff, 1)}
        for tag in first.tags:
            if tag.code in (PACKING | OF_KIND) - {*OFFSETS, *COUNTS}:
                dtype, letter = (3, "H") if tag.dtype == 3 else (4, "I")
                values = tag.value if isinstance(tag.value, tuple) else (int(tag.value),)
                packed = struct.pack(f"{file.byteorder}{len(values)}{letter}", *values)
                entries[tag.code] = dtype, len(values), packed
    return segments, entries


def _form(file, page):
    """The options of `tifffile.imwrite` for a page like this one."""
    rgb = becomes_rgb(page)
    few = None if rgb else bits(page)
    options = {"photometric": "minisblack", "compression": page.compression}
    if page.is_tiled:
        options["tile"] = (page.tilelength, page.tilewidth)
    else:
        options["rowsperstrip"] = max(1, min(page.rowsperstrip, page.imagelength))
    if rgb or page.samplesperpixel > 1:
        planar = page.planarconfig == 2 and not rgb
        options["planarconfig"] = "separate" if planar else "contig"
    if few:
        options |= {"compression": 1, "bitspersample": few}
    elif page.compression not in LOSSLESS:
        options |= _jpeg(file, page) or {"compression": DEFLATE}
    elif page.compression != 1 and page.predictor != 1:
        options["predictor"] = 3 if np.dtype(page.dtype).kind == "f" else page.predictor
    return options


def _jpeg(file, page):
    """The options for a page compressed as JPEG with the quality of this one; None if another."""
    colours = {1: "minisblack", 2: "rgb", 6: "rgb"}.get(page.photometric)
    samples = 1 if page.photometric == 1 else 3
    if page.compression != JPEG or page.bitspersample != 8 or page.samplesperpixel != samples:
        return None
    if colours is None or page.planarconfig != 1 or not page.dataoffsets:
        return None
    file.filehandle.seek(page.dataoffsets[0])
    first = file.filehandle.read(page.databytecounts[0])
    quality = quality_of_stream(first, page.jpegtables)
    how = {"level": quality} | ({"outcolorspace": page.photometric} if samples == 3 else {})
    options = {"photometric": colours, "compressionargs": how}
    if page.photometric == 6:
        options["subsampling"] = page.subsampling
    return options if quality else None


class _Space:
    """The space in a file that the pixels of some pages leave.

    Parameters
    ----------
    file : tifffile.TiffFile
    pages : list of tifffile.TiffPage
        The pages whose pixels are replaced.
    """

    def __init__(self, file, pages):
        self._end = file.filehandle.size
        own = {
            (offset, offset + count)
            for page in pages
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
            if offset > 0 and count > 0 and offset + count <= self._end
        }
        self._free = []
        for begin, end in sorted(own):
            if self._free and begin < self._free[-1][1]:
                self._free = []  # strips overlap: nothing is known to be free
                return
            if self._free and begin == self._free[-1][1]:
                self._free[-1][1] = end
            else:
                self._free.append([begin, end])
        if any(begin < stop and start < end for start, stop in _used(file, own)
               for begin, end in self._free):  # fmt: skip
            self._free = []
        elif self._free and self._free[-1][1] == self._end:
            self._end = self._free.pop()[0]

    def place(self, target, data):
        """Write data where there is space, and return its position."""
        for extent in self._free:
            begin = extent[0] + extent[0] % 2
            if begin + len(data) <= extent[1]:
                extent[0] = begin + len(data)
                break
        else:
            begin = self._end + self._end % 2
            self._end = begin + len(data)
        target.seek(begin)
        target.write(data)
        return begin

    def clear(self, target):
        """Overwrite the space that is left, so that nothing of the old pixels remains."""
        for begin, end in self._free:
            target.seek(begin)
            target.write(bytes(end - begin))
        target.truncate(self._end)


def _used(file, own):
    """The parts of a file that directories, values of tags and the pixels of other pages take."""
    form = file.tiff
    todo = list(file.pages)
    while todo:
        page = todo.pop().aspage()
        yield page.offset, page.offset + form.tagnosize + len(page.tags) * form.tagsize
        for tag in page.tags:
            yield tag.valueoffset, tag.valueoffset + tag.valuebytecount
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            if (offset, offset + count) not in own:
                yield offset, offset + count
        todo += page.pages or []
