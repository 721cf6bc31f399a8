// The timeline: a lane for each rank, in which uPlot has axes, zoom and cursor.
"use strict";

const MARKS = {
  checkpoint: ["--m-checkpoint", "checkpoint"], stalled: ["--m-bad", "no progress"], failed: ["--m-bad", "failed"],
  died: ["--m-bad", "node died"], finished: ["--m-quiet", "finished"], ended: ["--m-quiet", "node ended"],
};

function beginOf(lane, at) {
  const took = lane.took ? lane.took[at] : NaN;
  return lane.end[at] - (Number.isNaN(took) ? 0 : took);
}

/** The first step that ends at a time or later. */
function stepAt(lane, at) {
  let low = 0, high = lane.end ? lane.end.length : 0;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane.end[middle] < at) low = middle + 1; else high = middle;
  }
  return low;
}

function aboutStep(lane, at) {
  const rows = [["", "began", seconds(beginOf(lane, at))]];
  const took = lane.took ? lane.took[at] : NaN, busy = lane.busy ? lane.busy[at] : NaN;
  if (!Number.isNaN(took)) rows.push(["", "took", seconds(took)]);
  if (!Number.isNaN(busy)) {
    const share = took > 0 ? `, ${Math.round((100 * busy) / took)} %` : "";
    rows.push(["", "at work", `${seconds(busy)}${share}`]);
  }
  const told = lane.toldStep ? lane.toldStep.indexOf(lane.step[at]) : -1;
  if (told >= 0 && lane.loss && !Number.isNaN(lane.loss[told])) rows.push(["", "loss", amount(lane.loss[told])]);
  if (told >= 0 && lane.tokens && !Number.isNaN(lane.tokens[told])) rows.push(["", "tokens per second", amount(lane.tokens[told])]);
  return { head: `rank ${lane.rank}, step ${amount(lane.step[at])}`, rows, begin: beginOf(lane, at), end: lane.end[at] };
}
function aboutSpan(lane, [phase, begin, end, text]) {
  const rows = [["", "began", seconds(begin)], ["", "took", seconds(end - begin)]];
  return { head: `rank ${lane.rank}: ${data.phases[phase]}`, rows, notes: text ? [text] : [], begin, end };
}
function aboutMark(lane, [kind, at, text]) {
  return { head: `rank ${lane.rank}: ${MARKS[kind][1]}`, rows: [["", "at", seconds(at)]], notes: [text], begin: at, end: at };
}

/** Everything in a lane, in the order of time; for the keyboard. */
function things(lane) {
  if (!lane.things) {
    lane.things = lane.spans.map((span) => [span[1], () => aboutSpan(lane, span)]);
    lane.marks.forEach((mark) => lane.things.push([mark[1], () => aboutMark(lane, mark)]));
    for (let at = 0; at < (lane.end ? lane.end.length : 0); at += 1) {
      lane.things.push([beginOf(lane, at), () => aboutStep(lane, at)]);
    }
    lane.things.sort((a, b) => a[0] - b[0]);
  }
  return lane.things;
}

function timeline() {
  const holder = byId("lanes").querySelector(".plot"), num = lanes.length;
  const narrow = holder.clientWidth < 520;
  const high = num <= 4 ? 34 : num <= 8 ? 28 : num <= 16 ? 22 : num <= 32 ? 16 : 12;
  let chosen = null; // what the keyboard is at
  const ratio = () => devicePixelRatio;

  function bar(u, colour, begin, end, lane) {
    const left = Math.max(u.valToPos(begin, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(end, "x", true), u.bbox.left + u.bbox.width);
    if (right < u.bbox.left || left > u.bbox.left + u.bbox.width) return;
    const top = u.valToPos(lane, "y", true), under = u.valToPos(lane + 1, "y", true);
    const gap = high >= 20 ? 4 * ratio() : 1.5 * ratio();
    u.ctx.fillStyle = colour;
    u.ctx.fillRect(left, top + gap, Math.max(right - left, Math.min(ratio(), 1)), under - top - 2 * gap);
  }

  /** Steps that are narrower than a few pixels become one bar: their limits could not be seen. */
  function drawSteps(u, lane, row, colours) {
    if (!lane.end) return;
    const { min, max } = u.scales.x;
    const pixel = (max - min) / u.bbox.width;
    const numSteps = lane.end.length;
    let at = stepAt(lane, min);
    while (at < numSteps && beginOf(lane, at) <= max) {
      const begin = beginOf(lane, at);
      let end = lane.end[at];
      if (end - begin >= 3 * pixel) {
        bar(u, colours[lane.step[at] % 2], begin, end, row);
        at += 1;
        continue;
      }
      let last = at;
      while (last + 1 < numSteps && lane.end[last + 1] - beginOf(lane, last + 1) < 3 * pixel
        && beginOf(lane, last + 1) - end < pixel && beginOf(lane, last + 1) <= max) {
        last += 1;
        end = lane.end[last];
      }
      bar(u, colours[last > at ? 0 : lane.step[at] % 2], begin, end, row);
      at = last + 1;
    }
  }

  function drawMark(u, [kind, at], row, colours) {
    const x = u.valToPos(at, "x", true);
    if (x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) return;
    const y = u.valToPos(row + 0.5, "y", true), { ctx } = u;
    const half = Math.min(high * 0.3, 7) * ratio();
    ctx.fillStyle = colours[kind];
    ctx.strokeStyle = css("--card");
    ctx.lineWidth = 1.5 * ratio();
    ctx.beginPath();
    if (kind === "checkpoint") {
      ctx.moveTo(x, y - half); ctx.lineTo(x + half, y); ctx.lineTo(x, y + half); ctx.lineTo(x - half, y); ctx.closePath();
    } else if (kind === "ended" || kind === "finished") {
      const wide = Math.min(1.25, high / 20) * ratio();
      ctx.rect(x - wide, y - half * 1.3, 2 * wide, half * 2.6);
      ctx.fill();
      return;
    } else {
      const r = half * 0.9;
      ctx.arc(Math.min(Math.max(x, u.bbox.left + r), u.bbox.left + u.bbox.width - r), y, r, 0, 2 * Math.PI);
    }
    ctx.fill();
    ctx.stroke();
  }

  function draw(u) {
    const phases = Object.fromEntries(Object.keys(data.phases).map((key) => [key, css(`--p-${key}`)]));
    const steps = [css("--p-step"), css("--p-step-2")];
    const marks = Object.fromEntries(Object.entries(MARKS).map(([key, [name]]) => [key, css(name)]));
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left - 8 * ratio(), u.bbox.top, u.bbox.width + 16 * ratio(), u.bbox.height);
    u.ctx.clip();
    lanes.forEach((lane, row) => {
      for (const [phase, begin, end] of lane.spans) bar(u, phases[phase], begin, end, row);
      drawSteps(u, lane, row, steps);
    });
    lanes.forEach((lane, row) => lane.marks.forEach((mark) => drawMark(u, mark, row, marks)));
    if (chosen) {
      const left = u.valToPos(chosen.about.begin, "x", true), right = u.valToPos(chosen.about.end, "x", true);
      const top = u.valToPos(chosen.row, "y", true), under = u.valToPos(chosen.row + 1, "y", true);
      u.ctx.strokeStyle = css("--text");
      u.ctx.lineWidth = 2 * ratio();
      u.ctx.strokeRect(left - 2 * ratio(), top + ratio(), Math.max(right - left, 2) + 4 * ratio(), under - top - 2 * ratio());
    }
    u.ctx.restore();
  }

  function under(u) {
    const { left, top } = u.cursor;
    if (left < 0 || top < 0) return null;
    const at = u.posToVal(left, "x"), row = Math.floor(u.posToVal(top, "y"));
    const lane = lanes[row];
    if (!lane) return null;
    const near = 6 * ((u.scales.x.max - u.scales.x.min) / (u.bbox.width / ratio()));
    const mark = lane.marks.findLast((each) => Math.abs(each[1] - at) <= near);
    if (mark) return aboutMark(lane, mark);
    const step = stepAt(lane, at);
    if (lane.end && step < lane.end.length && beginOf(lane, step) <= at) return aboutStep(lane, step);
    const span = lane.spans.findLast(([, begin, end]) => begin <= at && at <= end);
    return span ? aboutSpan(lane, span) : null;
  }

  const every = Math.ceil(11 / high);
  const several = new Set(lanes.map((lane) => lane.node)).size < num;
  const name = (lane) => (several && !narrow ? `node ${lane.node} · rank ${lane.rank}` : narrow || num > 32 ? String(lane.rank) : `rank ${lane.rank}`);
  const chart = make(holder, "time", {
    height: num * high + 42,
    scales: { x: { time: false, range: (u, from, to) => [from ?? 0, to ?? 1] }, y: { range: () => [0, num], dir: -1 } },
    axes: [axis((_u, splits) => splits.map(seconds), { size: 28, space: narrow ? 60 : 90 }),
      axis((_u, splits) => splits.map((at) => (lanes[at - 0.5] && (at - 0.5) % every === 0 ? name(lanes[at - 0.5]) : "")), {
        size: narrow ? 34 : several ? 104 : 62, grid: { show: false }, gap: 6, splits: () => lanes.map((_, row) => row + 0.5),
      })],
    series: [{}, { stroke: "transparent", points: { show: false } }],
    cursor: { sync: { key: "time" }, drag: { x: true, y: false }, points: { show: false } },
    hooks: {
      draw: [draw],
      setCursor: [(u) => {
        if (!u.cursor.event) return;
        const about = under(u);
        if (about) showTip(u.over, u.cursor.left, u.cursor.top, about.head, about.rows, about.notes); else hideTip();
      }],
    },
  }, [limits.time.slice(), [null, null]]);

  chart.at = () => (chosen ? (chosen.about.begin + chosen.about.end) / 2 : undefined);
  chart.move = (by, lanesBy) => {
    const row = Math.min(Math.max((chosen ? chosen.row : 0) + lanesBy, 0), num - 1);
    const list = things(lanes[row]);
    if (!list.length) return;
    let place = chosen && !lanesBy ? chosen.place + by : 0;
    if (chosen && lanesBy) {
      const later = list.findIndex((thing) => thing[0] > chosen.about.begin + 1e-9);
      place = (later < 0 ? list.length : later) - 1;
    }
    place = Math.min(Math.max(place === -Infinity ? 0 : place, 0), list.length - 1);
    const about = list[place][1]();
    chosen = { row, place, about };
    const { min, max } = chart.plot.scales.x;
    if (about.end < min || about.begin > max) zoom("time", about.begin - (max - min) / 2, about.begin + (max - min) / 2);
    chart.plot.redraw(false);
    const u = chart.plot;
    showTip(u.over, Math.min(Math.max(u.valToPos(about.begin, "x"), 0), u.over.clientWidth), u.valToPos(row + 0.5, "y"), about.head, about.rows, about.notes);
    say([about.head, ...about.rows.map(([, key, value]) => `${key} ${value}`), ...(about.notes || [])].join(", "));
  };
  chart.leave = () => { chosen = null; chart.plot.redraw(false); };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "all") zoomAll("time");
      else zoomBy(chart, button.dataset.zoom === "in" ? 0.5 : 2, chart.at());
    });
  }
  legend();
}

function legend() {
  const list = byId("lanes").querySelector(".legend");
  const seen = new Set(lanes.flatMap((lane) => lane.spans.map((span) => span[0])));
  const entries = Object.entries(data.phases).filter(([key]) => seen.has(key) && key !== "ending")
    .map(([key, name]) => [`var(--p-${key})`, name]);
  if (lanes.some((lane) => lane.end && lane.end.length)) {
    entries.splice(entries.findIndex(([colour]) => colour === "var(--p-stuck)") >>> 0, 0, ["var(--p-step)", "steps"]);
  }
  const marks = new Set(lanes.flatMap((lane) => lane.marks.map((mark) => MARKS[mark[0]][0])));
  if (marks.has("--m-checkpoint")) entries.push(["var(--m-checkpoint)", "checkpoint"]);
  if (marks.has("--m-bad")) entries.push(["var(--m-bad)", "failure"]);
  if (marks.has("--m-quiet")) entries.push(["var(--m-quiet)", "end"]);
  for (const [colour, name] of entries) {
    const item = element("li", "", list);
    swatch(colour, item);
    item.append(name);
  }
}
