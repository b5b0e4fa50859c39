// What a prediction is worth: precision and recall as the model file's card counts them.

const LONG_SHOT = 0.2; // precision below it
const FEW = 20; // predictions, below which their counts are shown in place of a rate

const ofTen = (share) => (share < 1 ? Math.min(Math.round(10 * share), 9) : 10);
const sum = (counts) => counts.reduce((total, count) => total + count, 0);

/** Micro precision and recall of an operating point, or null where the card has no counts. */
export function metricsOf(card, point) {
  if (!card.measured?.points) return null;
  const { predicted, right } = card.measured.points[point];
  return {
    precision: sum(right) / Math.max(sum(predicted), 1),
    recall: sum(right) / Math.max(sum(card.measured.genre_films), 1),
  };
}

/** Of a genre predicted at an operating point: {words, longShot}; null where the card has no counts. */
export function worth(card, point, column) {
  if (!card.measured?.points) return null;
  const predicted = card.measured.points[point].predicted[column];
  const right = card.measured.points[point].right[column];
  return { words: words(right, predicted), longShot: right < LONG_SHOT * predicted || !predicted };
}

function words(right, predicted) {
  if (!predicted) return "never predicted when measured";
  if (predicted < FEW || !right) return `right ${right} of ${predicted} times`;
  const rate = right / predicted;
  return rate < 0.375 ? `right 1 in ${Math.round(1 / rate)} times` : `right ${ofTen(rate)} in 10 times`;
}

/** "41%: 4 of 10 predicted genres are right" and so on, for a person. */
export function inWords({ precision, recall }, { films, split }) {
  const whole = (share) => `${Math.round(100 * share)}%`;
  return (
    `Precision ${whole(precision)}: ${ofTen(precision)} of 10 predicted genres are right. ` +
    `Recall ${whole(recall)}: it finds ${ofTen(recall)} of 10 true ones. Measured on ${films.toLocaleString()} ${split} films.`
  );
}
