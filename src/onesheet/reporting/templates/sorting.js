for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const words = head.hasAttribute("data-words");
      const old = head.getAttribute("aria-sort");
      const rising = old ? old === "descending" : words;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const key = (row) => {
        const value = row.cells[column].dataset.value;
        return words ? value : value === "nan" ? -Infinity : Number(value);
      };
      const order = (a, b) => (words ? key(a).localeCompare(key(b)) : key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
      const rows = [...table.tBodies[0].rows].sort((a, b) => (rising ? order(a, b) : order(b, a)));
      table.tBodies[0].append(...rows);
    };
  });
}
