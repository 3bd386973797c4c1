"""Medical images: DICOM through pydicom, NIfTI through nibabel. Pixels change, and all else stays.

Values are those that the file stores, to which slope and intercept (of Hounsfield units, for instance) still
apply in the result.
"""

from __future__ import annotations

import gzip

import numpy as np

from difffilter.io.picture import Picture, check_size

__all__ = ["DICOM", "NIFTI", "SUFFIXES", "read_dicom", "read_nifti", "write_dicom", "write_nifti"]

DICOM = ".dcm"
NIFTI = (".nii", ".nii.gz")
SUFFIXES = (DICOM, *NIFTI)

# Key of the metadata for the file that a picture is of, which is copied with other pixels.
ORIGIN = "medical"

NOTE = "Smoothed by difffilter"


def read_dicom(path, max_pixels=None):
    """Read a DICOM file.

    Parameters
    ----------
    path : Path
    max_pixels : int, optional
        As for `difffilter.io.files.read`.

    Returns
    -------
    Picture
        A page for each frame. The metadata have the file and, if it tells, the spacing of rows and
        columns.

    Raises
    ------
    ValueError
        If pydicom is missing or cannot decode the file, it has no pixels, or its colours are indices.
    """
    pydicom = library("pydicom", path)
    dataset = pydicom.dcmread(path)
    if "Rows" not in dataset:
        raise ValueError(f"{path} has no pixels; expected a DICOM image")
    frames = int(dataset.get("NumberOfFrames") or 1)
    check_size(path, frames * dataset.Rows * dataset.Columns, max_pixels)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        raise ValueError(f"{path} has a palette; expected grey levels or colours")
    try:
        pages = dataset.pixel_array
    except RuntimeError as error:  # of what pydicom has no decoder for
        raise ValueError(f"{path} cannot be decoded: {' '.join(str(error).split())}") from None
    pages = pages if frames > 1 else pages[None]
    spacing = dataset.get("PixelSpacing")
    meta = {ORIGIN: path} | ({"spacing": tuple(map(float, spacing))} if spacing else {})
    axes = "Z" if frames > 1 else ""
    return Picture(np.ascontiguousarray(pages), None, axes, (frames,), meta)


def write_dicom(path, picture):
    """Write a copy of the DICOM file that was read with other pixels.

    It is marked as derived and has a new UID, as the standard asks for. Compressed files become
    uncompressed ones.

    Parameters
    ----------
    path : Path
    picture : Picture

    Raises
    ------
    ValueError
        If the picture is not of a DICOM file.
    """
    source = origin(picture, (DICOM,))
    pydicom = library("pydicom", source)
    dataset = pydicom.dcmread(source)
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    pages = picture.pages.clip(least, most)
    colours = "RGB" if pages.ndim == 4 else dataset.PhotometricInterpretation
    if not dataset.file_meta.TransferSyntaxUID.is_little_endian:
        raise ValueError(
            f"{source} has big-endian numbers, which DICOM has retired; expected little-endian ones: "
            "convert it, with dcmconv for instance"
        )
    dataset.set_pixel_data(pages if len(pages) > 1 else pages[0], colours, bits)
    kind = list(dataset.get("ImageType") or ["ORIGINAL", "PRIMARY"])
    dataset.ImageType = ["DERIVED", *kind[1:]]
    before = dataset.get("DerivationDescription")
    dataset.DerivationDescription = f"{before}; {NOTE}" if before else NOTE
    dataset.save_as(path, enforce_file_format=True)


def read_nifti(path, max_pixels=None):
    """Read a NIfTI file.

    Parameters
    ----------
    path : Path
        With the suffix .nii, or .nii.gz if it is compressed.
    max_pixels : int, optional
        As for `difffilter.io.files.read`.

    Returns
    -------
    Picture
        A page for each slice. The metadata have the file and the spacing of slices, rows and columns.

    Raises
    ------
    ValueError
        If nibabel is missing, the file is no single NIfTI file, or its values are no numbers on a line.
    """
    nibabel = library("nibabel", path)
    try:
        image = nibabel.load(path)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise ValueError(f"{path} is not a NIfTI file, or damaged: {error}") from None
    if not isinstance(image, nibabel.Nifti1Image):
        raise ValueError(f"{path} is a {type(image).__name__}; expected a NIfTI file")
    kind = image.get_data_dtype()
    if kind.kind not in "iuf" or len(image.shape) < 2:
        raise ValueError(
            f"{path} has {len(image.shape)} axes of {kind}; expected an image of numbers"
        )
    check_size(path, int(np.prod(image.shape)), max_pixels)
    stored = np.asarray(image.dataobj.get_unscaled()).T  # time, slices, rows and columns
    lead = stored.shape[:-2] or (1,)
    zooms = tuple(map(float, image.header.get_zooms()[:3][::-1]))
    pages = np.ascontiguousarray(stored.reshape(-1, *stored.shape[-2:]), kind.newbyteorder("="))
    axes = "SCTZ"[-len(lead) :] if stored.ndim > 2 else ""
    return Picture(pages, None, axes, lead, {ORIGIN: path, "spacing": zooms})


def write_nifti(path, picture):
    """Write a copy of the NIfTI file that was read with other pixels; its header stays to the bit.

    Parameters
    ----------
    path : Path
        Compressed if its name ends with .gz.
    picture : Picture

    Raises
    ------
    ValueError
        If the picture is not of a NIfTI file.
    """
    source = origin(picture, NIFTI)
    image = library("nibabel", source).load(source)
    with (gzip.open if source.name.lower().endswith(".gz") else open)(source, "rb") as file:
        head = file.read(int(image.dataobj.offset))
    pixels = picture.pages.astype(image.get_data_dtype()).tobytes()
    with open(path, "wb") as raw:
        if not path.name.lower().endswith(".gz"):
            raw.write(head + pixels)
            return
        # (Without name and time, so that the same pixels are the same bytes.)
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            file.write(head)
            file.write(pixels)


def origin(picture, suffixes):
    """The file of some kind that a picture is of."""
    source = picture.meta.get(ORIGIN)
    if source is None or not str(source).lower().endswith(suffixes):
        kind = " or ".join(suffixes)
        raise ValueError(f"the picture is not of a file with {kind}, whose copy this format needs")
    return source


def library(name, path):
    """The package that reads a file."""
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} needs {name}, which is not installed: pip install 'difffilter[medical]'"
        ) from None
