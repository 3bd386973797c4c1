"""Provenance metadata in files of generated pictures."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from difffilter import __version__
from difffilter.generate.provenance import COMPOSITE, GENERATED, provenance
from difffilter.io.files import read, write
from difffilter.io.picture import Picture

TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


def described(meta):
    """The one description of an XMP packet."""
    packet = meta["xmp"].decode().partition("?>")[2].rpartition("<?")[0]
    (description,) = ElementTree.fromstring(packet).iter(
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
    )
    return description


@pytest.mark.parametrize("source", [GENERATED, COMPOSITE])
def test_the_packet_names_the_source_type(source):
    description = described(provenance(source))
    assert description.get(TYPE) == source
    assert (
        description.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == f"difffilter {__version__}"
    )


def test_details_are_json_and_any_text_is_quoted():
    prompt = 'a "red" <heart> & a 心 ?> ]]>'
    meta = provenance(prompt=prompt, seed=3, guidance=None)
    details = json.loads(meta["comment"])
    assert details == {
        "software": f"difffilter {__version__}", "source": GENERATED, "prompt": prompt, "seed": 3,
    }  # fmt: skip
    assert json.loads("".join(described(meta).itertext())) == details


def test_a_tiff_file_keeps_it(tmp_path):
    meta = provenance(prompt="a red heart")
    write(tmp_path / "a.tif", Picture(np.zeros((1, 16, 16, 3), np.uint8), meta=dict(meta)))
    content = (tmp_path / "a.tif").read_bytes()
    assert meta["xmp"] in content
    assert meta["comment"] in content


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_files_keep_it(tmp_path, suffix):
    meta = provenance(prompt="a red heart")
    path = tmp_path / f"picture{suffix}"
    write(path, Picture(np.zeros((1, 16, 16, 3), np.uint8), meta=dict(meta)))
    found = read(path).meta
    assert described(found).get(TYPE) == GENERATED
    if suffix != ".webp":  # which has no comments
        assert json.loads(found["comment"])["prompt"] == "a red heart"
