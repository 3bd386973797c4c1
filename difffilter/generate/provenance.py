"""Provenance metadata in files of generated pictures."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import difffilter

__all__ = ["COMPOSITE", "GENERATED", "provenance"]

# Digital source types of the IPTC: made by a trained model, and a picture with parts that were.
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = SOURCES + "trainedAlgorithmicMedia"
COMPOSITE = SOURCES + "compositeWithTrainedAlgorithmicMedia"

XMP = """<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmp:CreatorTool={tool} Iptc4xmpExt:DigitalSourceType={source}>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def provenance(source: str = GENERATED, **details: Any) -> dict[str, bytes]:
    """Metadata that tell a generated picture from a photograph.

    Parameters
    ----------
    source : str, default GENERATED
        A digital source type, `GENERATED` or `COMPOSITE`.
    **details
        What the picture was made with: prompt, model, seed and the like, as JSON has them; those that
        are ``None`` are left out.

    Returns
    -------
    dict of str to bytes
        ``xmp``, an XMP packet with the source type, and ``comment``, the details as JSON, as the
        metadata of a `difffilter.io.picture.Picture`.

    References
    ----------
    IPTC, "Photo metadata: digital source type", 2022.

    Examples
    --------
    >>> json.loads(provenance(prompt="a green frog", seed=1)["comment"])["prompt"]
    'a green frog'
    """
    tool = f"difffilter {difffilter.__version__}"
    given = {name: value for name, value in details.items() if value is not None}
    text = json.dumps({"software": tool, "source": source} | given, ensure_ascii=False)
    xmp = XMP.format(tool=quoteattr(tool), source=quoteattr(source), text=escape(text))
    return {"xmp": xmp.encode(), "comment": text.encode()}
