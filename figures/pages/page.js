"use strict";
// What every page does: theme, figures drawn as they come into view, tables that sort, search and download, anchors.
const NONCE = document.currentScript.nonce;
const at = id => document.getElementById(id);
const make = (tag, text = "", given = {}) => Object.assign(document.createElement(tag), { textContent: text }, given);
const content = name => { const block = at(`data-${name}`); return block === null ? null : JSON.parse(block.textContent); };
const plain = markup => new DOMParser().parseFromString(markup.replaceAll("<br>", " "), "text/html").body.textContent;
const signed = (value, digits = 3) => value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
const ends = (value, low, high) => low === null ? signed(value) : `${signed(value)} [${signed(low)}, ${signed(high)}]`;
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function download(name, text) {
  const link = make("a", "", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
function copyable(source) {
  const button = make("button", "copy", { className: "copy quiet", type: "button" });
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(source.textContent); button.textContent = "copied"; }
    catch { getSelection().selectAllChildren(source); button.textContent = "selected: press Ctrl-C"; }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  };
  const box = make("div", "", { className: "code-box" });
  source.replaceWith(box);
  box.append(source, button);
}

// ---- theme: as the system, light or dark ----
const THEMES = ["as the system", "light", "dark"];
const redrawn = new Set();  // functions that draw again in other colours
function setTheme(theme) {
  if (theme === THEMES[0]) delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  at("theme").textContent = { light: "☀", dark: "☾" }[theme] ?? "◐";
  at("theme").title = `theme: ${theme}; press for the next`;
  at("theme").setAttribute("aria-label", at("theme").title);
  redrawn.forEach(draw => draw());
}
function startTheme() {
  let theme = THEMES[0];
  try { theme = THEMES.find(name => name === localStorage.getItem("reasonlens-theme")) ?? theme; } catch { /* a sandbox has no storage */ }
  at("theme").hidden = false;
  setTheme(theme);
  at("theme").onclick = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.setItem("reasonlens-theme", theme); } catch { /* nor needs it */ }
    setTheme(theme);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawn.forEach(draw => draw()));
}

// ---- figures ----
let unpacked;
function plotly() {
  unpacked ??= (async () => {
    const packed = Uint8Array.from(atob(at("plotly").textContent), letter => letter.charCodeAt(0));
    const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    const script = make("script", text);
    script.nonce = NONCE;
    document.head.append(script);
    return window.Plotly;
  })();
  return unpacked;
}
const PANEL = 250;  // pixels: a panel that would be narrower moves to a row of its own
function wrapped(markup, width) {
  const lines = [""], letters = Math.max(12, Math.floor(width / 6.5));
  for (const word of plain(markup).split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= letters) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
  }
  return lines.map(line => make("i", line).innerHTML).join("<br>");
}
function panelsOf(layout) {
  const panels = [];
  for (const key of Object.keys(layout)) {
    if (!/^xaxis\d*$/.test(key)) continue;
    const x = layout[key], yKey = (x.anchor ?? "y").replace("y", "yaxis"), y = layout[yKey];
    if (x.domain && y?.domain && !x.overlaying && !y.overlaying) panels.push({ x, y, key, yKey, left: x.domain[0], top: y.domain[1] });
  }
  const same = (one, other) => Math.abs(one - other) < 0.004;
  for (const panel of panels) {
    panel.title = (layout.annotations ?? []).find(note => note.xref === "paper" && note.yref === "paper" && !note.showarrow && !note.textangle
      && Math.abs(note.y - panel.top) < 0.02 && note.x >= panel.x.domain[0] - 0.01 && note.x <= panel.x.domain[1] + 0.01);
  }
  for (const panel of panels) {
    panel.above = panels.find(other => same(other.left, panel.left) && other.title && other.top >= panel.top - 0.001);
    panel.first = panels.filter(other => same(other.top, panel.top)).sort((one, other) => one.left - other.left)[0];
    panel.last = panels.filter(other => same(other.left, panel.left)).sort((one, other) => one.top - other.top)[0];
  }
  return panels.sort((one, other) => other.top - one.top || one.left - other.left);
}
function fitted(figure, width) {
  const { data, layout } = structuredClone(figure);
  const narrow = width < 600, margin = layout.margin ?? {};
  const inside = (layout.height ?? 400) - (margin.t ?? 90) - (margin.b ?? 50);
  delete layout.title;
  layout.showlegend = false;
  layout.font = { ...layout.font, color: colour("--ink"), size: narrow ? 12 : 13 };
  layout.hoverlabel = { align: "left", namelength: -1 };
  let height = inside, top = 34;
  const beside = (layout.annotations ?? []).filter(note => note.xref === "paper" && note.x > 1);  // words right of a row
  if (narrow) layout.annotations = (layout.annotations ?? []).filter(note => !beside.includes(note));
  for (const trace of data) if (trace.colorbar) trace.colorbar.nticks = Math.max(3, Math.floor(inside / 45));
  if (narrow) for (const trace of data) if (trace.type === "heatmap" && trace.texttemplate && trace.z?.[0]?.length > 5) delete trace.texttemplate;  // too small to be read
  const has = trace => [trace.x, trace.y, trace.z].some(values => values?.length || values?.bdata);
  const isEmpty = panel => !data.some(trace => (trace.yaxis ?? "y") === panel.yKey.replace("axis", "") && has(trace));
  const all = panelsOf(layout), unused = all.filter(panel => isEmpty(panel) && !panel.title);
  for (const panel of unused) panel.x.visible = panel.y.visible = false;  // places of a grid that nothing stands in
  const panels = all.filter(panel => !unused.includes(panel)), columns = new Set(panels.map(panel => panel.left.toFixed(3))).size;
  const fit = Math.max(1, Math.floor((width - 60) / PANEL));
  const across = Math.min(columns, fit), moved = panels.length > 1 && across < columns;
  const shown = panels.map(panel => panel.title ?? panel.above?.title);
  const room = (width - 80) / Math.max(1, moved ? across : columns);
  const lines = Math.max(0, ...shown.filter(Boolean).map(note => wrapped(note.text, room).split("<br>").length));
  top = 18 + 16 * lines;
  if (moved) {
    const rows = Math.ceil(panels.length / across), gap = 62 + 16 * lines;
    const each = Math.max(150, Math.min(230, inside * (panels[0].y.domain[1] - panels[0].y.domain[0])));
    height = rows * each + (rows - 1) * gap;
    const own = new Set(panels.map(panel => panel.title));
    layout.annotations = (layout.annotations ?? []).filter(note => !own.has(note));
    const xTitles = panels.map(panel => panel.last.x.title), yTitles = panels.map(panel => panel.first.y.title);
    panels.forEach((panel, place) => {
      const row = Math.floor(place / across), column = place % across, share = 0.09;
      const left = column / across + (column ? share / 2 : 0), right = (column + 1) / across - (column < across - 1 ? share / 2 : 0);
      const high = 1 - row * (each + gap) / height;
      panel.x.domain = [left, right];
      panel.y.domain = [Math.max(0, high - each / height), high];
      delete panel.x.matches;
      panel.x.showticklabels = panel.y.showticklabels = !isEmpty(panel);
      panel.x.title = xTitles[place];
      panel.y.title = column === 0 || panel.first.y.title !== yTitles[place - 1] ? yTitles[place] : undefined;
      const note = shown[place];
      if (note) layout.annotations.push({ ...structuredClone(note), text: wrapped(note.text, room), x: (left + right) / 2, y: high, xanchor: "center", yanchor: "bottom" });
    });
  } else {
    for (const panel of panels) if (panel.title) panel.title.text = wrapped(panel.title.text, room);
  }
  for (const key of Object.keys(layout)) {
    const axis = layout[key];
    if (!/^[xy]axis\d*$/.test(key) || !axis.title?.text) continue;  // a title longer than its axis would lie on the next one's
    const [from, to] = axis.domain ?? [0, 1], room = key.startsWith("x") ? (to - from) * (width - (narrow ? 180 : 90)) : (to - from) * height + 20;
    axis.title = { ...axis.title, text: wrapped(axis.title.text, room), font: { size: layout.font.size } };
  }
  for (const key of Object.keys(layout)) {
    const axis = layout[key];
    if (!/^xaxis\d*$/.test(key) || typeof axis.dtick !== "number" || axis.type === "log") continue;
    const xs = axis.range ?? data.filter(trace => (trace.xaxis ?? "x") === key.replace("axis", "")).flatMap(trace => Array.isArray(trace.x) ? trace.x : []).filter(Number.isFinite);
    const [from, to] = axis.domain ?? [0, 1], fits = Math.max(2, (to - from) * (width - (narrow ? 230 : 90)) / 24);
    axis.dtick *= Math.max(1, Math.ceil((Math.max(...xs) - Math.min(...xs)) / axis.dtick / fits));
  }
  if (narrow) for (const key of Object.keys(layout)) {
    const axis = layout[key];
    if (/^yaxis\d*$/.test(key) && axis.ticktext) axis.ticktext = axis.ticktext.map(text => wrapped(text, 110));
  }
  layout.margin = { l: 8, r: narrow ? 8 : beside.length ? Math.max(20, margin.r ?? 0) : 20, t: top, b: 48 };
  layout.height = height + layout.margin.t + layout.margin.b;
  layout.width = width;
  return { data, layout };
}
function legendOf(figure, plot) {
  const entries = figure.data.filter(trace => trace.name && trace.showlegend !== false && (figure.data.length > 1 || trace.showlegend));
  if (figure.layout.showlegend === false || !entries.length) return null;
  const list = make("ul", "", { className: "legend" });
  for (const trace of entries) {
    const lines = trace.mode === undefined || trace.mode.includes("lines"), mark = make("i", "", { className: lines && trace.type === "scatter" ? "" : "mark" });
    const shade = [trace.line?.color, trace.marker?.color, trace.marker?.line?.color].find(value => typeof value === "string") ?? trace.marker?.color?.[0] ?? "#777";
    const symbol = String(trace.marker?.symbol ?? "");
    if (symbol.startsWith("square")) mark.style.borderRadius = "0"; else if (symbol.startsWith("diamond")) mark.style.cssText = "border-radius: 0; transform: rotate(45deg) scale(.8)";
    if (mark.className && symbol.endsWith("-open")) mark.style.border = `2px solid ${shade}`;
    else if (mark.className) mark.style.background = shade; else { mark.style.borderTopColor = shade; mark.style.borderTopStyle = { solid: "solid", undefined: "solid", dot: "dotted" }[trace.line?.dash] ?? "dashed"; }
    const button = make("button", "", { type: "button" });
    button.append(mark, plain(trace.name));
    button.setAttribute("aria-pressed", "true");
    button.onclick = async () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      const same = figure.data.flatMap((other, place) => (trace.legendgroup ? other.legendgroup === trace.legendgroup : other === trace) ? [place] : []);
      for (const place of same) figure.data[place].visible = on;
      (await plotly()).restyle(plot, { visible: on }, same);
    };
    const item = make("li"); item.append(button); list.append(item);
  }
  return list;
}
async function draw(plot, figure) {
  const Plotly = await plotly(), width = Math.floor(plot.clientWidth);
  if (!width) return;
  const { data, layout } = fitted(figure, width);
  await Plotly.react(plot, data, layout, { displaylogo: false, displayModeBar: width < 600 ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  plot.dataset.width = String(width);
}
function place(plot, figure) {
  let waiting;
  const again = () => { if (plot.dataset.width) draw(plot, figure); };
  redrawn.add(again);
  new ResizeObserver(() => {
    if (!plot.dataset.width || Number(plot.dataset.width) === Math.floor(plot.clientWidth)) return;
    clearTimeout(waiting); waiting = setTimeout(again, 120);
  }).observe(plot);
}
function startFigures() {
  const block = content("figures") ?? { figures: {} };
  const plots = [...document.querySelectorAll(".plot[data-figure]")];
  const figureOf = plot => block.figures[plot.dataset.figure];
  for (const plot of plots) {
    const figure = figureOf(plot);
    figure.layout.template = block.template;
    const legend = legendOf(figure, plot);
    if (legend) plot.before(legend);
    place(plot, figure);
  }
  const seen = new IntersectionObserver(entries => entries.forEach(entry => {
    if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target, figureOf(entry.target)); }
  }), { rootMargin: "400px" });
  plots.forEach(plot => seen.observe(plot));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach(fold => { fold.open = true; });
    if (window.Plotly) plots.filter(plot => !plot.dataset.width).forEach(plot => draw(plot, figureOf(plot)));
  });
}

// ---- tables ----
const exact = cell => {
  const value = cell?.querySelector("[data-v]");
  if (value) return Number(value.dataset.v);
  const text = cell?.textContent.trim() ?? "", number = Number.parseFloat(text.replace("−", "-"));
  return /^[-−+]?[\d.]/.test(text) && !Number.isNaN(number) ? number : text;
};
function csvOf(table) {
  const rows = [...table.tBodies].flatMap(body => [...body.rows]), head = [...table.tHead.rows[0].cells];
  const wide = head.map((_, column) => rows.some(row => row.cells[column]?.querySelector("[data-low]")));
  const field = value => {
    let text = String(value ?? "").trim().replace(/\s+/g, " ");
    if (/^[=+@\t]|^-(?![\d.])/.test(text)) text = `'${text}`;  // which a spreadsheet would compute
    return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const line = values => values.map(field).join(",");
  const titles = head.flatMap((cell, column) => wide[column] ? ["", " low", " high"].map(end => cell.dataset.name + end) : [cell.dataset.name]);
  return [line(titles), ...rows.map(row => line(head.flatMap((_, column) => {
    const cell = row.cells[column], value = cell?.querySelector("[data-v]");
    if (wide[column]) return value ? [value.dataset.v, value.dataset.low, value.dataset.high] : ["", "", ""];
    return [cell?.querySelectorAll("[data-v]").length === 1 ? value.dataset.v : cell?.textContent];
  })))].join("\n") + "\n";
}
function enrich(table) {
  if (!table.tHead || !table.tBodies.length) return;
  const body = table.tBodies[0], name = table.dataset.name ?? "table";
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    cell.dataset.name = cell.textContent.trim().replace(/\s+/g, " ");
    const button = make("button", cell.textContent, { type: "button" });
    button.onclick = () => {
      const down = cell.getAttribute("aria-sort") !== "descending";
      [...table.tHead.rows[0].cells].forEach(other => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = [...body.rows].map(row => [exact(row.cells[column]), row]).sort(([one], [other]) => {
        if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;  // what is not known comes last
        const by = typeof one === "number" ? one - other : one.localeCompare(other);
        return down ? -by : by;
      });
      body.append(...order.map(([, row]) => row));
    };
    cell.replaceChildren(button);
  });
  const tools = make("div", "", { className: "tools" }), rows = [...body.rows];
  if (rows.length > 6) {
    const search = make("input", "", { type: "search", placeholder: `search ${rows.length} rows` });
    search.setAttribute("aria-label", `Search the table ${name}`);
    search.oninput = () => { for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(search.value.toLowerCase()); };
    tools.append(search);
  }
  const csv = make("button", "CSV", { type: "button", title: "Download the table with every digit" });
  csv.setAttribute("aria-label", `Download the table ${name} as CSV`);
  csv.onclick = () => download(`${name}.csv`, csvOf(table));
  tools.append(csv);
  const around = table.closest(".wide") ?? table;
  around.before(tools);
}
function startTables() {
  document.querySelectorAll("table.data").forEach(enrich);
  document.querySelectorAll(".wide").forEach(around => {
    around.tabIndex = 0; around.setAttribute("role", "region");
    around.setAttribute("aria-label", around.querySelector("table")?.dataset.name ?? "wide content");
  });
  document.querySelectorAll("pre.code").forEach(copyable);
}

// ---- anchors: a link to what is folded opens it ----
function unfold() {
  let place = null;
  try { place = at(decodeURIComponent(location.hash.slice(1))); } catch { return; }
  for (let around = place; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
  if (location.hash.length > 1) place?.scrollIntoView();
}
