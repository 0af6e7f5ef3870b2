"""The YAML that settings are written in."""

from __future__ import annotations

import pytest

from optdet.errors import OptdetError
from optdet.settings_yaml import dump_yaml, parse_yaml, read_mapping


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E3", -2000.0),
        (".5e1", 5.0),
        ("1.e3", 1000.0),
        ("1_0e2", 1000.0),
        ("0.0004", 0.0004),
        ("22", 22),
        ("true", True),
        ("null", None),
        ("", None),
        ("none", "none"),
        ("'1e-4'", "1e-4"),
        ("e5", "e5"),
        ("1e5x", "1e5x"),
        ("2024-01-01", "2024-01-01"),
        ("~/weights.pth", "~/weights.pth"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_values(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"^f:3:1: not valid YAML: 'a' is given twice$"),
        ("x: {a: 1, a: 2}", r"^f:1:11: .*'a' is given twice$"),
        ("a: &n 1\nb: *n", r"^f:2:4: .*aliases \(\*name\) are not supported$"),
        ("a: &n [*n]", r"^f:1:8: .*aliases"),
        ("on: 1", r"^f:1:1: .*the key True is not text$"),
        ("? [1]\n: 2", r"^f:1:3: .*the key \[1\] is not text$"),
        ("a: !!set {x}", r"^f:1:4: .*constructor for the tag"),
        ("a: !!binary aGk=", r"^f:1:4: .*constructor for the tag"),
        ("a: !!python/object/apply:os.getcwd []", r"^f:1:4: .*constructor for the tag"),
        ("a: [1, 2", r"^f:1:9: not valid YAML: .*expected ',' or '\]'"),
        ("a: 1\n---\nb: 2", r"^f:2:1: .*expected a single document"),
        ("a: \x00", r"^f: not valid YAML: unacceptable character"),
        ("a: " + "9" * 5000, r"^f: not valid YAML: Exceeds the limit"),
        ("- " * 2000, r"^f: not valid YAML: maximum recursion depth"),
        ("a: " + "[" * 33, r"^f:1:36: not valid YAML: brackets are nested too deeply"),
        ("{" * 1000, r"^f:1:33: not valid YAML: brackets are nested too deeply"),
    ],
)
def test_what_is_refused_is_said_in_one_line(text, message):
    with pytest.raises(OptdetError, match=message) as caught:
        parse_yaml(text, "f")
    assert "\n" not in str(caught.value)


def test_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf# settings\r\ntrain:\r\n  epochs: 3\r\n")
    assert read_mapping(path) == {"train": {"epochs": 3}}
    path.write_text("")
    assert read_mapping(path) == {}


def test_files_that_are_no_settings(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("- a\n- b\n")
    with pytest.raises(OptdetError, match=r"mine.yaml: expected a mapping of settings at the top"):
        read_mapping(path)
    path.write_text("a: ü", encoding="latin-1")
    with pytest.raises(OptdetError, match=r"mine.yaml: not UTF-8 at byte 3; save it as UTF-8"):
        read_mapping(path)
    with pytest.raises(OptdetError, match=r"cannot be read: Is a directory"):
        read_mapping(tmp_path)
    with pytest.raises(OptdetError, match=r"mien.yaml: no such file; did you mean .*mine.yaml\?"):
        read_mapping(tmp_path / "mien.yaml")
    with pytest.raises(OptdetError, match=r"no such file$"):
        read_mapping(tmp_path / "nowhere" / "mine.yaml")


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "labels.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OptdetError, match=r"labels.yaml: larger than 1 MiB: not a settings file"):
        read_mapping(path)


def test_text_that_looks_like_something_else_reads_back_as_text():
    shared = [1, 2]
    tree = {
        "a": ["1e-4", "true", "null", "2024-01-01", "1", "ü: #", "x\ny", "\x85", "\u2028"],
        "b": 1e-05,
        "c": shared,
    }
    tree["d"] = shared
    text = dump_yaml(tree)
    assert parse_yaml(text, "text") == tree
    assert "&" not in text
