// The figures: variants and seeds shown and hidden, values under the pointer or by the arrow keys, saved as SVG or PNG.
const hidden = { variants: new Set(), seeds: new Set() };
const INSIDE = 12; // rows of the readout that can be read at a glance

/** Hide in every figure what is switched off. */
function applyHidden() {
  const rules = [
    ...[...hidden.variants].map((index) => `figure .v.v${index}`),
    ...[...hidden.seeds].map((seed) => `figure .seed.s${seed}`),
  ];
  byId("hidden-parts").textContent = rules.length ? `${rules.join(",")} { display: none; }` : "";
}
document.head.append(make("style", { id: "hidden-parts" }));

function toggle(of, key, ...label) {
  const made = button("", () => {
    const on = of.has(key);
    if (on) of.delete(key); else of.add(key);
    made.setAttribute("aria-pressed", String(on));
    applyHidden();
  }, { "aria-pressed": "true" });
  made.append(...label);
  return made;
}

function fillToggles() {
  const choices = byId("shown-variants");
  const buttons = data.variants.map((variant, index) => toggle(hidden.variants, index, swatch(index), variant.name));
  data.variants.forEach((variant, index) => { buttons[index].title = variant.name; });
  const all = (on) => () => {
    buttons.forEach((one, index) => {
      one.setAttribute("aria-pressed", String(on));
      if (on) hidden.variants.delete(index); else hidden.variants.add(index);
    });
    applyHidden();
  };
  choices.append("Show", ...buttons);
  if (buttons.length > 3) choices.append(button("all", all(true)), button("none", all(false)));
  byId("toggles").classList.toggle("many", buttons.length > 12);
  if (data.seeds.length > 1) {
    byId("shown-seeds").append("Seeds", ...data.seeds.map((seed) => toggle(hidden.seeds, seed, String(seed))));
  }
  byId("toggles").hidden = false;
}

// --- values ------------------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

/** Return where a value lies between two ends, from 0 to 1. */
function share(value, [low, high], log) {
  const at = log ? Math.log : (one) => one;
  return (at(value) - at(low)) / (at(high) - at(low));
}

/** Return the epochs that any series of some axes has. */
function epochsOf(axes) {
  const found = new Set();
  for (const one of axes.series) for (const epoch of data.curves[one.metric].variants[one.variant]?.epochs ?? []) found.add(epoch);
  return [...found].filter((epoch) => epoch >= axes.x[0] && epoch <= axes.x[1]).sort((a, b) => a - b);
}

/** Return what the series of some axes are at an epoch, the highest first. */
function valuesAt(axes, epoch) {
  const found = [];
  for (const one of axes.series) {
    if (hidden.variants.has(one.variant)) continue;
    const curve = data.curves[one.metric];
    const of = curve.variants[one.variant];
    const at = of ? of.epochs.indexOf(epoch) : -1;
    if (at < 0) continue;
    found.push({ ...one, value: of.mean[at], text: curve.log ? of.mean[at].toExponential(1) : of.mean[at].toFixed(curve.decimals) });
  }
  return found.sort((a, b) => b.value - a.value);
}

/** Show values of a figure under the pointer, and by the arrow keys where the figure has the focus. */
function readable(figure) {
  const card = figure.querySelector(".card");
  const svg = card.querySelector("svg");
  const every = JSON.parse(svg.dataset.axes || "[]").filter((axes) => (axes.series || []).length);
  if (!every.length) return;
  const line = document.createElementNS(SVG, "line");
  line.setAttribute("stroke", "currentColor");
  line.setAttribute("stroke-dasharray", "2 2");
  line.setAttribute("opacity", "0.6");
  const box = make("div", { class: "readout", role: "status", hidden: true });
  figure.append(box);
  let at = { axes: 0, epoch: null };

  const hide = () => { box.hidden = true; line.remove(); at.epoch = null; };
  const show = (place, epoch) => {
    const axes = every[place];
    const found = valuesAt(axes, epoch);
    if (!found.length) return hide();
    at = { axes: place, epoch };
    const [left, top, right, bottom] = axes.box;
    const x = left + share(epoch, axes.x, axes.log_x) * (right - left);
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: top, y2: bottom })) line.setAttribute(name, value);
    svg.append(line);
    const several = new Set(found.map((one) => one.metric)).size > 1;
    const rows = found.slice(0, INSIDE).map((one) => make("tr", {},
      make("th", { scope: "row" }, swatch(one.variant), data.variants[one.variant].name + (several ? `, ${data.curves[one.metric].label}` : "")),
      make("td", {}, one.text)));
    const more = found.length - rows.length;
    box.replaceChildren(
      make("b", {}, `${data.step ?? "Epoch"} ${epoch}`), several ? "" : ` ${data.curves[found[0].metric].heading}`,
      make("table", {}, make("tbody", {}, ...rows)), more > 0 ? `and ${more} more` : "");
    box.hidden = false;
    const view = svg.viewBox.baseVal;
    const drawn = svg.getBoundingClientRect();
    const outer = figure.getBoundingClientRect();
    const px = drawn.left - outer.left + ((x - view.x) / view.width) * drawn.width;
    const py = drawn.top - outer.top + ((top - view.y) / view.height) * drawn.height;
    const right_of = px + 14 + box.offsetWidth <= outer.width;
    box.style.left = `${Math.max(0, right_of ? px + 14 : px - 14 - box.offsetWidth)}px`;
    box.style.top = `${Math.max(0, py)}px`;
  };

  card.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const place = every.findIndex(({ box: [left, top, right, bottom] }) =>
      point.x >= left - 4 && point.x <= right + 4 && point.y >= top && point.y <= bottom);
    if (place < 0) return hide();
    const { box: [left, , right] } = every[place];
    const wanted = (point.x - left) / (right - left);
    const distance = (epoch) => Math.abs(share(epoch, every[place].x, every[place].log_x) - wanted);
    show(place, epochsOf(every[place]).reduce((best, epoch) => (distance(epoch) < distance(best) ? epoch : best)));
  });
  card.addEventListener("pointerleave", hide);
  card.addEventListener("blur", hide);
  card.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (event.key === "Escape") return hide();
    if (!steps || event.altKey || event.ctrlKey || event.metaKey) return undefined;
    event.preventDefault();
    const place = (at.axes + steps[0] + every.length) % every.length;
    const epochs = epochsOf(every[place]);
    const now = epochs.indexOf(at.epoch);
    const next = at.epoch === null ? epochs.length - 1 : Math.min(Math.max((now < 0 ? epochs.length - 1 : now) + steps[1], 0), epochs.length - 1);
    return show(place, epochs[next]);
  });
  card.setAttribute("aria-label", `${figure.querySelector("figcaption b")?.textContent ?? "Figure"} Arrow keys show its values.`);
  card.setAttribute("role", "group");
}

// --- files -------------------------------------------------------------------------------------------------------

/** Return a figure as a file of its own: what is shown of it, in the colours of the light page. */
function standalone(svg) {
  const probe = make("span", { "data-theme": "light", hidden: true });
  document.body.append(probe);
  const colours = getComputedStyle(probe);
  const copy = svg.cloneNode(true);
  for (const index of hidden.variants) for (const one of copy.querySelectorAll(`.v.v${index}`)) one.remove();
  for (const seed of hidden.seeds) for (const one of copy.querySelectorAll(`.seed.s${seed}`)) one.remove();
  copy.removeAttribute("data-axes");
  copy.setAttribute("xmlns", SVG);
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const text = new XMLSerializer().serializeToString(copy)
    .replace(/var\((--[\w-]+)(?:,\s*([^)]+))?\)/g, (_, name, usual) => colours.getPropertyValue(name).trim() || usual || "none");
  probe.remove();
  return { text, width, height };
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function picture(svg) {
  const { text, width, height } = standalone(svg);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = make("canvas", { width: Math.round(width * 3), height: Math.round(height * 3) });
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, "image/png"); });
}

function savable(figure, name) {
  const svg = figure.querySelector(".card svg");
  const said = make("span", { role: "status" });
  const done = (text) => () => { said.textContent = text; setTimeout(() => { said.textContent = ""; }, 3000); };
  const kinds = {
    SVG: [
      () => save(new Blob([standalone(svg).text], { type: "image/svg+xml" }), `${name}.svg`),
      () => copyText(standalone(svg).text).then(done("SVG copied")),
    ],
    PNG: [
      async () => save(await picture(svg), `${name}.png`),
      () => navigator.clipboard.write([new ClipboardItem({ "image/png": picture(svg) })]).then(done("PNG copied"), done("This browser does not copy pictures")),
    ],
  };
  figure.append(make("div", { class: "tools" }, ...Object.entries(kinds).map(([kind, [saves, copies]]) => make("span", { role: "group", "aria-label": kind }, `${kind} `,
    button("Save", saves, { "aria-label": `Save as ${kind}` }), " ",
    button("Copy", copies, { "aria-label": `Copy as ${kind}` }))), said));
}

for (const figure of document.querySelectorAll("figure")) {
  if (!figure.querySelector(".card svg")) continue;
  readable(figure);
  savable(figure, figure.id.replace(/^figure-/, ""));
}
if (byId("toggles") && document.querySelector("figure svg .v")) fillToggles();
