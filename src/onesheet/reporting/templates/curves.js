const box = JSON.parse(document.querySelector("#curves").querySelector("[data-box]").dataset.box);
for (const figure of document.querySelectorAll("[data-curve]")) {
  const [thresholds, predicted, right] = ["thresholds", "predicted", "right"].map((name) => JSON.parse(figure.dataset[name]));
  const support = Number(figure.dataset.support);
  const points = thresholds.map((threshold, place) => ({
    threshold, recall: support ? right[place] / support : 0, precision: right[place] / predicted[place],
  })).filter((point, place) => support && predicted[place]);
  if (!points.length) continue;
  const plot = figure.querySelector(".plot");
  const dot = document.createElement("i");
  const across = (recall) => box.left + recall * box.width;
  const down = (precision) => box.top + (1 - precision) * box.height;
  const balanced = JSON.parse(figure.dataset.points).balanced;
  let here = Math.max(0, points.findIndex((point) => point.threshold === thresholds[balanced]));
  const show = (place) => {
    here = Math.min(Math.max(place, 0), points.length - 1);
    const { threshold, precision, recall } = points[here];
    dot.style.left = `${100 * across(recall)}%`;
    dot.style.top = `${100 * down(precision)}%`;
    const words = `threshold ${threshold.toFixed(3)}, precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`;
    figure.querySelector(".reading").textContent = words;
    plot.setAttribute("aria-valuenow", threshold);
    plot.setAttribute("aria-valuetext", words);
    plot.classList.add("read");
  };
  const set = { tabindex: 0, role: "slider", "aria-label": `Threshold of ${figure.dataset.curve}`, "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": points[here].threshold };
  for (const [name, value] of Object.entries(set)) plot.setAttribute(name, value);
  plot.append(dot);
  plot.onfocus = () => show(here);
  plot.onpointermove = (event) => {
    const frame = plot.getBoundingClientRect();
    const far = ({ recall, precision }) => Math.hypot(
      frame.left + across(recall) * frame.width - event.clientX, frame.top + down(precision) * frame.height - event.clientY);
    show(points.reduce((best, point, place) => (far(point) < far(points[best]) ? place : best), 0));
  };
  plot.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step) { event.preventDefault(); show(here + step); }
  };
}
