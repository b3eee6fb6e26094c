// Heatmap, curve, summary, sentences and commands of one behaviour and layer, which a click in any of them chooses.
const EXPLORED = content("explore");
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A8A8A", "#A67C00", "#7A5AB5"];
const chosen = { behaviour: 0, layer: 0 };  // places in the lists

function inkOn(rgb) {
  const [red, green, blue] = rgb.map(value => { const share = value / 255; return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}
function shadeOf(value, low, high) {
  const stops = EXPLORED.stops, place = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (stops.length - 1);
  const first = Math.min(stops.length - 2, Math.floor(place)), rest = place - first;
  return stops[first].map((part, index) => Math.round(part + (stops[first + 1][index] - part) * rest));
}
const rowOf = behaviour => EXPLORED.rows[EXPLORED.behaviours[behaviour]];
const cells = () => [...document.querySelectorAll('.heat [role="gridcell"]')];

function colourCells() {
  const measure = EXPLORED.measures[at("measure").value];
  for (const cell of cells()) {
    const row = rowOf(Number(cell.dataset.b))[measure.key][Number(cell.dataset.l)], value = row[0];
    cell.classList.toggle("none", value === null);
    const rgb = value === null ? null : shadeOf(value, measure.low, measure.high);
    cell.style.background = rgb ? `rgb(${rgb})` : "";
    cell.style.color = rgb ? inkOn(rgb) : "";
    cell.textContent = value === null || EXPLORED.layers.length > 36 ? "" : value.toFixed(2).replace(/^(-?)0\./, "$1.").replace("-", "−");
    const name = EXPLORED.behaviours[Number(cell.dataset.b)], layer = EXPLORED.layers[Number(cell.dataset.l)];
    cell.title = `${name}, layer ${layer}: ${measure.name} ${ends(...row)}`;
    cell.setAttribute("aria-label", cell.title);
  }
  at("ramp-low").textContent = signed(measure.low, 2); at("ramp-high").textContent = signed(measure.high, 2);
}
function curve() {
  const name = EXPLORED.behaviours[chosen.behaviour], row = rowOf(chosen.behaviour), layers = EXPLORED.layers, data = [];
  const level = (label, [value, low, high], shade, dash) => value !== null && data.push({
    type: "scatter", mode: "lines", x: [layers[0] - 0.3, layers.at(-1) + 0.3], y: [value, value], name: `${label} ${signed(value)}`, line: { color: shade, width: 1.6, dash },
    hovertemplate: `${ends(value, low, high)}<extra>${plain(make("i", label).innerHTML)}</extra>` });
  const line = (label, values, shade, dash, banded) => {
    if (values.every(([value]) => value === null)) return;
    if (banded) data.push({ type: "scatter", mode: "lines", x: [...layers, ...[...layers].reverse()], y: [...values.map(value => value[2]), ...values.map(value => value[1]).reverse()],
      fill: "toself", fillcolor: `${shade}30`, line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: label });
    data.push({ type: "scatter", mode: "lines+markers", x: layers, y: values.map(value => value[0]), customdata: values, name: label, legendgroup: label, line: { color: shade, dash, width: 2 }, marker: { size: 5 },
      hovertemplate: `layer %{x}: %{y:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<extra>${label}</extra>` });
  };
  line("shuffled labels (control)", row.shuffled, "#8A8A8A", "solid", true);
  line("spans without tell-tale words", row.unmarked, "#D55E00", "dash", false);
  line("all spans", row.band, "#0072B2", "solid", true);
  level("layer chosen on inner folds", row.chosen, "#0072B2", "dot");
  Object.entries(row.baselines).forEach(([label, value], place) => level(`baseline: ${label}${label === row.strongest ? " (the strongest)" : ""}`, value, PALETTE[(place + 2) % PALETTE.length], label === row.strongest ? "dashdot" : "dot"));
  const at_layer = layers[chosen.layer], rule = { type: "line", yref: "paper", y0: 0, y1: 1, x0: at_layer, x1: at_layer, line: { color: "#d55e00", width: 2 } };
  const chance = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 0.5, y1: 0.5, line: { color: "#777", width: 1, dash: "dot" } };
  const axis = { gridcolor: "rgba(128,128,128,.25)", zeroline: false, automargin: true };
  return { data, layout: { height: 320, margin: { t: 20, b: 48 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", shapes: [rule, chance],
    xaxis: { ...axis, ...(layers.length <= 12 ? { tickvals: layers } : {}), title: { text: "layer (block whose output is read)" } }, yaxis: { ...axis, title: { text: `AUROC of ${name.length > 24 ? "the behaviour" : make("i", name).innerHTML}` } } } };
}
let drawing = Promise.resolve();
function drawCurve() {
  drawing = drawing.then(async () => {
    const plot = at("explore-curve"), figure = curve();
    const legend = legendOf(figure, plot);
    at("explore-legend").replaceChildren(...(legend ? [legend] : []));
    await draw(plot, figure);
    plot.removeAllListeners?.("plotly_click");
    plot.on?.("plotly_click", event => { const place = EXPLORED.layers.indexOf(event.points[0].x); if (place >= 0) choose(chosen.behaviour, place); });
  });
}
function showSentences() {
  const kinds = EXPLORED.sentences?.cells[EXPLORED.behaviours[chosen.behaviour]]?.[EXPLORED.layers[chosen.layer]] ?? {};
  const parts = [];
  for (const [kind, rows] of Object.entries(kinds)) {
    if (!rows.length) continue;
    parts.push(make("h3", kind));
    for (const [number, score] of rows) {
      const span = EXPLORED.sentences.spans[number], quote = make("blockquote", "", { dir: "auto" }), label = make("span", "", { className: "label" });
      label.textContent = `score ${score > 0 ? "+" : ""}${signed(score, 2)} · ${span.label}${span.marked ? ", with a tell-tale word" : ""} · ${span.trace}`;
      quote.append(make("span", span.text), " ", label);
      parts.push(quote);
    }
  }
  at("explore-sentences").replaceChildren(...parts);
}
function showCommands() {
  const name = EXPLORED.behaviours[chosen.behaviour], layer = String(EXPLORED.layers[chosen.layer]);
  const word = /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
  const fill = (text, spoken) => text.replace(/BEHAVIOUR|LAYER/g, part => part === "LAYER" ? layer : spoken);
  at("explore-shell").textContent = fill(EXPLORED.commands.shell, word);
  at("explore-python").textContent = fill(EXPLORED.commands.python, JSON.stringify(name));
}
function choose(behaviour, layer, focus = false) {
  Object.assign(chosen, { behaviour, layer });
  const name = EXPLORED.behaviours[behaviour], row = rowOf(behaviour);
  for (const cell of cells()) {
    const own = Number(cell.dataset.b) === behaviour && Number(cell.dataset.l) === layer;
    cell.setAttribute("aria-selected", String(own));
    cell.tabIndex = own ? 0 : -1;
    if (own && focus) cell.focus();
  }
  for (const line of document.querySelectorAll("tr[data-b]")) line.setAttribute("aria-selected", String(Number(line.dataset.b) === behaviour));
  at("pick-behaviour").value = String(behaviour); at("pick-layer").value = String(layer);
  const p = row.p_value[layer];
  at("explore-head").textContent = `AUROC ${ends(...row.auroc[layer])}, over the strongest baseline ${ends(...row.excess[layer])}; ` +
    `shuffled labels ${signed(row.shuffled[layer][1])} to ${signed(row.shuffled[layer][2])}; Cohen's d ${signed(row.effect[layer][0], 2)}` +
    `${p === null ? "" : `; p ${signed(p)}`}; n = ${row.n_positive} spans of ${row.n_problems} problems. ` +
    `${EXPLORED.layers[layer] === row.best_layer ? "This is the layer to use: " : `The layer to use is ${row.best_layer}: `}${row.why}.`;
  at("explore").setAttribute("aria-label", `${name}, layer ${EXPLORED.layers[layer]}`);
  drawCurve(); showSentences(); showCommands();
}
function startExplorer() {
  if (EXPLORED === null) return;
  at("explore").hidden = false; at("measure-of").hidden = false;
  at("pick-behaviour").append(...EXPLORED.behaviours.map((name, place) => make("option", name, { value: String(place) })));
  at("pick-layer").append(...EXPLORED.layers.map((layer, place) => make("option", String(layer), { value: String(place) })));
  at("pick-behaviour").onchange = () => choose(Number(at("pick-behaviour").value), chosen.layer);
  at("pick-layer").onchange = () => choose(chosen.behaviour, Number(at("pick-layer").value));
  at("measure").onchange = colourCells;
  const grid = document.querySelector(".heat");
  grid.addEventListener("click", event => {
    const cell = event.target.closest('[role="gridcell"]');
    if (cell) choose(Number(cell.dataset.b), Number(cell.dataset.l));
  });
  grid.addEventListener("keydown", event => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -chosen.layer], End: [0, EXPLORED.layers.length] }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const within = (place, list) => Math.min(list.length - 1, Math.max(0, place));
    choose(within(chosen.behaviour + step[0], EXPLORED.behaviours), within(chosen.layer + step[1], EXPLORED.layers), true);
  });
  for (const button of document.querySelectorAll("button.pick")) button.onclick = () => {
    const place = Number(button.dataset.b);
    choose(place, EXPLORED.layers.indexOf(rowOf(place).best_layer));
    at("explore").scrollIntoView({ block: "nearest" });
  };
  redrawn.add(drawCurve);
  new ResizeObserver(() => { const plot = at("explore-curve"); if (plot.dataset.width && Number(plot.dataset.width) !== Math.floor(plot.clientWidth)) drawCurve(); }).observe(at("explore-curve"));
  colourCells();
  const first = EXPLORED.first;
  choose(first, EXPLORED.layers.indexOf(rowOf(first).best_layer));
}
