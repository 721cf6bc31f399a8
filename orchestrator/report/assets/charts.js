// What all charts have in common: axes, zoom, keys, their place and size.
"use strict";

const FONT = "11px system-ui, sans-serif";
const axis = (values, more) => ({
  stroke: () => css("--muted"), font: FONT, values,
  grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false }, ...more,
});

/** Charts of one group show the same part of what is below them. */
const limits = { time: [0, Math.max(data.until, 1e-3)] };
function zoom(group, from, to) {
  const [first, last] = limits[group];
  const least = (last - first) / 1e6;
  const wide = Math.min(Math.max(to - from, least), last - first);
  const begin = Math.min(Math.max(from, first), last - wide);
  for (const each of charts) {
    if (each.group === group) each.plot.setScale("x", { min: begin, max: begin + wide });
  }
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
