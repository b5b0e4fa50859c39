const table = document.querySelector("table.cells");
const sampled = [...document.querySelectorAll("[data-given]")].map((figure) => ({
  picture: figure.querySelector("img"), ...Object.fromEntries(["true", "given", "probabilities"].map((name) => [name, JSON.parse(figure.dataset[name])])),
}));
if (sampled.length) {
  const dialog = document.querySelector("dialog.posters");
  const names = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
  const grid = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => {
    const button = document.createElement("button");
    button.append(...cell.childNodes);
    button.title = cell.title;
    button.setAttribute("aria-label", [button.textContent, cell.title].filter(Boolean).join(", "));
    button.tabIndex = -1;
    cell.removeAttribute("title");
    cell.append(button);
    return button;
  }));
  grid[0][0].tabIndex = 0;
  const open = (row, column) => {
    const { row: own, column: other, films } = grid[row][column].parentElement.dataset;
    const fitting = sampled.filter((film) => film.true.includes(Number(own)) && film.given.includes(Number(other)))
      .sort((a, b) => b.probabilities[other] - a.probabilities[other]).slice(0, 12);
    dialog.querySelector("h2").textContent = `${names[row]} films, predicted ${names[column]}`;
    dialog.querySelector(".note").textContent = `${fitting.length} of ${Number(films).toLocaleString("en")}, the surest first`;
    dialog.querySelector(".wall").replaceChildren(...fitting.map(({ picture, probabilities }) => {
      const figure = document.createElement("figure");
      const words = document.createElement("figcaption");
      words.textContent = `${(100 * probabilities[other]).toFixed(0)}% ${names[column]}`;
      figure.append(picture.cloneNode(), words);
      return figure;
    }));
    dialog.showModal();
  };
  grid.forEach((row, i) => row.forEach((button, k) => {
    button.onclick = () => open(i, k);
    button.onkeydown = (event) => {
      const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
      const next = grid[i + down]?.[k + right];
      if (!next) return;
      event.preventDefault();
      button.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    };
  }));
}
