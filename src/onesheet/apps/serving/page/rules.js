// Operating points, as docs/reference/model-file.md describes them.

const LEAST = 1e-7;

export const POINTS = {
  balanced: "Balanced",
  precise: "Fewer wrong",
  generous: "Fewer missed",
  exact: "Best whole set",
};

/** The predicted columns, as a Set. `probabilities` are in column order. */
export function decide(point, probabilities) {
  if (point.kind === "thresholds") {
    return new Set(probabilities.flatMap((value, column) => (value >= point.thresholds[column] ? [column] : [])));
  }
  const logOdds = probabilities.map((value) => {
    const kept = Math.min(Math.max(value, LEAST), 1 - LEAST);
    return Math.log(kept / (1 - kept));
  });
  let best = -Infinity;
  let given = [];
  point.label_sets.forEach((columns, number) => {
    const score = columns.reduce((sum, column) => sum + logOdds[column], point.offsets[number]);
    if (score > best) [best, given] = [score, columns];
  });
  return new Set(given);
}
