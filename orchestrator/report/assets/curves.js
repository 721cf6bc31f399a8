// A chart of one curve for each rank or node.
"use strict";

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
      stroke: () => paint(at), width: many ? 1 : 1.6, alpha: many ? 0.22 : 1,
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
