// "Learn from the corrections": starts the job, follows it, and offers the new model file.

import { get, getFile, postJson } from "./service.js";
import { download, percent } from "./shown.js";

const AGAIN = 700; // milliseconds until the job is asked about again

const the = (id) => document.getElementById(id);
const say = (words) => (the("learn-said").textContent = words);
const number = (value) => (value === null ? "–" : value.toFixed(3));

/** `sorted()` is called when the queue has been sorted anew. */
export function startLearning(sorted) {
  the("learn").addEventListener("click", () => learn(sorted));
  the("learn-file").addEventListener("click", async () => {
    const { name } = the("learn-file").dataset;
    await getFile("/v1/review/learn/file").then(({ blob }) => download(name, blob)).catch((error) => say(error.message));
  });
}

async function learn(sorted) {
  the("learned").hidden = false;
  the("learn-file").hidden = true;
  the("learn").ariaDisabled = true;
  say("");
  try {
    const { status, body } = await postJson("/v1/review/learn", {});
    if (status !== 200) throw new Error(body.error);
    const { result } = await finished(body);
    say(inWords(result));
    Object.assign(the("learn-file"), { hidden: false, textContent: `Download ${result.file}` });
    the("learn-file").dataset.name = result.file;
    await sorted();
  } catch (error) {
    say(error.message);
  } finally {
    the("learn-progress").hidden = true;
    the("learn").ariaDisabled = null;
  }
}

async function finished(job) {
  while (job.state === "running") {
    the("learn-progress").hidden = false;
    the("learn-progress").value = job.share;
    say(`Learning: ${job.task} …`);
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
    job = await get("/v1/review/learn");
  }
  if (job.state === "failed") throw new Error(job.error);
  return job;
}

function inWords({ learned, decided, held_out: heldOut, left_out: leftOut, before, after }) {
  const films = (count) => `${count.toLocaleString()} ${count === 1 ? "film" : "films"}`;
  const words = [
    `Learned from ${films(learned)}, ${decided.toLocaleString()} of them decided here.`,
    `On ${films(heldOut)} held out, mean average precision went from ${number(before.map)} to ${number(after.map)}, ` +
      `precision from ${percent(before.precision)} to ${percent(after.precision)}, recall from ${percent(before.recall)} to ${percent(after.recall)}.`,
    "The queue is sorted by the new model.",
  ];
  if (leftOut.length) words.splice(1, 0, `Too few films for ${leftOut.join(", ")}.`);
  return words.join(" ");
}
