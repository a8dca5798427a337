"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
holder: root
data: varying
why: an XML document gains an element with attributes and text at every slice: C objects under one root.
"""

import xml.etree.ElementTree as ElementTree

root = ElementTree.Element("log")


def consume(batch):
    entry = ElementTree.SubElement(root, "slice", rows=str(len(batch["text"])))
    entry.text = batch["text"][0][:200] + "."
