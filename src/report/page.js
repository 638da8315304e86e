(() => {
"use strict";
// All plots share one time axis: the view. Times are in s.
const data = JSON.parse(document.getElementById("data").textContent);
const figures = [...document.querySelectorAll("[data-plot]")];
if (!figures.length || !data.grid.starts) return;
const LEFT = 62, RIGHT = 10, NARROW = "\u202f";

// --- decoding ---------------------------------------------------------------------------------
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const times = text => {
  const view = new DataView(bytes(text).buffer);
  return Float64Array.from({ length: view.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true) / 1e4);
};
const column = ([least, greatest, text]) => {
  const view = new DataView(bytes(text).buffer), step = (greatest - least) / 65534;
  return Float64Array.from({ length: view.byteLength / 2 }, (_, i) => {
    const v = view.getUint16(2 * i, true);
    return v === 65535 ? NaN : least + v * step;
  });
};
// A bucket of several samples has two points; of one, one.
const grid = g => {
  const starts = times(g.starts), ends = g.ends ? times(g.ends) : starts, points = g.per > 1 ? 2 : 1;
  const xs = points === 1 ? starts : new Float64Array(2 * starts.length);
  if (points === 2) starts.forEach((t, i) => { const d = ends[i] - t; xs[2 * i] = t + d / 4; xs[2 * i + 1] = t + 0.75 * d; });
  return { starts, ends, xs, points, per: g.per };
};
const cycles = grid(data.grid);
const chunks = grid(data.chunks.grid);
chunks.latency = column(data.chunks.latency);
const series = Object.fromEntries(Object.entries(data.series).map(([k, v]) => [k, column(v)]));
for (const joint of data.joints) {
  for (const k of ["requested", "limited", "measured", "error"]) joint[k] = column(joint[k]);
  joint.flags = joint.flags ? new Uint16Array(bytes(joint.flags).buffer) : null;
  joint.lanes = joint.flags ? [...data.causes, [data.substituted, "substituted"]]
    .filter(([bit]) => joint.flags.some(set => set & bit)) : [];
}
const [FIRST, last] = data.range, LAST = Math.max(last, FIRST + 1e-3) + data.period;
// Points further apart than this are not joined.
const GAP = Math.max(12 * data.period * cycles.per, 1e-3);
const view = { from: FIRST, to: LAST };
let cursor = null, width = 900;

// --- helpers ----------------------------------------------------------------------------------
const escape = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
const X = t => LEFT + (t - view.from) / (view.to - view.from) * (width - LEFT - RIGHT);
const T = x => view.from + (x - LEFT) / (width - LEFT - RIGHT) * (view.to - view.from);
const clip = x => Math.min(Math.max(x, LEFT), width - RIGHT);
const f = v => v.toFixed(1);
const below = (xs, t) => { // index of the first value that is not below t
  let a = 0, b = xs.length;
  while (a < b) { const m = (a + b) >> 1; if (xs[m] < t) a = m + 1; else b = m; }
  return a;
};
const visible = xs => [Math.max(0, below(xs, view.from) - 1), Math.min(xs.length, below(xs, view.to) + 1)];
const minus = text => text.replace("-", "−");
const fixed = (v, d) => Number.isFinite(v) ? minus(v.toFixed(d)) : "–";
const step = (span, count) => {
  const raw = span / count, p = 10 ** Math.floor(Math.log10(raw)), r = raw / p;
  return p * (r < 1.5 ? 1 : r < 3.5 ? 2 : r < 7.5 ? 5 : 10);
};
const angles = [10, 15, 30, 45, 90, 180];
const ticks = (lo, hi, count, unit) => {
  const raw = (hi - lo) / count, list = [];
  const s = unit === "°" && raw > 8 && raw < 200 ? angles.find(a => raw <= a * 1.3) ?? 180 : step(hi - lo, count);
  for (let k = Math.ceil(lo / s - 1e-9); k * s <= hi + s * 1e-9; k++) list.push(k * s);
  return { list, digits: Math.max(0, -Math.floor(Math.log10(s) + 1e-9)) };
};
const clockSteps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400];
const timeTicks = () => {
  const span = view.to - view.from, count = Math.max(2, Math.floor((width - LEFT) / 95));
  if (span / count < 1) return ticks(view.from, view.to, count);
  const s = clockSteps.find(c => span / c <= count) ?? 86400 * Math.ceil(span / count / 86400), list = [];
  for (let t = Math.ceil(view.from / s) * s; t <= view.to; t += s) list.push(t);
  return { list, digits: 0 };
};
const pad = n => String(n).padStart(2, "0");
const timeText = (t, digits) => {
  if (LAST < 300) return `${fixed(t, digits)}${NARROW}s`;
  const sign = t < 0 ? "−" : "", a = Math.abs(t), h = Math.floor(a / 3600), m = Math.floor(a / 60) % 60, s = a % 60;
  const seconds = (digits ? s.toFixed(digits) : String(Math.floor(s + 1e-6))).padStart(digits ? digits + 3 : 2, "0");
  return `${sign}${h ? `${h}:${pad(m)}` : m}:${seconds}`;
};
const span = (values, [a, b], bounds) => {
  for (let i = a; i < b; i++) { const v = values[i]; if (v < bounds[0]) bounds[0] = v; if (v > bounds[1]) bounds[1] = v; }
  return bounds;
};
// A line; of many points per pixel the least and the greatest. `keep` picks the points drawn.
const line = (xs, ys, Y, gap, keep) => {
  const [a, b] = visible(xs), dense = b - a > 3 * width;
  let d = "", pen = false, px = null, lo = 0, hi = 0, loAt = 0, hiAt = 0, before = -Infinity;
  const point = (x, y) => { d += `${pen ? "L" : "M"}${f(x)} ${f(y)}`; pen = true; };
  const flush = () => {
    if (px === null) return;
    const pair = loAt < hiAt ? [lo, hi] : [hi, lo];
    point(px, Y(pair[0])); if (lo !== hi) point(px, Y(pair[1]));
    px = null;
  };
  for (let i = a; i < b; i++) {
    const v = ys[i], t = xs[i];
    if (!Number.isFinite(v) || (keep && !keep(i))) { flush(); pen = false; continue; }
    if (t - before > gap) { flush(); pen = false; }
    before = t;
    const x = X(t);
    if (!dense) { point(x, Y(v)); continue; }
    const c = Math.round(x);
    if (c !== px) { flush(); px = c; lo = hi = v; loAt = hiAt = i; }
    if (v < lo) { lo = v; loAt = i; }
    if (v > hi) { hi = v; hiAt = i; }
  }
  flush();
  return d;
};
// What reaches beyond the time axis is cut off.
const defs = document.createElementNS("http://www.w3.org/2000/svg", "svg");
defs.setAttribute("class", "defs");
document.body.append(defs);
const path = (cls, d) => d ? `<path class="${cls}" clip-path="url(#area)" d="${d}"/>` : "";
const symbols = (cls, d) => d ? `<path class="${cls}" d="${d}"/>` : "";
const stretches = draw => data.states.map(([t, name], i) => {
  const end = data.states[i + 1]?.[0] ?? LAST;
  if (end <= view.from || t >= view.to) return "";
  return draw(clip(X(t)), clip(X(end)), name);
}).join("");
const bands = (top, height) => stretches((a, b, name) =>
  `<rect class="s-${name}" x="${f(a)}" y="${top}" width="${f(Math.max(b - a, .5))}" height="${height}"/>`);
const timeGrid = (top, bottom, labels) => {
  const { list, digits } = timeTicks();
  return path("grid", list.map(t => `M${f(X(t))} ${top}V${bottom}`).join("")) + (labels ? list.map(t => {
    const x = X(t);
    return x > width - 24 || x < LEFT ? "" : `<text class="mid" x="${f(x)}" y="${bottom + 12}">${timeText(t, digits)}</text>`;
  }).join("") : "");
};
const valueAxis = (lo, hi, top, bottom, count, unit) => {
  const Y = v => bottom - (v - lo) / (hi - lo) * (bottom - top), { list, digits } = ticks(lo, hi, count, unit);
  const marks = path("grid", list.map(v => `M${LEFT} ${f(Y(v))}H${width - RIGHT}`).join("")) + list.map(v =>
    `<text class="end" x="${LEFT - 6}" y="${f(Y(v) + 3.5)}">${fixed(v, digits)}${unit}</text>`).join("");
  return { Y, marks };
};
const eventLines = (top, bottom) => path("eventline", data.events.filter(([t]) => t >= view.from && t <= view.to)
  .map(([t]) => `M${f(X(t))} ${top}V${bottom}`).join(""));
const svg = (figure, height, content, label) => {
  const old = figure.querySelector("svg");
  if (old) old.remove();
  figure.insertAdjacentHTML("beforeend", `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(label)}">${content}` +
    `<rect class="select" y="0" height="${height}" width="0"/><path class="cursor" d="M0 0V${height}" visibility="hidden"/></svg>`);
};

// --- plots ------------------------------------------------------------------------------------
const drawTimeline = figure => {
  const names = stretches((a, b, name) => `<rect class="t-${name}" x="${f(a)}" y="12" width="${f(Math.max(b - a, .8))}" height="16"/>` +
    (b - a > 8 * name.length ? `<text class="statename mid" x="${f((a + b) / 2)}" y="24">${name}</text>` : ""));
  const events = symbols("eventmark", data.events.filter(([t]) => t >= view.from && t <= view.to)
    .map(([t]) => `M${f(X(t) - 4)} 2h8l-4 8z`).join(""));
  // While zoomed, the bar at the bottom shows which part of the run is seen.
  const whole = width - LEFT - RIGHT, part = t => LEFT + (t - FIRST) / (LAST - FIRST) * whole;
  const overview = view.to - view.from > .999 * (LAST - FIRST) ? "" : `<rect class="whole" x="${LEFT}" y="47" width="${whole}" height="4"/>` +
    `<rect class="part" x="${f(part(view.from))}" y="47" width="${f(Math.max(part(view.to) - part(view.from), 3))}" height="4"/>`;
  svg(figure, 52, timeGrid(28, 33, true) + names + events + overview, "Arm states and events over time");
};
const drawJoint = (figure, joint) => {
  const s = joint.scale, range = visible(cycles.xs), top = 4, bottom = 128;
  let [lo, hi] = ["requested", "limited", "measured"].reduce((b, k) => span(joint[k], range, b), [Infinity, -Infinity]).map(v => v * s);
  if (lo > hi) [lo, hi] = [-1, 1];
  const spare = Math.max((hi - lo) * .06, (2 - (hi - lo)) / 2);
  const { Y, marks } = valueAxis(lo - spare, hi + spare, top, bottom, 4, joint.unit);
  const y = v => Y(v * s);
  // Where a limit cut the request, the difference is filled.
  let cut = "";
  for (let i = range[0]; i < range[1]; i++) {
    const differs = j => Math.abs(joint.requested[j] - joint.limited[j]) * s > 1e-3;
    if (!differs(i)) continue;
    let j = i;
    while (j + 1 < range[1] && differs(j + 1)) j++;
    const a = Math.max(range[0], i - 1), b = Math.min(range[1] - 1, j + 1), there = [], back = [];
    for (let k = a; k <= b; k++) if (Number.isFinite(joint.requested[k]) && Number.isFinite(joint.limited[k])) {
      there.push(`${f(X(cycles.xs[k]))} ${f(y(joint.requested[k]))}`);
      back.push(`${f(X(cycles.xs[k]))} ${f(y(joint.limited[k]))}`);
    }
    if (there.length > 1) cut += `M${there.join("L")}L${back.reverse().join("L")}Z`;
    i = j;
  }
  const sub = joint.flags ? i => joint.flags[i / cycles.points | 0] & data.substituted : () => 0;
  // Both kinds of stretches reach to the point where they meet.
  const real = i => !sub(i), substitute = i => sub(i) || (i > 0 && sub(i - 1));
  let content = bands(top, bottom - top) + marks + timeGrid(top, bottom, false) + chunkMarks(bottom) + eventLines(top, bottom) +
    // Where many cycles share a pixel, the lines are let through.
    `<g class="${range[1] - range[0] > 4 * width ? "dense" : ""}">` + path("cut", cut) + path("l l-requested", line(cycles.xs, joint.requested, y, GAP)) +
    path("l l-limited", line(cycles.xs, joint.limited, y, GAP)) + path("l l-measured", line(cycles.xs, joint.measured, y, GAP, real)) +
    (joint.flags ? path("l l-substituted", line(cycles.xs, joint.measured, y, GAP, substitute)) : "") + "</g>";
  content += `<rect class="frame" x="${LEFT}" y="${top}" width="${width - LEFT - RIGHT}" height="${bottom - top}"/>`;
  let at = bottom + (joint.lanes.length ? 8 : 4);
  for (const [bit, name] of joint.lanes) {
    content += `<text class="end" style="font-size:9px" x="${LEFT - 6}" y="${at + 6.5}">${name}</text>` + lane(joint, bit, at);
    at += 10;
  }
  const errorTop = at + 5, errorBottom = errorTop + 34;
  const bounds = span(joint.error, range, [0, 0]), most = Math.max(-bounds[0], bounds[1]) * s || 1;
  const E = v => (errorTop + errorBottom) / 2 - v * s / most / 2 * (errorBottom - errorTop - 4);
  const digits = most < 1 ? 2 : most < 10 ? 1 : 0;
  content += path("zero", `M${LEFT} ${f(E(0))}H${width - RIGHT}`) + path("l l-error", line(cycles.xs, joint.error, E, GAP)) +
    `<text class="end" x="${LEFT - 6}" y="${errorTop + 8}">+${fixed(most, digits)}${joint.unit}</text>` +
    `<text class="end" x="${LEFT - 6}" y="${f(E(0) + 3.5)}">error</text>` +
    `<text class="end" x="${LEFT - 6}" y="${errorBottom}">−${fixed(most, digits)}${joint.unit}</text>` +
    timeGrid(errorTop, errorBottom, true);
  svg(figure, errorBottom + 15, content, `${joint.name}: requested, limited and measured position, clamps and tracking error over time`);
};
const lane = (joint, bit, at) => {
  let d = "", a = null, b = 0;
  const [from, to] = visible(cycles.starts);
  const flush = () => { if (a !== null) d += `M${f(a)} ${at}h${f(Math.max(b - a, 1.5))}v7h${f(-Math.max(b - a, 1.5))}z`; a = null; };
  for (let i = from; i < to; i++) {
    if (!(joint.flags[i] & bit)) continue;
    const start = clip(X(cycles.starts[i])), end = clip(X(cycles.ends[i] + data.period));
    if (a !== null && start > b + .6) flush();
    if (a === null) a = start;
    b = end;
  }
  flush();
  return path(bit === data.substituted ? "lane sub" : "lane", d);
};
const chunkMarks = bottom => {
  const [a, b] = [below(chunks.starts, view.from), below(chunks.starts, view.to)];
  // Ticks that touch each other say nothing.
  const crowded = b - a > (width - LEFT) / 3;
  document.querySelector(".key.chunk")?.classList.toggle("off", crowded);
  if (crowded) return "";
  let d = "";
  for (let i = a; i < b; i++) d += `M${f(X(chunks.starts[i]))} ${bottom}v-7`;
  return path("chunkmark", d);
};
// Series are in µs; those that never reach one ms are shown so.
const durationUnit = values => span(values, [0, values.length], [0, 0])[1] < 1e3 ? [1, `${NARROW}µs`] : [1e-3, `${NARROW}ms`];
const small = (figure, xs, values, label, decorate) => {
  const top = 4, bottom = 74, range = visible(xs), [scale, unit] = durationUnit(values), gap = xs === cycles.xs ? GAP : Infinity;
  let [lo, hi] = span(values, range, [Infinity, -Infinity]).map(v => v * scale);
  if (lo > hi) [lo, hi] = [0, 1];
  // Ages and durations begin at 0; the period is looked at around its nominal value.
  if (decorate.nominal) { lo = Math.min(lo, decorate.nominal); hi = Math.max(hi, decorate.nominal); } else lo = 0;
  const spare = Math.max((hi - lo) * .08, hi * .01, 1e-3);
  const { Y, marks } = valueAxis(decorate.nominal ? lo - spare : 0, hi + spare, top, bottom, 3, unit), y = v => Y(v * scale);
  svg(figure, bottom + 15, bands(top, bottom - top) + marks + timeGrid(top, bottom, true) + eventLines(top, bottom) +
    (decorate.nominal ? path("nominal", `M${LEFT} ${f(Y(decorate.nominal))}H${width - RIGHT}`) : "") +
    path("l l-plain", line(xs, values, y, gap)) + (decorate.extra ? decorate.extra(y, top, range) : "") +
    `<rect class="frame" x="${LEFT}" y="${top}" width="${width - LEFT - RIGHT}" height="${bottom - top}"/>`, label);
};
const missedMarks = (_, top) => symbols("missed", data.gaps.filter(([t]) => t >= view.from && t <= view.to)
  .map(([t]) => `M${f(X(t) - 3.5)} ${top}h7l-3.5 7z`).join(""));
const dots = (y, _, [a, b]) => {
  if (b - a > 400) return "";
  let html = "";
  for (let i = a; i < b; i++) if (Number.isFinite(chunks.latency[i]) && chunks.xs[i] >= view.from && chunks.xs[i] <= view.to)
    html += `<circle class="dot" cx="${f(X(chunks.xs[i]))}" cy="${f(y(chunks.latency[i]))}" r="2"/>`;
  return html;
};
const plots = figures.map(figure => {
  const { plot, joint, series: name } = figure.dataset, title = figure.querySelector("b")?.textContent ?? "";
  const output = figure.querySelector("output");
  if (plot === "timeline") return { figure, output, draw: () => drawTimeline(figure) };
  if (plot === "joint") { const j = data.joints[joint]; return { figure, output, joint: j, draw: () => drawJoint(figure, j) }; }
  if (plot === "latency") return { figure, output, xs: chunks, values: chunks.latency,
    draw: () => small(figure, chunks.xs, chunks.latency, title, { extra: dots }) };
  const decorate = name === "period" ? { nominal: data.period * 1e6 * durationUnit(series.period)[0], extra: missedMarks } : {};
  return { figure, output, xs: cycles, values: series[name], draw: () => small(figure, cycles.xs, series[name], title, decorate) };
});

// --- cursor -----------------------------------------------------------------------------------
const bucket = (g, t) => {
  const i = below(g.starts, t);
  return i > 0 && (i >= g.starts.length || t - g.starts[i - 1] < g.starts[i] - t || g.per > 1) ? i - 1 : i;
};
const reading = (g, values, i, scale, digits, unit) => {
  const part = Array.from(values.slice(i * g.points, (i + 1) * g.points), v => v * scale).filter(Number.isFinite).sort((a, b) => a - b);
  if (!part.length) return "–";
  const texts = [...new Set(part.map(v => fixed(v, digits)))];
  return texts.join("…") + unit;
};
const stateAt = t => { let name = ""; for (const [from, n] of data.states) { if (from > t + 1e-9) break; name = n; } return name; };
const showCursor = (t, tipFor, event) => {
  cursor = t === null ? null : Math.min(Math.max(t, FIRST), LAST);
  const i = cursor === null ? 0 : bucket(cycles, cursor);
  for (const p of plots) {
    const mark = p.figure.querySelector(".cursor"), inside = cursor !== null && cursor >= view.from && cursor <= view.to;
    mark.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) mark.setAttribute("transform", `translate(${f(X(cursor))} 0)`);
    if (!p.output) continue;
    if (cursor === null) { p.output.textContent = ""; continue; }
    if (p.joint) {
      const r = k => reading(cycles, p.joint[k], i, p.joint.scale, 1, p.joint.unit);
      p.output.innerHTML = `<span class="v-requested">requested ${r("requested")}</span><span class="v-limited">limited ${r("limited")}</span>` +
        `<span>measured ${r("measured")}</span>`;
    } else {
      const [scale, unit] = durationUnit(p.values);
      p.output.textContent = reading(p.xs, p.values, p.xs === cycles ? i : bucket(p.xs, cursor), scale, scale === 1 ? 1 : 3, unit);
    }
  }
  const tip = document.getElementById("tip");
  if (cursor === null || !tipFor) { tip.hidden = true; return; }
  let html = `<b>${timeText(cursor, 3)}</b> · ${stateAt(cursor)}`;
  const joint = tipFor.joint;
  if (joint) {
    html += "<table>" + ["requested", "limited", "measured", "error"].map(k => `<tr><td>${k}</td><td>${reading(cycles, joint[k], i, joint.scale, 2, joint.unit)}</td>` +
      (joint.raw ? `<td>${reading(cycles, joint[k], i, 1, 4, NARROW + joint.raw)}</td>` : "") + "</tr>").join("") + "</table>";
    const set = joint.flags ? joint.flags[i] : 0, why = data.causes.filter(([bit]) => set & bit).map(([, name]) => name);
    if (why.length) html += `<div class="why">clamped by ${why.join(", ")}</div>`;
    if (set & data.substituted) html += "<div>measurement substituted</div>";
  }
  const near = 5 / (width - LEFT - RIGHT) * (view.to - view.from);
  for (const [t, kind, message] of data.events.filter(([t]) => Math.abs(t - cursor) < near).slice(0, 4))
    html += `<div class="event">${timeText(t, 3)} ${escape(kind)}: ${escape(message)}</div>`;
  tip.innerHTML = html;
  tip.hidden = false;
  const left = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.min(Math.max(4, event.clientY + 14), innerHeight - tip.offsetHeight - 4)}px`;
};

// --- zoom -------------------------------------------------------------------------------------
const draw = () => {
  defs.innerHTML = `<clipPath id="area"><rect x="${LEFT}" y="-9" width="${width - LEFT - RIGHT}" height="999"/></clipPath>`;
  plots.forEach(p => p.draw());
  showCursor(cursor);
};
const setView = (from, to) => {
  const least = Math.max(4 * data.period, 2e-3), length = Math.min(Math.max(to - from, least), LAST - FIRST);
  const middle = Math.min(Math.max((from + to) / 2, FIRST + length / 2), LAST - length / 2);
  view.from = middle - length / 2; view.to = middle + length / 2;
  draw();
};
const zoom = factor => {
  const middle = cursor !== null && cursor >= view.from && cursor <= view.to ? cursor : (view.from + view.to) / 2;
  setView(middle - (middle - view.from) * factor, middle + (view.to - middle) * factor);
};
const where = (p, event) => {
  const box = p.figure.querySelector("svg").getBoundingClientRect();
  return clip((event.clientX - box.left) / box.width * width);
};
let drag = null;
const select = (a, b) => plots.forEach(p => {
  const rect = p.figure.querySelector(".select");
  rect.setAttribute("x", f(Math.min(a, b))); rect.setAttribute("width", f(Math.abs(b - a)));
});
for (const p of plots) {
  p.figure.addEventListener("pointerdown", event => {
    if (event.button || !event.target.closest("svg")) return;
    drag = { from: where(p, event) };
    if (event.pointerType === "mouse") p.figure.setPointerCapture(event.pointerId);
  });
  p.figure.addEventListener("pointermove", event => {
    if (!drag && !event.target.closest("svg")) return;
    const x = where(p, event);
    if (drag && Math.abs(x - drag.from) > 3) select(drag.from, x);
    showCursor(T(x), p, event);
  });
  p.figure.addEventListener("pointerup", event => {
    if (!drag) return;
    const a = T(drag.from), b = T(where(p, event)), far = Math.abs(where(p, event) - drag.from) > 5;
    drag = null; select(0, 0);
    if (far) setView(Math.min(a, b), Math.max(a, b));
  });
  p.figure.addEventListener("pointercancel", () => { drag = null; select(0, 0); });
  p.figure.addEventListener("pointerleave", () => { if (!drag) showCursor(null); });
  p.figure.addEventListener("dblclick", () => setView(FIRST, LAST));
  p.figure.addEventListener("keydown", event => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    showCursor((cursor ?? view.from) + move * Math.max(data.period, (view.to - view.from) / 200));
  });
}
const buttons = { in: () => zoom(.5), out: () => zoom(2), all: () => setView(FIRST, LAST) };
document.querySelectorAll("[data-zoom]").forEach(b => b.addEventListener("click", () => buttons[b.dataset.zoom]()));
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") setView(FIRST, LAST);
  else if (event.key === "+") zoom(.5);
  else if (event.key === "-") zoom(2);
});
document.querySelectorAll("tr[data-at]").forEach(row => {
  const at = Number(row.dataset.at), go = () => {
    cursor = at;
    setView(at - Math.min(1.5, (LAST - FIRST) / 4), at + Math.min(1.5, (LAST - FIRST) / 4));
    document.getElementById("motion").scrollIntoView();
  };
  row.addEventListener("pointerenter", () => showCursor(at));
  row.addEventListener("pointerleave", () => showCursor(null));
  row.addEventListener("click", go);
  row.addEventListener("keydown", event => { if (event.key === "Enter") go(); });
});
const fit = () => {
  const wide = Math.max(280, Math.round(figures[0].clientWidth));
  if (wide !== width || !figures[0].querySelector("svg")) { width = wide; draw(); }
};
// On paper the text keeps its size.
addEventListener("beforeprint", () => { width = 720; draw(); });
addEventListener("afterprint", () => { width = 0; fit(); });
new ResizeObserver(fit).observe(figures[0]);
fit();
})();
