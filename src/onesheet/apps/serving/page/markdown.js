// A model card's Markdown as elements: headings, paragraphs, lists, tables, **strong** and `code`; all else stays text.

import { element } from "./shown.js";

const MARKED = /\*\*(.+?)\*\*|`([^`]+)`/g;

function inline(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(MARKED)) {
    const [whole, strong, code] = found;
    parts.push(text.slice(end, found.index), strong ? element("strong", {}, strong) : element("code", {}, code));
    end = found.index + whole.length;
  }
  return [...parts, text.slice(end)];
}

function cells(line, name) {
  const texts = line.replace(/^\||\|$/g, "").split("|");
  return element("tr", {}, ...texts.map((text) => element(text.trim() ? name : "td", {}, ...inline(text.trim()))));
}

let tables = 0; // shown, each with a name of its own

function table([head, , ...rows]) {
  const body = element("tbody", {}, ...rows.map((row) => cells(row, "td")));
  const whole = element("table", {}, element("thead", {}, cells(head, "th")), body);
  return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `Table ${(tables += 1)}` }, whole);
}

function block(text) {
  const lines = text.split("\n").map((line) => line.trim());
  const heading = lines[0].match(/^(#{1,5}) +(.*)/);
  if (heading) {
    const rest = lines.slice(1).join("\n");
    return [element(`h${heading[1].length + 1}`, {}, ...inline(heading[2])), ...(rest ? block(rest) : [])];
  }
  if (lines.length > 1 && lines.every((line) => line.startsWith("|"))) return [table(lines)];
  if (/^[-*] /.test(lines[0])) {
    const entries = lines.join("\n").split(/^[-*] /m).slice(1);
    return [element("ul", {}, ...entries.map((entry) => element("li", {}, ...inline(entry))))];
  }
  return [element("p", {}, ...inline(text))];
}

export function markdown(text) {
  const blocks = text.replace(/<!--.*?-->/gs, "").split(/\n\s*\n/);
  return blocks.map((one) => one.trim()).filter(Boolean).flatMap(block);
}
