"""Reading what an ONNX file says of itself: any texts come back, and any bytes are survived."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper

from optdet.inference.onnx_metadata import read_properties

texts = st.text(st.characters(codec="utf-8"), max_size=20)


def read(content: bytes) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.onnx"
        path.write_bytes(content)
        return read_properties(path)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(texts, texts, max_size=4), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=20))
def test_any_properties_come_back(properties: dict[str, str], version: int, name: bytes) -> None:
    model = ModelProto(model_version=version, doc_string=name.hex())
    helper.set_model_props(model, properties)
    assert read(model.SerializeToString()) == properties


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_are_an_error(first: bytes, second: bytes) -> None:
    for content in (first, b"\x72" + bytes([len(second)]) + second + first):  # 0x72: the properties' field
        assert isinstance(read(content), dict)
