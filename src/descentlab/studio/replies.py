"""Replies: plain data with arrays set apart as buffers, and mathematics as trees a page can build safely."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from descentlab.report.data import as_data

Reply = tuple[dict[str, Any], list[bytes]]
# [tag, attributes, children]; a child is a tree or a text.
Tree = list[Any]

# dtype as the page reads it → NumPy's.
_DTYPES = {"f8": "<f8", "f4": "<f4", "i4": "<i4", "i2": "<i2", "u1": "u1"}


def reply(content: dict[str, Any], **arrays: tuple[str, Any]) -> Reply:
    """Return a reply; arrays: name=(dtype, values), dtype one of f8, f4, i4, i2, u1.

    >>> content, buffers = reply({"kind": "x"}, a=("f8", [1.0, 2.0]))
    >>> content, len(buffers[0])
    ({'kind': 'x', 'arrays': [['a', 'f8', [2]]]}, 16)
    """
    listed, buffers = [], []
    for name, (dtype, values) in arrays.items():
        array: NDArray[Any] = np.ascontiguousarray(values, dtype=_DTYPES[dtype])
        listed.append([name, dtype, list(array.shape)])
        buffers.append(array.tobytes())
    return {**as_data(content), "arrays": listed}, buffers


def tree(markup: str) -> Tree:
    """Return well-formed markup of our own making as [tag, attributes, children].

    >>> tree('<math><mi mathvariant="normal">x</mi> &lt; 2</math>')
    ['math', {}, [['mi', {'mathvariant': 'normal'}, ['x']], ' < 2']]
    """
    return _branch(ElementTree.fromstring(markup))


def _branch(element: ElementTree.Element) -> Tree:
    children: list[Any] = [element.text] if element.text else []
    for child in element:
        children.append(_branch(child))
        if child.tail:
            children.append(child.tail)
    return [element.tag, dict(element.attrib), children]
