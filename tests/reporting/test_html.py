import re
import xml.etree.ElementTree as ElementTree

import pytest

from keras_unrolled import InputError
from keras_unrolled.reporting.html import Page

SVG = (
    '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg xmlns="http://www.w3.org/2000/svg" '
    'xmlns:xlink="http://www.w3.org/1999/xlink"><metadata>by x</metadata>'
    '<defs><path id="p1" d="M0 0"/><clipPath id="c"/></defs>'
    '<use xlink:href="#p1" clip-path="url(#c)"/></svg>'
)


def read(page):
    return ElementTree.fromstring(page.to_html().split("\n", 1)[1])


def find(page, tag):
    return [e for e in read(page).iter() if e.tag.split("}")[-1] == tag]


@pytest.fixture
def page():
    page = Page("A & <b>", "lead `x < y`")
    page.section("One", "one")
    page.paragraph("it's <i>5</i> & `a <b>`")
    return page


def test_texts_are_escaped_and_backticks_mark_code(page):
    assert [e.text for e in find(page, "h1")] == ["A & <b>"]
    assert [e.text for e in find(page, "code")] == ["x < y", "a <b>"]
    assert "".join(find(page, "p")[1].itertext()) == "it's <i>5</i> & a <b>"
    page.paragraph("one ` alone")
    assert find(page, "p")[2].text == "one ` alone"


def test_index_links_to_every_section(page):
    page.section("Two", "two")
    links = [(e.get("href"), e.text) for e in find(page, "a")][1:]
    assert links == [("#one", "One"), ("#two", "Two")]
    assert [e.get("id") for e in find(page, "h2")] == ["one", "two"]


@pytest.mark.parametrize("anchor", ["one", "A", "", "a b"])
def test_anchor_that_is_taken_or_no_identifier_is_rejected(page, anchor):
    with pytest.raises(InputError, match="Expected an anchor of its own"):
        page.section("Again", anchor)


def test_two_figures_share_no_identifier(page):
    for _ in range(2):
        page.figure(SVG, 'a "caption"')
    root = read(page)
    names = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(names) == len(set(names))
    text = page.to_html()
    targets = re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert {a or b for a, b in targets} <= set(names)
    assert "metadata" not in text
    assert "<?xml" not in text
    labels = [e.get("aria-label") for e in root.iter() if e.get("role") == "img"]
    assert labels == ['a "caption"'] * 2


def test_png_is_embedded_with_its_caption_as_text(page):
    page.figure(b"\x89PNG1", "caption")
    (image,) = find(page, "img")
    assert image.get("src").startswith("data:image/png;base64,iVBORzE")
    assert image.get("alt") == "caption"


@pytest.mark.parametrize("image", [b"GIF8", "no figure", None])
def test_other_image_is_rejected(page, image):
    with pytest.raises(InputError, match="Expected an SVG as text or a PNG as bytes"):
        page.figure(image, "caption")


def test_long_table_is_cut_and_its_caption_says_so(page):
    rows = [{"name": f"`{i}`", "value": i / 3, "ok": i > 1, "none": None} for i in range(50)]
    page.table(rows, list(rows[0]), "Numbers.", most=3)
    assert find(page, "caption")[0].text == "Numbers. The first 3 of 50 rows."
    cells = [["".join(cell.itertext()) for cell in row] for row in find(page, "tr")]
    assert cells == [
        ["name", "value", "ok", "none"],
        ["0", "0", "no", ""],
        ["1", "0.3333", "no", ""],
        ["2", "0.6667", "yes", ""],
    ]
    classes = [cell.get("class") for cell in find(page, "tr")[1]]
    assert classes == [None, "number", None, None]


def test_notes_without_items_are_left_out(page):
    page.note("Empty", [])
    page.note("Full", ["a `b`"])
    assert "Empty" not in page.to_html()
    assert [e.text for e in find(page, "li")][-1] == "a "


def test_page_refers_to_nothing_outside_of_it(page, tmp_path):
    page.figure(SVG, "caption")
    page.facts({"a": 1}, "Facts.")
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert all(source.startswith(("#", "data:")) for source in sources)
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_gallery_shows_pictures_with_lines_that_describe_them(page):
    page.gallery([([b"\x89PNG1"], ["a `cat` & <b>", "second"])], small=True)
    (image,) = find(page, "img")
    assert (image.get("alt"), image.get("class")) == ("a cat & <b>", "pixels")
    assert image.get("src").startswith("data:image/png;base64,iVBORzE")
    assert "second" in "".join(find(page, "li")[-1].itertext())
    page.gallery([([b"\x89PNG1", b"\x89PNG2"], ["pair"])], small=False)
    assert [e.get("class") for e in find(page, "ul")] == ["gallery", "gallery pairs"]
    page.gallery([], small=False)
    assert len(find(page, "ul")) == 2
    with pytest.raises(InputError, match="Expected an SVG as text or a PNG as bytes"):
        page.gallery([(["<svg/>"], ["x"])], small=False)
