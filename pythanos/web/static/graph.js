"use strict";
// The graph page: one expression as a graph or a table. Its state is the URL, so that a link shows the same.

const SERIES_DRAWN_MAX = 250;
const ROWS_SHOWN_MAX = 2000;
const POINTS_WANTED = 250;
const prefix = document.querySelector("meta[name=prefix]").content;
const $ = (id) => document.getElementById(id);
const plot = new Plot($("canvas"), $("tip"));
let tab = "graph";
let running = null;

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

function parseDuration(text) {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)/g)];
  if (!parts.length || parts.map((p) => p[0]).join("") !== text.trim()) return null;
  return parts.reduce((sum, [, number, unit]) => sum + number * UNITS[unit], 0);
}

function formatDuration(seconds) {
  for (const unit of ["w", "d", "h", "m"]) {
    if (seconds >= UNITS[unit] && seconds % UNITS[unit] === 0) return `${seconds / UNITS[unit]}${unit}`;
  }
  return `${Math.max(1, Math.round(seconds))}s`;
}

// A time as people type it (UTC), or Unix seconds; null for now.
function parseEnd(text) {
  if (!text.trim()) return null;
  if (/^\d+(\.\d+)?$/.test(text.trim())) return +text;
  const time = Date.parse(text.trim().replace(" ", "T") + (/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? "" : "Z"));
  return isNaN(time) ? undefined : time / 1000;
}

const formatEnd = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

function readState() {
  const given = new URLSearchParams(location.search);
  $("expr").value = given.get("g0.expr") || "";
  $("range").value = given.get("g0.range_input") || "1h";
  $("end").value = given.get("g0.end_input") || "";
  $("step").value = given.get("g0.step_input") || "";
  $("resolution").value = given.get("g0.max_source_resolution") || "0s";
  $("dedup").checked = given.get("g0.deduplicate") !== "0";
  $("partial").checked = given.get("g0.partial_response") !== "0";
  $("stacked").checked = given.get("g0.stacked") === "1";
  tab = given.get("g0.tab") === "1" ? "table" : "graph";
}

function writeState() {
  const state = new URLSearchParams();
  state.set("g0.expr", $("expr").value);
  state.set("g0.tab", tab === "table" ? "1" : "0");
  state.set("g0.range_input", $("range").value);
  if ($("end").value) state.set("g0.end_input", $("end").value);
  if ($("step").value) state.set("g0.step_input", $("step").value);
  state.set("g0.max_source_resolution", $("resolution").value);
  state.set("g0.deduplicate", $("dedup").checked ? "1" : "0");
  state.set("g0.partial_response", $("partial").checked ? "1" : "0");
  state.set("g0.stacked", $("stacked").checked ? "1" : "0");
  const search = `?${state}`;
  if (search !== location.search) history.pushState(null, "", search);
}

function message(kind, text) {
  $("messages").append(Object.assign(document.createElement("div"), { className: `message ${kind}`, textContent: text }));
}

async function ask(path, params, signal) {
  const answer = await fetch(`${prefix}/api/v1/${path}`, { method: "POST", body: new URLSearchParams(params), signal });
  const body = await answer.json().catch(() => ({ status: "error", error: `${answer.status} ${answer.statusText}` }));
  if (body.status !== "success") throw new Error(body.errorType ? `${body.errorType}: ${body.error}` : body.error);
  return body;
}

async function execute() {
  if (running) running.abort();
  $("messages").replaceChildren();
  $("figures").textContent = "";
  $("graph").hidden = tab !== "graph";
  $("table").hidden = tab !== "table";
  $("tab-graph").classList.toggle("here", tab === "graph");
  $("tab-table").classList.toggle("here", tab === "table");
  const expr = $("expr").value.trim();
  if (!expr) { showTable([]); plot.show([], 0, 1, 1, false); $("legend").replaceChildren(); return; }
  const range = parseDuration($("range").value), end = parseEnd($("end").value);
  if (range === null || range <= 0) return message("bad", `not a range: ${$("range").value}`);
  if (end === undefined) return message("bad", `not a time: ${$("end").value}`);
  running = new AbortController();
  const started = performance.now();
  const common = {
    query: expr, dedup: $("dedup").checked, partial_response: $("partial").checked,
    max_source_resolution: $("resolution").value,
  };
  try {
    if (tab === "graph") await executeRange(common, range, end ?? Date.now() / 1000, started);
    else await executeInstant(common, end ?? Date.now() / 1000, started);
  } catch (error) {
    if (error.name !== "AbortError") message("bad", error.message);
  }
}

async function executeRange(common, range, end, started) {
  const step = $("step").value.trim() ? parseDuration($("step").value) ?? +$("step").value : Math.max(Math.floor(range / POINTS_WANTED), 1);
  const body = await ask("query_range", { ...common, start: end - range, end, step }, running.signal);
  (body.warnings || []).forEach((text) => message("warn", text));
  const result = body.data.result;
  figures(started, `${result.length} series, step ${formatDuration(step)}`);
  if (!result.length) message("warn", "The answer is empty.");
  if (result.some((one) => one.histograms)) message("warn", "Native histograms are shown by their count.");
  if (result.length > SERIES_DRAWN_MAX) message("warn", `Only the first ${SERIES_DRAWN_MAX} of ${result.length} series are drawn.`);
  const series = result.slice(0, SERIES_DRAWN_MAX).map((one, index) => ({
    name: metricName(one.metric),
    color: colorOf(index),
    hidden: false,
    points: (one.values || (one.histograms || []).map(([time, h]) => [time, h.count])).map(([time, text]) => [time, number(text)]),
  }));
  const draw = () => plot.show(series, end - range, end, step, $("stacked").checked);
  draw();
  showLegend(series, draw);
}

async function executeInstant(common, time, started) {
  const body = await ask("query", { ...common, time }, running.signal);
  (body.warnings || []).forEach((text) => message("warn", text));
  const { resultType, result } = body.data;
  const rows = resultType === "scalar" || resultType === "string"
    ? [[resultType, result[1]]]
    : result.map((one) => [metricName(one.metric), valueText(one)]);
  figures(started, `${rows.length} rows`);
  if (!rows.length) message("warn", "The answer is empty.");
  showTable(rows);
}

const number = (text) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : +text);
const figures = (started, text) => { $("figures").textContent = `${Math.round(performance.now() - started)} ms, ${text}`; };

function metricName(metric) {
  const { __name__: name = "", ...rest } = metric;
  const plain = /^[a-zA-Z_:][\w:]*$/.test(name) || !name;
  const labels = Object.entries(rest).map(([key, value]) =>
    `${/^[a-zA-Z_]\w*$/.test(key) ? key : JSON.stringify(key)}=${JSON.stringify(value)}`);
  // A name beyond these characters stands between the braces, in quotes.
  if (!plain) labels.unshift(JSON.stringify(name));
  return labels.length || !name ? `${plain ? name : ""}{${labels.join(", ")}}` : name;
}

function valueText(one) {
  if (one.values) return one.values.map(([time, value]) => `${value} @${time}`).join("\n");
  if (one.value) return one.value[1];
  const h = (one.histogram || one.histograms[0])[1];
  const buckets = (h.buckets || []).map(([kind, low, high, count]) => `${"([(["[kind]}${low}, ${high}${"])])"[kind]}: ${count}`);
  return [`count ${h.count}, sum ${h.sum}`, ...buckets].join("\n");
}

function showTable(rows) {
  const table = document.createElement("table");
  for (const [name, value] of rows.slice(0, ROWS_SHOWN_MAX)) {
    const row = table.insertRow();
    Object.assign(row.insertCell(), { className: "labels", textContent: name });
    Object.assign(row.insertCell(), { className: "value", textContent: value });
  }
  if (rows.length > ROWS_SHOWN_MAX) message("warn", `Only the first ${ROWS_SHOWN_MAX} rows are shown.`);
  $("table").replaceChildren(table);
}

function showLegend(series, draw) {
  $("legend").replaceChildren(...series.map((one) => {
    const item = document.createElement("li");
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.background = one.color;
    item.append(swatch, one.name);
    item.title = "Click: only this one. Ctrl-click: hide or show.";
    item.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey) one.hidden = !one.hidden;
      else {
        const alone = series.every((other) => other.hidden === (other !== one));
        series.forEach((other) => { other.hidden = !alone && other !== one; });
      }
      [...$("legend").children].forEach((li, index) => li.classList.toggle("off", series[index].hidden));
      draw();
    });
    return item;
  }));
}

function move(change) {
  const range = parseDuration($("range").value) || 3600;
  change(range, parseEnd($("end").value) ?? Date.now() / 1000);
  run();
}

function run() { writeState(); execute(); }

async function fillMetrics() {
  try {
    const answer = await (await fetch(`${prefix}/api/v1/label/__name__/values?limit=5000`)).json();
    for (const name of answer.data || []) $("metrics").append(new Option(name, name));
  } catch { /* the list is a convenience */ }
}

$("query").addEventListener("submit", (event) => { event.preventDefault(); run(); });
$("expr").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); run(); }
});
for (const id of ["range", "end", "step", "resolution", "dedup", "partial", "stacked"]) $(id).addEventListener("change", run);
$("metrics").addEventListener("change", () => {
  const box = $("expr"), name = $("metrics").value;
  const quoted = /^[a-zA-Z_:][\w:]*$/.test(name) ? name : `{${JSON.stringify(name)}}`;
  box.setRangeText(quoted, box.selectionStart, box.selectionEnd, "end");
  $("metrics").value = "";
  box.focus();
});
$("tab-graph").addEventListener("click", () => { tab = "graph"; run(); });
$("tab-table").addEventListener("click", () => { tab = "table"; run(); });
$("shorter").addEventListener("click", () => move((range) => { $("range").value = formatDuration(Math.max(range / 2, 10)); }));
$("longer").addEventListener("click", () => move((range) => { $("range").value = formatDuration(range * 2); }));
$("earlier").addEventListener("click", () => move((range, end) => { $("end").value = formatEnd(end - range / 2); }));
$("later").addEventListener("click", () => move((range, end) => { $("end").value = formatEnd(end + range / 2); }));
window.addEventListener("popstate", () => { readState(); execute(); });
readState();
execute();
fillMetrics();
fetch(`${prefix}/loaded`, { method: "HEAD" }).then((answer) => { $("blocks-link").hidden = !answer.ok; });
