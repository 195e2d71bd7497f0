"""Pages of HTML that need nothing else: style and figures are inside, and nothing is fetched.

Every text is escaped. What is written is also well-formed XML.
"""

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.files import write_text

MOST_ROWS = 40  # of a table on a page
STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --back: #ffffff;
  --panel: #f5f6f8; --line: #d0d7de; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --soft: #a4adb8; --back: #14171b;
  --panel: #1e2329; --line: #3a424c; --link: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
.page { max-width: 58rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 2.75rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p, li { max-width: 46rem; }
a { color: var(--link); }
a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.lead, figcaption, caption, footer { color: var(--soft); }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--back); padding: .5rem; }
figure { margin: 1rem 0; }
figure > svg, figure > img { display: block; width: 100%; max-width: 46rem; height: auto;
  background: #ffffff; border: 1px solid var(--line); border-radius: 4px; padding: .5rem; }
figcaption, caption { font-size: .9rem; text-align: left; max-width: 46rem; padding: .35rem 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.note { background: var(--panel); border-left: 4px solid var(--line); padding: .5rem 1rem;
  margin: .75rem 0; }
.note h3 { margin-top: .25rem; }
.note ul { margin: .25rem 0; padding-left: 1.2rem; }
.gallery { list-style: none; padding: 0; margin: .75rem 0; display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.gallery li { font-size: .8rem; line-height: 1.35; overflow-wrap: anywhere; }
.gallery div { display: flex; gap: .25rem; }
.gallery img { flex: 1; min-width: 0; height: 8.5rem; object-fit: contain; background: var(--panel); }
.gallery .pixels { image-rendering: pixelated; }
.gallery.pairs { grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .9em;
  overflow-wrap: anywhere; }
@media print { :root { --text: #000; --soft: #333; --back: #fff; --panel: #fff; --line: #999;
    --link: #000; }
  .page { max-width: none; padding: 0; } nav, .skip { display: none; }
  h2, h3 { break-after: avoid; } figure, .note, tr, .gallery li { break-inside: avoid; }
  .scroll { overflow: visible; } body { font-size: 10.5pt; } }
"""
# Nothing but what the page holds is ever loaded.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Page:
    """A page, filled from top to bottom.

    Args:
        title: string.
        lead: string, one sentence below it.
        language: string, as HTML's `lang`.
    """

    def __init__(self, title: str, lead: str = "", language: str = "en") -> None:
        self.title, self.lead, self.language = title, lead, language
        self._parts: list[str] = []
        self._index: list[tuple[str, str]] = []
        self._figures = 0

    def section(self, title: str, anchor: str) -> None:
        """Begins a section, which the index lists.

        Raises:
            InputError: for an anchor that is no identifier, or is taken.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", anchor) or anchor in dict(self._index):
            raise checks.InputError(
                "Expected an anchor of its own, of lower-case letters, digits and _. Received: "
                f"{anchor!r}. Choose another."
            )
        self._index.append((anchor, title))
        self._parts.append(f'<h2 id="{anchor}">{html.escape(title)}</h2>')

    def heading(self, text: str) -> None:
        """A heading within a section."""
        self._parts.append(f"<h3>{html.escape(text)}</h3>")

    def paragraph(self, text: str) -> None:
        """A paragraph; a part between backticks is shown as code."""
        self._parts.append(f"<p>{_mark(text)}</p>")

    def note(self, title: str, items: Iterable[str]) -> None:
        """A list under a title, set off from the text; nothing for no items."""
        rows = "".join(f"<li>{_mark(item)}</li>" for item in items)
        if rows:
            self._parts.append(
                f'<div class="note"><h3>{html.escape(title)}</h3><ul>{rows}</ul></div>'
            )

    def figure(self, image: str | bytes, caption: str) -> None:
        """A figure with its caption, which also describes it to those who do not see it.

        Args:
            image: an SVG as a string, or a PNG as bytes.
            caption: string.

        Raises:
            InputError: for anything else.
        """
        self._figures += 1
        if isinstance(image, str) and "<svg" in image:
            body = _inline(image, f"figure{self._figures}", caption)
        else:
            body = f'<img src="{_encode(image)}" alt="{html.escape(caption)}" />'
        self._parts.append(
            f"<figure>{body}<figcaption>Figure {self._figures}. {_mark(caption)}</figcaption></figure>"
        )

    def table(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str],
        caption: str,
        most: int | None = MOST_ROWS,
    ) -> None:
        """A table that scrolls where it is too wide.

        Args:
            rows: dicts with a value for each column; numbers are set to the right, None is empty, and
                text is marked as in `paragraph`.
            columns: list of strings.
            caption: string.
            most: optional int, rows to show; the caption tells how many there are.
        """
        shown = rows if most is None else rows[:most]
        if len(shown) < len(rows):
            caption += f" The first {len(shown)} of {len(rows):,} rows."
        numeric = {c: any(_is_number(row[c]) for row in shown) for c in columns}
        kinds = {c: ' class="number"' if numeric[c] else "" for c in columns}
        head = "".join(f'<th scope="col"{kinds[c]}>{html.escape(c)}</th>' for c in columns)
        body = "".join(
            "<tr>" + "".join(f"<td{kinds[c]}>{_show(row[c])}</td>" for c in columns) + "</tr>\n"
            for row in shown
        )
        label = html.escape(caption)
        self._parts.append(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
            f"<caption>{_mark(caption)}</caption><thead><tr>{head}</tr></thead>\n"
            f"<tbody>{body}</tbody></table></div>"
        )

    def gallery(self, items: Sequence[tuple[Sequence[bytes], Sequence[str]]], small: bool) -> None:
        """Pictures in rows, each with a few lines below it; nothing for no items.

        Args:
            items: list of pairs: one or more PNGs as bytes that belong together, and lines of text, which
                are marked as in `paragraph`; the first describes the pictures to those who do not see
                them.
            small: bool, whether the pictures have few pixels, which are then shown as they are.

        Raises:
            InputError: for what is no PNG.
        """
        if not items:
            return
        rows, kind = [], ' class="pixels"' if small else ""
        for images, lines in items:
            label = html.escape(lines[0].replace("`", ""))
            pictures = "".join(
                f'<img{kind} src="{_encode(image)}" alt="{label}" />' for image in images
            )
            texts = "<br />".join(_mark(line) for line in lines)
            rows.append(f"<li><div>{pictures}</div>{texts}</li>")
        pairs = " pairs" if max(len(images) for images, _ in items) > 1 else ""
        self._parts.append(f'<ul class="gallery{pairs}">{"".join(rows)}</ul>')

    def facts(self, pairs: Mapping[str, Any], caption: str) -> None:
        """A table of names and values."""
        rows = [{"what": name, "value": str(value)} for name, value in pairs.items()]
        self.table(rows, ("what", "value"), caption, most=None)

    def to_html(self) -> str:
        """The page."""
        title = html.escape(self.title)
        links = "".join(
            f'<li><a href="#{anchor}">{html.escape(text)}</a></li>' for anchor, text in self._index
        )
        index = f'<nav aria-label="Contents"><h3>Contents</h3><ol>{links}</ol></nav>'
        body = "\n".join(self._parts)
        return (
            f'<!DOCTYPE html>\n<html lang="{html.escape(self.language)}">\n<head>\n'
            '<meta charset="utf-8" />\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1" />\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />\n'
            f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            '<a class="skip" href="#content">Skip to the content</a>\n<div class="page">\n'
            f'<header><h1>{title}</h1><p class="lead">{_mark(self.lead)}</p></header>\n'
            f'{index if links else ""}\n<main id="content">\n{body}\n</main>\n</div>\n</body>\n</html>\n'
        )

    def write(self, path: str | Path) -> None:
        """Writes the page, aside first.

        Raises:
            InputError: if it cannot be written.
        """
        write_text(path, self.to_html())


def _encode(image):
    """A PNG as an address that holds it."""
    if not isinstance(image, bytes) or not image.startswith(b"\x89PNG"):
        raise checks.InputError(
            "Expected an SVG as text or a PNG as bytes. Received a "
            f"{type(image).__name__} of another kind. Draw the figure again."
        )
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def _mark(text):
    """A text as HTML; parts between backticks are code."""
    parts = [html.escape(part) for part in str(text).split("`")]
    if len(parts) % 2 == 0:  # a backtick without another
        return html.escape(str(text))
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _show(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else _mark(value)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _inline(svg, prefix, label):
    """An SVG to put into a page: without its prolog, and with identifiers of its own."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)
