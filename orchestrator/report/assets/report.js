// Draws what the page has as numbers. Texts get onto the page as text alone, never as markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const MANY = 8; // ranks, from which on they cannot have a colour each
  const charts = [];

  // -- data ----------------------------------------------------------------------------

  const KINDS = { f32: Float32Array, f64: Float64Array, u32: Uint32Array };

  function column(packed) {
    if (packed === null) return null;
    if ("from" in packed) return Uint32Array.from({ length: packed.n }, (_, at) => packed.from + at);
    const [kind, text] = Object.entries(packed)[0];
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    return new KINDS[kind](bytes.buffer);
  }

  const CURVES = ["step", "end", "took", "busy", "toldStep", "loss", "tokens"];
  const unpack = (from) => CURVES.forEach((key) => { from[key] = column(from[key]); });
  data.lanes.forEach(unpack);
  if (data.other) unpack(data.other);
  for (const node of data.nodes) {
    for (const key of ["at", "processors", "bytes"]) node[key] = column(node[key]);
  }
  const lanes = data.lanes;

  // -- words ---------------------------------------------------------------------------

  function seconds(value) {
    const size = Math.abs(value);
    if (size >= 120) {
      const whole = Math.round(size), left = String(whole % 60).padStart(2, "0");
      const told = whole >= 3600
        ? `${Math.floor(whole / 3600)}:${String(Math.floor(whole / 60) % 60).padStart(2, "0")}:${left}`
        : `${Math.floor(whole / 60)}:${left}`;
      return (value < 0 ? "-" : "") + told;
    }
    if (size >= 1 || size === 0) return `${trim(value, 2)} s`;
    if (size >= 1e-3) return `${trim(value * 1e3, size >= 0.1 ? 0 : 1)} ms`;
    return `${trim(value * 1e6, 0)} µs`;
  }
  const trim = (value, digits) => String(Number(value.toFixed(digits)));
  const amount = (value) => (Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en-US")
    : String(Number(value.toPrecision(4))));
  function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    for (; value >= 1024 && at < units.length - 1; at += 1) value /= 1024;
    return `${trim(value, value < 10 && at > 2 ? 2 : value < 100 && at > 1 ? 1 : 0)} ${units[at]}`;
  }

  // -- small pieces of the page ----------------------------------------------------------

  function element(tag, text, parent) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  function swatch(colour, parent) {
    const SVG = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
    svg.setAttribute("viewBox", "0 0 10 10");
    svg.setAttribute("aria-hidden", "true");
    for (const [key, value] of [["width", 10], ["height", 10], ["rx", 2.5]]) rect.setAttribute(key, value);
    rect.style.fill = colour;
    svg.append(rect);
    parent.append(svg);
  }

  const tip = byId("tip");
  function showTip(over, left, top, head, rows, notes) {
    tip.replaceChildren();
    element("b", head, tip);
    for (const [colour, name, value] of rows) {
      const row = element("div", "", tip);
      if (colour) swatch(colour, row);
      element("span", name, row);
      element("span", value, row);
    }
    for (const note of notes || []) element("p", note, tip);
    tip.hidden = false;
    const box = over.getBoundingClientRect();
    const wide = tip.offsetWidth, high = tip.offsetHeight, edge = document.documentElement.clientWidth;
    let x = box.left + left + 16;
    if (x + wide > edge - 8) x = Math.max(8, box.left + left - wide - 16);
    let y = box.top + top + 14;
    if (y + high > innerHeight - 8) y = Math.max(8, box.top + top - high - 14);
    tip.style.left = `${x + scrollX}px`;
    tip.style.top = `${y + scrollY}px`;
  }
  const hideTip = () => { tip.hidden = true; };
  const say = (text) => { byId("live").textContent = text; };

  const colourOf = (index, num) => (num > MANY ? css("--accent") : css(`--r${index % MANY}`));

  // -- what all charts have in common ----------------------------------------------------

  const FONT = "11px system-ui, sans-serif";
  const axis = (values, more) => ({
    stroke: () => css("--muted"), font: FONT, values,
    grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false }, ...more,
  });

  /** Charts of one group show the same part of what is below them. */
  const limits = { time: [0, Math.max(data.until, 1e-3)] };
  let zooming = false;
  function zoom(group, from, to) {
    const [first, last] = limits[group];
    const least = (last - first) / 1e6;
    const wide = Math.min(Math.max(to - from, least), last - first);
    const begin = Math.min(Math.max(from, first), last - wide);
    zooming = true;
    for (const each of charts) {
      if (each.group === group) each.plot.setScale("x", { min: begin, max: begin + wide });
    }
    zooming = false;
  }
  const zoomAll = (group) => zoom(group, ...limits[group]);
  function zoomBy(chart, factor, around) {
    const { min, max } = chart.plot.scales.x;
    const middle = around ?? (min + max) / 2;
    zoom(chart.group, middle - (middle - min) * factor, middle + (max - middle) * factor);
  }

  function make(holder, group, options, columns) {
    const chart = { group, holder };
    const all = {
      width: holder.clientWidth, legend: { show: false }, padding: [8, 18, 0, 0],
      ...options,
      hooks: {
        ...options.hooks,
        setSelect: [(u) => {
          if (u.select.width > 2) {
            zoom(group, u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          }
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    };
    chart.plot = new uPlot(all, columns, holder);
    charts.push(chart);
    chart.plot.over.addEventListener("dblclick", () => zoomAll(group));
    chart.plot.over.addEventListener("mouseleave", hideTip);
    chart.plot.over.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomBy(chart, event.deltaY < 0 ? 0.8 : 1.25, chart.plot.posToVal(event.offsetX, "x"));
    }, { passive: false });
    holder.addEventListener("keydown", (event) => {
      const act = keys(chart)[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    holder.addEventListener("blur", () => { chart.leave?.(); hideTip(); });
    new ResizeObserver(() => {
      if (holder.clientWidth && holder.clientWidth !== chart.plot.width) {
        chart.plot.setSize({ width: holder.clientWidth, height: chart.plot.height });
      }
    }).observe(holder);
    return chart;
  }

  function keys(chart) {
    return {
      "+": () => zoomBy(chart, 0.5, chart.at?.()), "=": () => zoomBy(chart, 0.5, chart.at?.()),
      "-": () => zoomBy(chart, 2, chart.at?.()), 0: () => zoomAll(chart.group),
      ArrowLeft: () => chart.move(-1, 0), ArrowRight: () => chart.move(1, 0),
      ArrowUp: () => chart.move(0, -1), ArrowDown: () => chart.move(0, 1),
      Home: () => chart.move(-Infinity, 0), End: () => chart.move(Infinity, 0),
      Escape: () => { chart.leave?.(); hideTip(); },
    };
  }

  // -- curves ----------------------------------------------------------------------------

  /** Columns of different steps -> one of all steps, and the values of each at those. */
  function aligned(pairs) {
    const first = pairs[0][0];
    const alike = pairs.every(([xs]) => xs.length === first.length
      && xs[0] === first[0] && xs[xs.length - 1] === first[first.length - 1]);
    const known = (value) => (value === undefined || Number.isNaN(value) ? null : value);
    if (alike) return [Array.from(first), ...pairs.map(([, ys]) => Array.from(ys, known))];
    const xs = [...new Set(pairs.flatMap(([each]) => Array.from(each)))].sort((a, b) => a - b);
    const place = new Map(xs.map((x, at) => [x, at]));
    return [xs, ...pairs.map(([each, ys]) => {
      const placed = new Array(xs.length).fill(null);
      each.forEach((x, at) => { placed[place.get(x)] = known(ys[at]); });
      return placed;
    })];
  }

  /** The highest value worth an axis: a few that are far above all others would flatten them. */
  function ceiling(columns) {
    const values = columns.flat().filter((value) => value !== null).sort((a, b) => a - b);
    if (!values.length) return [1, 0];
    const most = values[values.length - 1], usual = values[Math.floor(values.length * 0.95)];
    if (most <= 3 * usual || usual <= 0) return [most, 0];
    return [usual * 1.6, values.filter((value) => value > usual * 1.6).length];
  }

  /** What half of the columns are below, at one place. */
  function middle(columns, at) {
    const values = columns.slice(1).map((each) => each[at]).filter((value) => value !== null).sort((a, b) => a - b);
    return values.length ? values[values.length >> 1] : null;
  }

  const BINARY = Array.from({ length: 50 }, (_, at) => 2 ** at);

  function curves(id, { pairs, group, names, told, x, fromZero, dashed }) {
    const used = pairs.map((pair, at) => [pair, at]).filter(([[xs, ys]]) => xs && ys && xs.length);
    if (!used.length) return false;
    const figure = byId(id), holder = figure.querySelector(".plot");
    figure.hidden = false;
    const columns = aligned(used.map(([pair]) => pair));
    const xs = columns[0], num = used.length;
    if (group === "time") xs.forEach((at) => { limits.time[1] = Math.max(limits.time[1], at); });
    else {
      const known = limits[group] || [Infinity, -Infinity];
      limits[group] = [Math.min(known[0], xs[0]), Math.max(known[1], xs[xs.length - 1], xs[0] + 1)];
    }
    const [top, above] = fromZero ? ceiling(columns.slice(1)) : [0, 0];
    if (above) element("p", `${above} higher ${above === 1 ? "value is" : "values are"} cut off`, figure.querySelector("figcaption"));
    const many = num > MANY;
    if (many) columns.push(xs.map((_, at) => middle(columns, at)));
    let near = null; // the curve next to the mouse, as uPlot counts them
    const paint = (at) => colourOf(used[at][1], Math.max(num, pairs.length));
    const chart = make(holder, group, {
      height: 210,
      scales: { x: { time: false, range: (_u, from, to) => (from === to ? [from - 0.5, to + 0.5] : [from, to]) },
        y: { range: fromZero ? () => [0, top * 1.08 || 1] : (_u, from, to) => uPlot.rangeNum(from, to, 0.1, true) } },
      axes: [axis((_u, splits) => splits.map((at) => (group === "time" ? seconds(at) : Number.isInteger(at) ? amount(at) : "")), { size: 26 }),
        axis((_u, splits) => splits.map(told), { size: 62, space: 34, incrs: told === bytes ? BINARY : undefined })],
      series: [{}, ...used.map((_, at) => ({
        stroke: () => paint(at), width: many ? 1 : 1.6, alpha: many ? 0.3 : 1,
        points: { show: xs.length < 2 }, spanGaps: true, dash: dashed && at ? [5, 4] : undefined,
      })), ...(many ? [{ stroke: () => css("--text"), width: 1.5, points: { show: false } }] : [])],
      cursor: { sync: { key: group }, focus: { prox: 24 }, points: { size: 6 }, drag: { x: true, y: false }, y: false },
      focus: { alpha: many ? 0.08 : 0.22 },
      hooks: { setSeries: [(_u, at, { focus }) => { if (focus !== undefined) near = focus ? at : null; }],
        setCursor: [(u) => { if (u.cursor.event && u.cursor.idx !== null) show(u.cursor.idx, false); }] },
    }, columns);
    const label = (at) => (group === "time" ? seconds(xs[at]) : `step ${amount(xs[at])}`);
    function rows(at) {
      const found = used.map(([, index], place) => [paint(place), names(index), columns[place + 1][at], place])
        .filter((row) => row[2] !== null);
      if (found.length <= MANY) return found.map(([c, name, value]) => [c, name, told(value)]);
      const sorted = found.map((row) => row[2]).sort((a, b) => a - b);
      const one = found.filter((row) => row[3] === near - 1).map(([c, name, value]) => [c, name, told(value)]);
      const most = found.find((row) => row[2] === sorted[sorted.length - 1]);
      return [...one, ["", "least", told(sorted[0])], [css("--text"), "median", told(sorted[sorted.length >> 1])],
        ["", `most: ${most[1]}`, told(most[2])]];
    }
    function show(at, aloud) {
      const told = rows(at);
      const left = chart.plot.valToPos(xs[at], "x");
      if (told.length) showTip(chart.plot.over, left, Math.max(chart.plot.cursor.top, 20), label(at), told);
      if (aloud) say([label(at), ...told.map(([, name, value]) => `${name} ${value}`)].join(", "));
    }
    let place = -1;
    chart.at = () => (place < 0 ? undefined : xs[place]);
    chart.move = (by) => {
      place = Math.min(Math.max(by === -Infinity ? 0 : by === Infinity ? xs.length - 1 : place + by, 0), xs.length - 1);
      chart.plot.setCursor({ left: chart.plot.valToPos(xs[place], "x"), top: 30 }, false);
      show(place, true);
    };
    chart.leave = () => { chart.plot.setCursor({ left: -10, top: -10 }, false); };
    chart.focus = (index) => {
      const at = used.findIndex(([, each]) => each === index);
      if (at < 0) chart.plot.setSeries(null, { focus: false });
      else chart.plot.setSeries(at + 1, { focus: true });
    };
    return true;
  }

  // -- the timeline ------------------------------------------------------------------------

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

  // -- all of it ---------------------------------------------------------------------------

  function drawAll() {
    limits.time[1] *= 1.004; // room for what marks the end
    timeline();
    const rank = (index) => `rank ${lanes[index].rank}`, node = (index) => data.nodes[index].name;
    const of = (x, y) => lanes.map((lane) => [lane[x], lane[y]]);
    const drawn = [
      curves("loss", { pairs: of("toldStep", "loss"), group: "step", names: rank, told: amount }),
      curves("took", { pairs: of("step", "took"), group: "step", names: rank, told: seconds, fromZero: true }),
      curves("tokens", { pairs: of("toldStep", "tokens"), group: "step", names: rank, told: amount, fromZero: true }),
      curves("busy", { pairs: of("step", "busy"), group: "step", names: rank, told: seconds, fromZero: true }),
    ];
    byId("no-steps").hidden = drawn.some(Boolean);
    if (!drawn.some(Boolean)) byId("highlight").closest("label").hidden = true;
    const used = [["processors", "processors", amount], ["memory", "bytes", bytes]].map(([id, key, told]) => curves(id, {
      pairs: data.nodes.map((each) => [each.at, each[key]]), group: "time", names: node, told, fromZero: true,
    }));
    byId("no-usage").hidden = used.some(Boolean);
    if (data.other) {
      const first = lanes.find((lane) => lane.toldStep && lane.toldStep.length) || lanes[0];
      curves("losses", {
        pairs: [[first.toldStep, first.loss], [data.other.toldStep, data.other.loss]], group: "both",
        names: (index) => (index ? data.other.run : "this run"), told: amount, dashed: true,
      });
    }
    for (const group of Object.keys(limits)) zoomAll(group);
  }

  function theme() {
    const button = byId("theme"), root = document.documentElement;
    const words = { "": ["Auto", "as the system has them"], light: ["Light", "light"], dark: ["Dark", "dark"] };
    const next = { "": "dark", dark: "light", light: "" };
    const system = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => charts.forEach((each) => each.plot.redraw(false));
    button.addEventListener("click", () => {
      const chosen = next[root.dataset.theme || ""];
      if (chosen) root.dataset.theme = chosen; else delete root.dataset.theme;
      const [name, meaning] = words[chosen];
      button.textContent = name;
      button.setAttribute("aria-label", `Colours: ${meaning}`);
      redraw();
    });
    system.addEventListener("change", redraw);
  }

  byId("highlight").addEventListener("change", (event) => {
    const index = event.target.value === "" ? -1 : Number(event.target.value);
    for (const each of charts) if (each.group === "step") each.focus(index);
  });
  theme();
  drawAll();
  document.documentElement.dataset.drawn = charts.length;
})();
