"use strict";
// Plot: lines over time on a canvas, with axes, gaps where a series has no point, and a tip under the pointer.

const COLORS = ["#2f6fde", "#e0631b", "#2a9d5c", "#b63fb0", "#c9a227", "#17a2b8", "#d6336c", "#6b7fd7", "#7a9a01", "#a0522d"];
const MARGIN = { left: 64, right: 12, top: 10, bottom: 26 };

function colorOf(index) {
  return index < COLORS.length ? COLORS[index] : `hsl(${(index * 137.5) % 360} 60% 50%)`;
}

function siNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= limit) return `${+(value / limit).toPrecision(4)}${unit}`;
  }
  return size < 1e-4 ? value.toExponential(2) : String(+value.toPrecision(4));
}

// Round numbers between low and high, about `count` of them.
function ticksBetween(low, high, count) {
  const raw = (high - low) / count;
  if (!(raw > 0) || !isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  return ticks;
}

const TIME_STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000];

function timeTicks(start, end, count) {
  const step = TIME_STEPS.find((s) => (end - start) / s <= count) || 31536000;
  const offset = new Date(start * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let t = Math.ceil((start - offset) / step) * step + offset; t <= end; t += step) ticks.push(t);
  return { ticks, step };
}

function timeLabel(seconds, step) {
  const date = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step >= 86400) return day;
  if (step < 60) return `${clock}:${two(date.getSeconds())}`;
  return clock === "00:00" ? day.slice(5) : clock;
}

class Plot {
  constructor(canvas, tip) {
    this.canvas = canvas;
    this.tip = tip;
    this.series = [];
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; this.draw(); });
  }

  // series: [{name, color, hidden, points: [[seconds, number], ...]}]; step: seconds between points.
  show(series, start, end, step, stacked) {
    Object.assign(this, { series, start, end, step, stacked });
    this.lines = this.linesToDraw();
    this.draw();
  }

  linesToDraw() {
    const below = new Map();
    return this.series.filter((one) => !one.hidden).map((one) => {
      const points = one.points.filter(([, value]) => isFinite(value)).map(([time, value]) => {
        if (!this.stacked) return [time, value, value];
        const sum = (below.get(time) || 0) + value;
        below.set(time, sum);
        return [time, sum, value];
      });
      return { name: one.name, color: one.color, points };
    });
  }

  bounds() {
    let low = Infinity, high = -Infinity;
    for (const line of this.lines) {
      for (const [, y] of line.points) { if (y < low) low = y; if (y > high) high = y; }
    }
    if (low > high) return [0, 1];
    if (this.stacked) low = Math.min(low, 0);
    const pad = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.06;
    return [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
  }

  draw(marker) {
    const box = this.canvas.getBoundingClientRect();
    if (!this.lines || !box.width) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = box.width * scale;
    this.canvas.height = box.height * scale;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.body);
    const quiet = style.getPropertyValue("--quiet"), line = style.getPropertyValue("--line");
    const [low, high] = this.bounds();
    const width = box.width - MARGIN.left - MARGIN.right, height = box.height - MARGIN.top - MARGIN.bottom;
    this.x = (t) => MARGIN.left + ((t - this.start) / (this.end - this.start || 1)) * width;
    this.y = (v) => MARGIN.top + (1 - (v - low) / (high - low)) * height;
    pen.font = "11px system-ui, sans-serif";
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const tick of ticksBetween(low, high, Math.max(2, height / 55))) {
      const y = Math.round(this.y(tick)) + 0.5;
      pen.strokeStyle = line; pen.beginPath(); pen.moveTo(MARGIN.left, y); pen.lineTo(box.width - MARGIN.right, y); pen.stroke();
      pen.fillStyle = quiet; pen.fillText(siNumber(tick), MARGIN.left - 6, y);
    }
    pen.textAlign = "center";
    const { ticks, step } = timeTicks(this.start, this.end, Math.max(2, width / 90));
    for (const tick of ticks) {
      const x = Math.round(this.x(tick)) + 0.5;
      pen.strokeStyle = line; pen.beginPath(); pen.moveTo(x, MARGIN.top); pen.lineTo(x, box.height - MARGIN.bottom); pen.stroke();
      pen.fillStyle = quiet; pen.fillText(timeLabel(tick, step), x, box.height - MARGIN.bottom + 13);
    }
    pen.save();
    pen.beginPath(); pen.rect(MARGIN.left, 0, width + 1, box.height - MARGIN.bottom + 1); pen.clip();
    for (const one of this.lines) this.stroke(pen, one);
    if (marker) {
      pen.strokeStyle = quiet; pen.beginPath(); pen.moveTo(marker.x, MARGIN.top); pen.lineTo(marker.x, box.height - MARGIN.bottom); pen.stroke();
      pen.fillStyle = marker.color; pen.beginPath(); pen.arc(marker.x, marker.y, 4, 0, 7); pen.fill();
    }
    pen.restore();
  }

  stroke(pen, one) {
    pen.strokeStyle = pen.fillStyle = one.color;
    pen.lineWidth = 1.5;
    pen.beginPath();
    let before = -Infinity;
    one.points.forEach(([time, value], index) => {
      const x = this.x(time), y = this.y(value);
      if (time - before > this.step * 1.5) {
        pen.moveTo(x, y);
        const next = one.points[index + 1];
        if (!next || next[0] - time > this.step * 1.5) pen.fillRect(x - 1.5, y - 1.5, 3, 3);
      } else {
        pen.lineTo(x, y);
      }
      before = time;
    });
    pen.stroke();
  }

  // The nearest point to the pointer gets a marker and a tip.
  point(event) {
    if (!this.lines || !this.x) return;
    const box = this.canvas.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    let best = null;
    for (const one of this.lines) {
      const found = nearestInTime(one.points, this.start + ((px - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right)) * (this.end - this.start));
      if (!found) continue;
      const x = this.x(found[0]), y = this.y(found[1]);
      const distance = Math.hypot(x - px, (y - py) * 1.5);
      if (!best || distance < best.distance) best = { distance, x, y, color: one.color, name: one.name, point: found };
    }
    this.draw(best);
    if (!best) return;
    this.tip.replaceChildren();
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = best.color;
    const head = document.createElement("div");
    head.append(swatch, `${new Date(best.point[0] * 1000).toLocaleString()}  `, Object.assign(document.createElement("b"), { textContent: String(best.point[2]) }));
    const name = Object.assign(document.createElement("div"), { textContent: best.name });
    this.tip.append(head, name);
    this.tip.hidden = false;
    const left = best.x + 16 + this.tip.offsetWidth > box.width ? best.x - 16 - this.tip.offsetWidth : best.x + 16;
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${Math.min(Math.max(0, best.y - 20), box.height - this.tip.offsetHeight)}px`;
  }
}

function nearestInTime(points, time) {
  let low = 0, high = points.length - 1;
  if (high < 0) return null;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < time) low = middle + 1; else high = middle;
  }
  const before = points[low - 1];
  return before && time - before[0] < points[low][0] - time ? before : points[low];
}
