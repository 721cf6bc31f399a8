// Draws all of it, and listens to the buttons.
"use strict";

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
