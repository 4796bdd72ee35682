"use strict";
// The blocks page: what a store has loaded, one timeline per external label set, newest meta.json in the details.

const prefix = document.querySelector("meta[name=prefix]").content;
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const ROW_HEIGHT = 18;
const LEVEL_COLORS = ["#9aa7bd", "#7fb2ff", "#4c8dff", "#2f6fde", "#2456b0", "#1b3f80"];
const RESOLUTION_COLORS = { 300000: "#2a9d5c", 3600000: "#c9a227" };
let blocks = [];
let label = "";

const resolutionOf = (block) => block.thanos?.downsample?.resolution || 0;
const labelsOf = (block) => block.thanos?.labels || {};
const resolutionName = (ms) => ({ 0: "raw", 300000: "5m", 3600000: "1h" })[ms] || `${ms} ms`;
const iso = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

function groupName(block) {
  const labels = labelsOf(block);
  if (label && labels[label] !== undefined) return `${label}=${JSON.stringify(labels[label])}`;
  return `{${Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(", ")}}`;
}

function chosen(block) {
  const text = $("search").value.trim().toLowerCase();
  if (text && !block.ulid.toLowerCase().includes(text) && !groupName(block).toLowerCase().includes(text)) return false;
  if ($("level").value && block.compaction.level !== +$("level").value) return false;
  return !$("resolution").value || resolutionOf(block) === +$("resolution").value;
}

// Rows so that no two blocks of a row overlap; coarser and more compacted blocks further down.
function rowsOf(group) {
  const rows = [];
  const ordered = [...group].sort((a, b) => resolutionOf(a) - resolutionOf(b) || a.compaction.level - b.compaction.level || a.minTime - b.minTime);
  for (const block of ordered) {
    const kind = `${resolutionOf(block)}/${block.compaction.level}`;
    let row = rows.find((one) => one.kind === kind && one.end <= block.minTime);
    if (!row) { row = { kind, blocks: [], end: -Infinity }; rows.push(row); }
    row.blocks.push(block);
    row.end = block.maxTime;
  }
  return rows;
}

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function timeline(group, start, end, width) {
  const rows = rowsOf(group);
  const height = rows.length * ROW_HEIGHT + 22;
  const svg = element("svg", { class: "timeline", viewBox: `0 0 ${width} ${height}`, height });
  const x = (ms) => 70 + ((ms - start) / (end - start || 1)) * (width - 80);
  const { ticks, step } = timeTicks(start / 1000, end / 1000, Math.max(2, width / 110));
  for (const tick of ticks) {
    svg.append(element("line", { x1: x(tick * 1000), x2: x(tick * 1000), y1: 0, y2: height - 20 }));
    svg.append(element("text", { x: x(tick * 1000), y: height - 6, "text-anchor": "middle" }, timeLabel(tick, step)));
  }
  rows.forEach((row, index) => {
    const [resolution, level] = row.kind.split("/");
    svg.append(element("text", { x: 0, y: index * ROW_HEIGHT + 12 }, `${resolutionName(+resolution)} L${level}`));
    for (const block of row.blocks) {
      const left = x(block.minTime);
      const color = RESOLUTION_COLORS[resolution] || LEVEL_COLORS[Math.min(+level, LEVEL_COLORS.length - 1)];
      const rect = element("rect", {
        class: "block", x: left, y: index * ROW_HEIGHT + 1, width: Math.max(2, x(block.maxTime) - left), height: ROW_HEIGHT - 3, rx: 2, fill: color, tabindex: 0,
      });
      rect.append(element("title", {}, `${block.ulid}\n${iso(block.minTime)} to ${iso(block.maxTime)}`));
      const choose = () => showDetails(block, rect);
      rect.addEventListener("click", choose);
      rect.addEventListener("focus", choose);
      svg.append(rect);
    }
  });
  return svg;
}

function showDetails(block, rect) {
  document.querySelectorAll("rect.chosen").forEach((one) => one.classList.remove("chosen"));
  rect.classList.add("chosen");
  const list = document.createElement("dl");
  const rows = {
    ULID: block.ulid, From: `${iso(block.minTime)} UTC`, To: `${iso(block.maxTime)} UTC`,
    Duration: `${+((block.maxTime - block.minTime) / 3600000).toFixed(2)} h`,
    Series: block.stats?.numSeries ?? 0, Samples: block.stats?.numSamples ?? 0, Chunks: block.stats?.numChunks ?? 0,
    Level: block.compaction.level, Resolution: resolutionName(resolutionOf(block)), Source: block.thanos?.source || "",
    Sources: (block.compaction.sources || []).length,
    Labels: Object.entries(labelsOf(block)).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join("\n") || "none",
  };
  for (const [name, value] of Object.entries(rows)) {
    list.append(Object.assign(document.createElement("dt"), { textContent: name }));
    list.append(Object.assign(document.createElement("dd"), { textContent: typeof value === "number" ? value.toLocaleString() : value }));
  }
  const link = document.createElement("a");
  link.textContent = "meta.json";
  link.download = `${block.ulid}-meta.json`;
  link.href = `data:application/json,${encodeURIComponent(JSON.stringify(block, null, 2))}`;
  $("details").replaceChildren(list, link);
}

function show() {
  const found = blocks.filter(chosen);
  $("figures").textContent = `${found.length} of ${blocks.length} blocks`;
  const groups = new Map();
  for (const block of found) {
    const name = groupName(block);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(block);
  }
  const start = Math.min(...found.map((b) => b.minTime)), end = Math.max(...found.map((b) => b.maxTime));
  const width = $("groups").clientWidth || 900;
  $("groups").replaceChildren(...[...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, group]) => {
    const part = document.createElement("section");
    part.append(Object.assign(document.createElement("h2"), { textContent: name }), timeline(group, start, end, width));
    return part;
  }));
}

async function load() {
  try {
    const body = await (await fetch(`${prefix}/api/v1/blocks?view=loaded`)).json();
    if (body.status !== "success") throw new Error(body.error);
    blocks = body.data.blocks || [];
    label = body.data.label;
    for (const level of [...new Set(blocks.map((b) => b.compaction.level))].sort((a, b) => a - b)) $("level").append(new Option(level, level));
    show();
  } catch (error) {
    $("messages").append(Object.assign(document.createElement("div"), { className: "message bad", textContent: error.message }));
  }
  fetch(`${prefix}/graph`, { method: "HEAD" }).then((answer) => { $("graph-link").hidden = !answer.ok; });
}

for (const id of ["search", "level", "resolution"]) $(id).addEventListener("input", show);
window.addEventListener("resize", show);
load();
