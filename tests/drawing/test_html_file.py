"""Pages that hold what they show."""

from __future__ import annotations

import base64
import gzip

import pytest

from optdet.drawing.html_file import packed_bytes, write_html
from optdet.errors import OptdetError


def test_packed_bytes_are_unpacked_and_the_same_each_time():
    packed = packed_bytes(b"abc" * 100)
    assert gzip.decompress(base64.b64decode(packed)) == b"abc" * 100
    assert packed == packed_bytes(b"abc" * 100)


def test_a_full_disk_leaves_the_former_page(tmp_path, small_disk):
    path = tmp_path / "new" / "a.html"
    assert write_html("<p>영</p>", path, what="the page") == len("<p>영</p>".encode())
    with small_disk(100), pytest.raises(OptdetError, match="the page cannot be written"):
        write_html("x" * 1000, path, what="the page")
    assert path.read_text() == "<p>영</p>"
