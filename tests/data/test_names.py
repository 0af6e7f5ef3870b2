import unicodedata

import pytest

from optdet.data.names import NameIndex, file_stem, is_image_name, leaves_folder, match_names, stem


def test_a_name_is_found_in_either_normal_form() -> None:
    nfd = unicodedata.normalize("NFD", "영수증.jpg")
    assert NameIndex([nfd]).find("영수증.jpg") == nfd
    assert NameIndex(["영수증.jpg"]).find(nfd) == "영수증.jpg"


def test_leading_folders_are_optional_on_both_sides() -> None:
    assert NameIndex(["1.jpg"]).find("train/images/1.jpg") == "1.jpg"
    assert NameIndex(["a/1.jpg", "1.jpg"]).find("x/a/1.jpg") == "a/1.jpg"
    assert NameIndex(["images/1.jpg"]).find("1.jpg") == "images/1.jpg"
    assert NameIndex(["1.jpg"]).find("./1.jpg") == "1.jpg"


def test_names_agree_by_as_many_last_parts_as_they_share() -> None:
    index = NameIndex(["images/a/1.jpg", "images/b/1.jpg"])
    assert index.find("b/1.jpg") == "images/b/1.jpg"
    assert index.find("1.jpg") is None


def test_two_labels_that_resemble_one_file_are_both_refused() -> None:
    matches = match_names(["1.jpg", "2.jpg"], ["a/1.jpg", "b/1.jpg", "2.jpg", "x/2.jpg"])
    assert matches.found == {"2.jpg": "2.jpg"}
    assert [name for name, _ in matches.refused] == ["a/1.jpg", "b/1.jpg", "x/2.jpg"]


def test_what_fits_two_files_finds_neither() -> None:
    assert NameIndex(["a/1.jpg", "b/1.jpg"]).find("1.jpg") is None
    assert NameIndex(["1.jpg", "1.png"], by_stem=True).find("1") is None
    assert NameIndex(["1.jpg", "1.png"], by_stem=True).find("1.png") == "1.png"


def test_extensions_count_unless_stems_are_asked_for() -> None:
    assert NameIndex(["1.jpg"]).find("1") is None
    assert NameIndex(["1.jpg"]).find("1.png") is None
    assert NameIndex(["1.jpg"], by_stem=True).find("1") == "1.jpg"
    assert NameIndex(["1"], by_stem=True).find("1.jpg") == "1"
    assert NameIndex(["page.v2.JPG"], by_stem=True).find("page.v2") == "page.v2.JPG"
    assert NameIndex(["page.v2.jpg"], by_stem=True).find("page") is None


@pytest.mark.parametrize(
    ("name", "expected"), [("a.JPG", "a"), ("a.b.tiff", "a.b"), ("a.v2", "a.v2"), ("a", "a")]
)
def test_only_image_extensions_are_cut_off(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_hidden_files_are_no_images() -> None:
    assert is_image_name("a.JPeG")
    assert not is_image_name(".a.jpg")
    assert not is_image_name("x/._a.jpg")
    assert not is_image_name("a.gif")


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "a\\..\\b", "/a", "\\a", "c:/a", "//host/a"])
def test_climbing_and_absolute_names_leave_the_folder(name: str) -> None:
    assert leaves_folder(name)


@pytest.mark.parametrize("name", ["a", "a/b", "..a", "a..", "a/...b", "~a", "a b"])
def test_other_names_stay(name: str) -> None:
    assert not leaves_folder(name)


def test_a_name_as_part_of_another_files_name() -> None:
    assert file_stem("a b/page.v2 (1).JPG") == "page_v2__1_"
    assert file_stem("가게-1.png") == "가게-1"
    assert file_stem("../" + "x" * 99) == "x" * 60


def test_a_name_that_fits_two_files_is_refused_not_missing() -> None:
    matches = match_names(["003.jpg", "003.png", "4.jpg"], ["003", "4", "5"], by_stem=True)
    assert matches.found == {"4.jpg": "4"}
    assert matches.refused == [("003", "003 could be any of several images (none is taken)")]
    assert matches.missing == ["5"]
