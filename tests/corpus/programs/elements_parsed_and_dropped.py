"""
verdict: no-leak
data: varying
why: an XML document of a few hundred elements is parsed at every slice and dropped.
"""

import xml.etree.ElementTree as ElementTree


def consume(batch):
    text = (
        "<log>"
        + "".join(f"<row n='{i}'>{len(t)}</row>" for i, t in enumerate(batch["text"][:200]))
        + "</log>"
    )
    root = ElementTree.fromstring(text)
    assert len(root) > 0
