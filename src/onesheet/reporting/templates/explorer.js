const explorer = document.querySelector(".explorer");
if (explorer) {
  const [select, slider, points] = ["select", "input", ".points"].map((what) => explorer.querySelector(what));
  const walls = Object.fromEntries([...explorer.querySelectorAll("[data-wall]")].map((wall) => [wall.dataset.wall, wall]));
  const posters = [...walls.rest.children].map((figure) => ({
    figure, true: JSON.parse(figure.dataset.true), probabilities: JSON.parse(figure.dataset.probabilities),
  }));
  let genre;
  const share = (part, whole) => (whole ? (part / whole).toFixed(3) : "–");
  const show = () => {
    const place = Number(slider.value);
    const [threshold, predicted, right] = [genre.thresholds[place], genre.predicted[place], genre.right[place]];
    const metrics = {
      threshold: threshold.toFixed(3), precision: share(right, predicted), recall: share(right, genre.support),
      f1: share(2 * right, predicted + genre.support), predicted: predicted.toLocaleString("en"),
      right: right.toLocaleString("en"), missed: (genre.support - right).toLocaleString("en"),
    };
    for (const [name, value] of Object.entries(metrics)) explorer.querySelector(`[data-metric=${name}]`).textContent = value;
    slider.setAttribute("aria-valuetext", metrics.threshold);
    for (const button of points.children) button.setAttribute("aria-pressed", String(Number(button.value) === place));
    const ranked = [...posters].sort((a, b) => b.probabilities[genre.column] - a.probabilities[genre.column]);
    for (const { figure, true: own, probabilities } of ranked) {
      const probability = probabilities[genre.column];
      const isTrue = own.includes(genre.column);
      const wall = probability >= threshold ? "predicted" : isTrue ? "missed" : "rest";
      figure.className = isTrue ? "hit" : "wrong";
      figure.lastElementChild.textContent = `${isTrue ? "✓" : "✕"} ${(100 * probability).toFixed(0)}%`;
      walls[wall].append(figure);
    }
  };
  const choose = () => {
    const data = [...document.querySelectorAll("[data-curve]")].find((one) => one.dataset.curve === select.value).dataset;
    genre = Object.fromEntries(["column", "support", "thresholds", "predicted", "right", "points"].map((name) => [name, JSON.parse(data[name])]));
    slider.max = genre.thresholds.length - 1;
    slider.value = genre.points.balanced ?? 0;
    points.replaceChildren(...Object.entries(genre.points).map(([name, place]) => {
      const button = document.createElement("button");
      button.textContent = name;
      button.value = place;
      button.onclick = () => { slider.value = place; show(); };
      return button;
    }));
    show();
  };
  select.onchange = choose;
  slider.oninput = show;
  explorer.hidden = false;
  choose();
}
