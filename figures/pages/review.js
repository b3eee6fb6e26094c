// A review of labels: the traces of a file, one of them with its sentences, and the keys that correct them. Served by
// `reasonlens label review`; what models wrote is put in as text.
function startReview() {
  if (!at("behaviours")) return;
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A8A8A", "#B8A800", "#7A5AB5", "#A0522D"];
  const KEYS = "123456789abcdefghij";
  let overview, trace, chosen = 0, busy = Promise.resolve();
  const shade = label => { const place = overview.behaviours.findIndex(one => one.name === label); return place < 0 ? "" : COLOURS[place % COLOURS.length]; };
  const shown = label => label === null ? "?" : label === "" ? "none" : label;
  const total = name => overview.traces.reduce((sum, row) => sum + row[name], 0);

  async function ask(path, body) {
    const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(path, options);
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }
  function say(text, failed = false) { at("state").textContent = text; at("state").className = failed ? "failed" : ""; }
  function guarded(work) { busy = busy.then(work).catch(error => say(`not saved: ${error.message}`, true)); return busy; }

  function drawCount() {
    at("count").textContent = `${total("n_open")} of ${total("n_disputed")} sentences in dispute wait for a person; ${overview.n_reviewed} of ${total("n_sentences")} sentences reviewed.`;
  }
  function drawRow(row) {
    const button = make("button", row.id, { type: "button" });
    button.append(make("br"), make("small", `${row.n_open} of ${row.n_disputed} in dispute open, ${row.n_reviewed}/${row.n_sentences} reviewed`));
    button.setAttribute("aria-current", String(trace !== undefined && row.place === trace.place));
    button.onclick = () => guarded(() => open(row.place));
    const item = make("li"); item.dataset.place = String(row.place); item.append(button); return item;
  }
  function markTrace() {
    for (const item of at("traces").children) {
      const isOpen = Number(item.dataset.place) === trace.place, list = at("traces").parentElement;
      item.firstChild.setAttribute("aria-current", String(isOpen));
      if (isOpen) list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 3;
    }
  }
  function drawText() {
    at("id").textContent = trace.id; at("prompt").textContent = trace.prompt;
    const parts = []; let before = 0;
    const characters = Array.from(trace.text);  // places count code points
    const piece = (start, end) => characters.slice(start, end).join("");
    trace.sentences.forEach((sentence, number) => {
      parts.push(document.createTextNode(piece(before, sentence.start)));
      const part = make("span", "", { className: "sentence", id: `sentence-${number}` });
      const name = make("span", shown(sentence.label), { className: sentence.by.person === undefined || sentence.by.person === null ? "name" : "name person" });
      if (sentence.is_open) name.append(make("span", " ≠", { className: "dispute", title: "annotators differ" }));
      part.append(name, document.createTextNode(piece(sentence.start, sentence.end)));
      part.style.borderBottomColor = shade(sentence.label);
      part.dataset.open = String(sentence.is_open); part.dataset.number = String(number); part.dataset.label = String(sentence.label);
      part.setAttribute("role", "option"); part.setAttribute("aria-selected", String(number === chosen));
      part.onclick = () => choose(number);
      parts.push(part); before = sentence.end;
    });
    parts.push(document.createTextNode(piece(before)));
    at("text").replaceChildren(...parts);
    drawChoice();
  }
  function drawChoice() {
    const sentence = trace.sentences[chosen];
    at("text").querySelectorAll(".sentence").forEach((part, number) => {
      part.setAttribute("aria-selected", String(number === chosen));
      if (number === chosen) { part.scrollIntoView({ block: "nearest" }); at("text").setAttribute("aria-activedescendant", part.id); }
    });
    at("says").replaceChildren(...(sentence ? Object.entries(sentence.by).map(([who, label]) => {
      const item = make("li"); item.append(make("span", `${who}: `, { className: "soft" }), make("b", shown(label))); return item;
    }) : []));
    for (const button of at("behaviours").querySelectorAll("button")) button.setAttribute("aria-pressed", String(sentence !== undefined && button.value === sentence.label));
  }
  function drawBehaviours() {
    const rows = [{ name: "", definition: "shows none of these" }, ...overview.behaviours];
    at("behaviours").replaceChildren(...rows.map((row, number) => {
      const button = make("button", "", { type: "button", value: row.name, title: row.definition }), key = number === 0 ? "0" : KEYS[number - 1];
      button.append(make("kbd", key ?? ""), document.createTextNode(` ${shown(row.name)}`));
      button.style.borderLeftColor = shade(row.name) || "transparent";
      button.onclick = () => label(row.name);
      const item = make("li"); item.append(button, make("small", row.definition)); return item;
    }));
  }
  function choose(number) { if (number >= 0 && number < trace.sentences.length) { chosen = number; drawChoice(); } }
  function nextOpen() {
    const after = trace.sentences.findIndex((sentence, number) => number > chosen && sentence.is_open);
    const place = after >= 0 ? after : trace.sentences.findIndex(sentence => sentence.is_open);
    if (place >= 0) { choose(place); return; }
    const row = overview.traces.find(other => other.n_open > 0 && other.place !== trace.place);
    if (row) guarded(() => open(row.place)); else say("nothing is left in dispute");
  }
  function label(name) {
    const place = trace.place, sentence = chosen;
    guarded(async () => {
      const answer = await ask("/correct", { place, sentence, label: name });
      overview.n_reviewed = answer.n_reviewed;
      const row = overview.traces.findIndex(one => one.place === place);
      overview.traces[row] = answer.counts;
      at("traces").children[row].replaceWith(drawRow(answer.counts));
      if (trace.place === place) { trace = answer.trace; drawText(); }
      drawCount(); say("saved");
    });
  }
  async function open(place) {
    trace = await ask(`/trace?place=${place}`);
    chosen = Math.max(trace.sentences.findIndex(sentence => sentence.is_open), 0);
    markTrace(); drawText();
  }
  function step(by) {
    const places = overview.traces.map(row => row.place);
    const next = places[places.indexOf(trace.place) + by];
    if (next !== undefined) guarded(() => open(next));
  }
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || trace === undefined) return;
    if (event.target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ")) return;
    const number = event.key === "0" ? 0 : KEYS.indexOf(event.key) + 1;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "n") nextOpen();
    else if (event.key === "x") label(null);
    else if (event.key === "Enter" && trace.sentences[chosen]?.label !== null) label(trace.sentences[chosen].label);
    else if (event.key === "0") label("");
    else if (event.key.length === 1 && number > 0 && number <= overview.behaviours.length) label(overview.behaviours[number - 1].name);
    else return;
    event.preventDefault();
  });
  at("end").onclick = () => guarded(async () => {
    await ask("/end", {});
    trace = undefined;
    at("main").replaceChildren(make("p", "The review is ended; every correction is saved. You can close this page.", { className: "verdict" }));
  });
  guarded(async () => {
    overview = await ask("/overview");
    drawBehaviours(); drawCount();
    at("traces").replaceChildren(...overview.traces.map(drawRow));
    await open(overview.traces[0].place);
  });
}
