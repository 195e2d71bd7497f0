// Tables of the class "sortable" are sorted by a column when its heading is selected.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.querySelectorAll("thead th")];
    headings.forEach((heading, column) => {
      heading.tabIndex = 0;
      heading.addEventListener("click", () => sort(table, headings, column));
      heading.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          sort(table, headings, column);
        }
      });
    });
  }
});

function sort(table, headings, column) {
  const up = headings[column].getAttribute("aria-sort") !== "ascending";
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  const text = (row) => row.cells[column].textContent.trim();
  const number = (row) => parseFloat(text(row).replace(/[,%*]/g, ""));
  const rows = [...body.rows];
  const numeric = rows.some((row) => text(row)) &&
    rows.every((row) => !text(row) || /^[\d.,%* ]+$/.test(text(row)));
  rows.sort((a, b) => {
    if (!text(a) || !text(b)) return !text(a) - !text(b); // empty cells last
    const order = numeric ? number(a) - number(b) : text(a).localeCompare(text(b));
    return up ? order : -order;
  });
  body.append(...rows);
}
