// The comparison table: sorted by any column, filtered, copied as it stands. A template of the user's may leave it out.
if (byId("table") && byId("table-tools")) {
  const table = byId("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const said = byId("table-said");
  const place = new Map(rows.map((row, index) => [row, index]));

  /** Return the column of each heading, which may span rows and columns. */
  const columns = new Map();
  const taken = [];
  [...table.tHead.rows].forEach((row, y) => {
    let x = 0;
    for (const cell of row.cells) {
      while (taken[y]?.[x]) x += 1;
      columns.set(cell, x);
      for (let down = 0; down < cell.rowSpan; down += 1) {
        for (let right = 0; right < cell.colSpan; right += 1) (taken[y + down] ??= [])[x + right] = true;
      }
    }
  });

  const headings = [...table.tHead.querySelectorAll("[data-sort]")];
  for (const heading of headings) {
    const sort = make("button", { type: "button" });
    sort.append(...heading.childNodes);
    heading.append(sort);
    sort.addEventListener("click", () => sortBy(heading));
  }

  /** Sort by a column: what is better first, then what is worse, then as the study has it. What is absent is last. */
  function sortBy(heading) {
    const kind = heading.dataset.sort;
    const column = columns.get(heading);
    const first = kind === "higher" ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const now = heading.getAttribute("aria-sort");
    const next = now === first ? second : now === second ? "" : first;
    for (const other of headings) other.removeAttribute("aria-sort");
    const value = (row) => {
      const cell = row.cells[column];
      if (kind === "text") return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const sign = next === "descending" ? -1 : 1;
    const ordered = [...rows].sort((a, b) => {
      if (!next) return place.get(a) - place.get(b);
      const [one, other] = [value(a), value(b)];
      if (one === null || other === null) return (one === null) - (other === null) || place.get(a) - place.get(b);
      const order = kind === "text" ? one.localeCompare(other, undefined, { numeric: true }) : one - other;
      return sign * order || place.get(a) - place.get(b);
    });
    body.append(...ordered);
    if (next) heading.setAttribute("aria-sort", next);
    said.textContent = next ? `Sorted by ${heading.textContent.trim()}, ${next}` : "In the study’s own order";
  }

  const filter = byId("filter");
  filter.hidden = rows.length < 9;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    said.textContent = wanted ? `${shown} of ${rows.length} rows` : "";
  });

  const names = { markdown: "Markdown", latex: "LaTeX", csv: "CSV" };
  for (const one of document.querySelectorAll("[data-copy]")) {
    one.addEventListener("click", async () => {
      const { head, rows: lines, foot } = data.table[one.dataset.copy];
      const shown = [...body.rows].filter((row) => !row.hidden);
      await copyText([head, ...shown.map((row) => lines[place.get(row)]), foot].filter(Boolean).join("\n") + "\n");
      said.textContent = `Copied as ${names[one.dataset.copy]}`;
    });
  }
  byId("table-tools").hidden = false;
}
