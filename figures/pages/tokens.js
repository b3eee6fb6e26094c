// The token view: text in blocks; the tokens of the blocks near the window are elements, coloured by the chosen channel.
const VIEWED = content("tokens");
const WARM = "213, 94, 0", COLD = "0, 114, 178", STRONG = 0.7;  // letters keep their contrast
const KINDS = ["0, 114, 178", "213, 94, 0", "0, 158, 115", "204, 121, 167", "184, 134, 11", "122, 92, 201", "42, 157, 165", "176, 58, 72"];
const BLOCK = 48, LONGEST = 400;  // tokens: a block ends at the first line break after so many, or there
const view = { trace: null, blocks: [], channel: null, token: -1, strong: [] };

function unpack(channel) {
  if (channel.values) return channel.values;
  const bytes = Uint8Array.from(atob(channel.packed), letter => letter.charCodeAt(0)), steps = new DataView(bytes.buffer);
  channel.values = Float32Array.from({ length: bytes.length / 2 }, (_, place) => {
    const step = steps.getInt16(2 * place, true);
    return step === -32768 ? NaN : channel.middle + step * channel.step;
  });
  return channel.values;
}
function shadeOfToken(channel, value) {
  if (Number.isNaN(value)) return "";
  if (channel.categories.length) { const kind = Math.round(value); return kind === 0 ? "" : `rgba(${KINDS[(kind - 1) % KINDS.length]}, .4)`; }
  const share = Math.max(-1, Math.min(1, (value - channel.centre) / (channel.reach || 1)));
  return Math.abs(share) < 0.04 ? "" : `rgba(${share > 0 ? WARM : COLD}, ${(STRONG * Math.abs(share)).toFixed(2)})`;
}
const written = (channel, value) => Number.isNaN(value) ? "–" : channel.categories.length ? channel.categories[Math.round(value)] : `${signed(value, 2)}${channel.unit ? ` ${channel.unit}` : ""}`;
const bandColour = label => `rgb(${KINDS[view.labels.indexOf(label) % KINDS.length]})`;

function blocksOf(tokens) {
  const blocks = [];
  let first = 0;
  for (let place = 0; place < tokens.length; place++) {
    const n = place - first + 1;
    if (place === tokens.length - 1 || (n >= BLOCK && tokens[place].endsWith("\n")) || (n >= LONGEST && /\s$/.test(tokens[place] + (tokens[place + 1] ?? " ")[0]))) {
      blocks.push({ first, stop: place + 1, element: make("div", tokens.slice(first, place + 1).join(""), { dir: "auto" }), filled: false });
      first = place + 1;
    }
  }
  return blocks;
}
const blockAt = place => view.blocks.find(block => place >= block.first && place < block.stop);
function paint(block) {
  const values = view.channel ? unpack(view.channel) : null, on = at("view-bands").checked;
  block.isStale = false;
  for (const token of block.element.children) {
    if (token.className === "tag") { token.hidden = !on; continue; }
    const place = Number(token.dataset.p), label = view.bandOf[place];
    token.style.background = values ? shadeOfToken(view.channel, values[place]) : "";
    token.className = `${on && label ? "band" : ""}${place === view.token ? " at" : ""}`;
    if (on && label) token.style.setProperty("--band", bandColour(label));
  }
}
function fill(block) {
  if (block.filled) return;
  block.filled = true;
  const parts = [];
  for (let place = block.first; place < block.stop; place++) {
    for (const label of view.begins.get(place) ?? []) parts.push(make("b", label, { className: "tag" }));
    const token = make("span", view.trace.tokens[place]);
    token.dataset.p = String(place);
    parts.push(token);
  }
  block.element.replaceChildren(...parts);
  paint(block);
}
function show(block) {
  if (!block.filled) fill(block); else if (block.isStale) paint(block);
}
function repaint() { for (const block of view.blocks) if (block.filled) { block.isStale = true; if (block.isNear) paint(block); } }  // others when they come

function drawMap() {
  const canvas = at("view-map"), n = view.trace.tokens.length, width = Math.max(1, Math.floor(canvas.clientWidth * devicePixelRatio));
  canvas.width = width; canvas.height = 44 * devicePixelRatio;
  const brush = canvas.getContext("2d"), high = canvas.height, values = view.channel ? unpack(view.channel) : null;
  const rule = high * 0.7;
  for (let x = 0; x < width; x++) {
    const first = Math.floor(x * n / width), stop = Math.max(first + 1, Math.floor((x + 1) * n / width));
    if (values) {
      let strongest = NaN;  // of these tokens the one that stands out most
      for (let place = first; place < stop; place++) {
        const value = values[place], out = view.channel.categories.length ? value : Math.abs(value - view.channel.centre);
        if (!Number.isNaN(value) && !(out <= (view.channel.categories.length ? strongest : Math.abs(strongest - view.channel.centre)))) strongest = value;
      }
      brush.fillStyle = shadeOfToken(view.channel, strongest) || "transparent";
      brush.fillRect(x, 0, 1, rule);
    }
    const label = at("view-bands").checked ? view.bandOf[first] : undefined;
    if (label) { brush.fillStyle = bandColour(label); brush.fillRect(x, rule + 2, 1, high - rule - 2); }
  }
  if (view.token >= 0) { brush.fillStyle = colour("--ink"); brush.fillRect(Math.round(view.token * width / n), 0, 2 * devicePixelRatio, high); }
}
let asked;
function mapSoon() { asked ??= requestAnimationFrame(() => { asked = undefined; drawMap(); }); }

function say(place) {
  const parts = [`token ${place}: ${JSON.stringify(view.trace.tokens[place])}`];
  if (view.trace.notes[place]) parts.push(view.trace.notes[place]);
  if (view.bandOf[place]) parts.push(`labelled ${view.bandOf[place]}`);
  const { behaviour, layer } = view.channel ?? {};
  const others = view.trace.channels.filter(channel => channel === view.channel || !channel.behaviour || (channel.behaviour === behaviour && (channel.layer === layer || channel.layer === null || channel.measure !== view.channel.measure)));
  for (const channel of others.slice(0, 12)) {
    const where = [channel.behaviour, channel.layer === null ? "" : `layer ${channel.layer}`].filter(Boolean).join(", ");
    parts.push(`${channel.measure}${where ? ` (${where})` : ""} ${written(channel, unpack(channel)[place])}`);
  }
  at("view-state").textContent = parts.join(" · ");
}
function go(place, scroll = true) {
  if (place < 0 || place >= view.trace.tokens.length) return;
  const before = view.token >= 0 ? blockAt(view.token) : null, block = blockAt(place);
  view.token = place;
  show(block);
  for (const one of new Set([before, block])) if (one?.filled) paint(one);
  if (scroll) block.element.querySelector(`[data-p="${place}"]`).scrollIntoView({ block: "center" });
  say(place); mapSoon();
}
function options(select, values, spoken = String) {
  const old = select.value;
  select.replaceChildren(...values.map(value => make("option", spoken(value), { value: String(value) })));
  if (values.map(String).includes(old)) select.value = old;
  at(`${select.id}-of`) && (at(`${select.id}-of`).hidden = values.length < 2 && (values[0] ?? "") === "");
}
function chooseChannel() {
  const channels = view.trace.channels, measure = at("view-measure"), behaviour = at("view-behaviour"), layer = at("view-layer");
  const all = (list, key) => [...new Set(list.map(channel => channel[key]))];
  const of_measure = channels.filter(channel => channel.measure === measure.value);
  options(behaviour, all(of_measure, "behaviour"));
  const of_behaviour = of_measure.filter(channel => channel.behaviour === behaviour.value);
  options(layer, all(of_behaviour, "layer").map(value => value ?? ""));
  view.channel = of_behaviour.find(channel => String(channel.layer ?? "") === layer.value) ?? null;
  const key = at("view-key");
  key.replaceChildren();
  if (view.channel?.categories.length) view.channel.categories.forEach((name, kind) => {
    const entry = make("span"), swatch = make("i", "", { className: "swatch" });
    swatch.style.background = shadeOfToken(view.channel, kind);
    swatch.style.border = kind ? "" : "1px solid var(--line)";
    entry.append(swatch, name); key.append(entry);
  });
  else if (view.channel) {
    const { centre, reach, signed: both } = view.channel, ramp = make("i", "", { className: "ramp" });
    ramp.style.background = `linear-gradient(90deg, ${both ? `rgba(${COLD}, ${STRONG}), ` : ""}transparent, rgba(${WARM}, ${STRONG}))`;
    key.append(both ? signed(centre - reach, 2) : signed(centre, 2), ramp, `${signed(centre + reach, 2)} ${view.channel.unit}`);
  }
  const values = view.channel ? unpack(view.channel) : [];
  const out = Array.from(values, value => Number.isNaN(value) ? 0 : view.channel.categories.length ? value : Math.abs(value - view.channel.centre));
  const limit = view.channel?.categories.length ? 0.5 : [...out].sort((one, other) => other - one)[Math.min(out.length - 1, Math.max(9, Math.floor(out.length / 100)))] ?? 0;
  view.strong = out.flatMap((value, place) => value >= limit && value > 0 && !(view.channel.categories.length && out[place - 1] === value) ? [place] : []);
  repaint(); mapSoon();
  if (view.token >= 0) say(view.token);
}
let near;
function chooseTrace() {
  const trace = view.trace = VIEWED.traces[Number(at("view-trace").value)];
  view.labels = [...new Set(VIEWED.traces.flatMap(one => one.bands.map(band => band[2])))];
  view.bandOf = new Array(trace.tokens.length); view.begins = new Map(); view.token = -1;
  for (const [first, stop, label] of [...trace.bands].sort((one, other) => one[0] - other[0])) {
    view.bandOf.fill(label, first, stop);
    view.begins.set(first, [...(view.begins.get(first) ?? []), label]);
  }
  view.blocks = blocksOf(trace.tokens);
  at("view-prompt").textContent = trace.prompt; at("view-prompt").hidden = !trace.prompt;
  near?.disconnect();
  near = new IntersectionObserver(entries => entries.forEach(entry => {
    const block = view.blocks[Number(entry.target.dataset.n)];
    block.isNear = entry.isIntersecting;
    if (block.isNear) show(block);
  }), { rootMargin: "500px" });
  at("view-text").replaceChildren(...view.blocks.map((block, number) => { block.element.dataset.n = String(number); return block.element; }));
  view.blocks.forEach(block => near.observe(block.element));
  at("view-bands-of").hidden = !trace.bands.length;
  options(at("view-measure"), [...new Set(trace.channels.map(channel => channel.measure))]);
  chooseChannel();
}
function startTokens() {
  if (VIEWED === null) return;
  at("view").hidden = false;
  options(at("view-trace"), VIEWED.traces.map((_, place) => place), place => VIEWED.traces[place].name);
  at("view-trace-of").hidden = VIEWED.traces.length < 2;
  at("view-trace").onchange = chooseTrace;
  for (const name of ["measure", "behaviour", "layer"]) at(`view-${name}`).onchange = chooseChannel;
  at("view-bands").onchange = () => { repaint(); mapSoon(); };
  const jump = forward => go(forward ? view.strong.find(place => place > view.token) ?? view.strong[0] : view.strong.findLast(place => place < view.token) ?? view.strong.at(-1));
  at("view-next").onclick = () => jump(true); at("view-before").onclick = () => jump(false);
  const text = at("view-text");
  text.addEventListener("pointerover", event => { const token = event.target.closest("[data-p]"); if (token) say(Number(token.dataset.p)); });
  text.addEventListener("click", event => { const token = event.target.closest("[data-p]"); if (token && getSelection().isCollapsed) go(Number(token.dataset.p), false); });
  text.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") go(view.token + 1); else if (event.key === "ArrowLeft") go(view.token - 1);
    else if (event.key === "n") jump(true); else if (event.key === "p") jump(false); else return;
    event.preventDefault();
  });
  at("view-map").onclick = event => go(Math.min(view.trace.tokens.length - 1, Math.floor(event.offsetX / at("view-map").clientWidth * view.trace.tokens.length)));
  new ResizeObserver(mapSoon).observe(at("view-map"));
  redrawn.add(mapSoon);
  addEventListener("beforeprint", () => view.blocks.forEach(fill));
  chooseTrace();
}
