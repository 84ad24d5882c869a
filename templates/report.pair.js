// Two variants side by side: their numbers, what differs, their curves. Whatever is computed of the two was in Python.
if (byId("compare-part")) {
  const [a, b] = [byId("pair-a"), byId("pair-b")];
  const options = () => data.variants.map((variant, index) => make("option", { value: index }, variant.name));
  a.append(...options());
  b.append(...options());
  const first = data.pairs[0] ?? {};
  [a.value, b.value] = [first.candidate ?? 1, first.reference ?? 0];

  const cells = (tag, texts, attributes = {}) => texts.map((text) => make(tag, attributes, text ?? "–"));
  const scrolled = (label, table) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
  const head = (...texts) => make("thead", {}, make("tr", {}, ...cells("th", texts, { scope: "col" })));
  const named = (index) => [swatch(index), data.variants[index].name];

  /** Set the numbers of both beside each other, with the difference where one was computed. */
  function numbers(one, other, found) {
    const labels = [...new Set([other, one].flatMap((index) => data.variants[index].finals.map(([label]) => label)))];
    const of = (index, label) => data.variants[index].finals.find(([own]) => own === label);
    const cell = (entry) => make("td", { class: "mean" }, entry ? entry[1] : "–", entry?.[2] ? make("small", { class: "block" }, entry[2]) : null);
    const rows = labels.map((label) => {
      const compared = found.find((each) => each.metric === label);
      const verdict = compared ? make("b", { class: compared.tone }, compared.verdict) : "";
      return make("tr", {}, make("th", { scope: "row" }, label), cell(of(other, label)), cell(of(one, label)),
        make("td", { class: "change" }, compared ? make("b", {}, compared.difference) : "", compared ? make("small", {}, compared.interval) : ""),
        make("td", { class: "judged" }, verdict));
    });
    const top = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, data.step ? "At the end" : "After the last epoch"),
      make("th", { scope: "col", class: "mean" }, ...named(other)), make("th", { scope: "col", class: "mean" }, ...named(one)),
      make("th", { scope: "col", class: "change" }, "Difference"), make("th", { scope: "col" }, "Verdict")));
    return scrolled("Numbers of both", make("table", { class: "comparison plain" }, top, make("tbody", {}, ...rows)));
  }

  function changes(pair, turned, one, other) {
    if (!pair.changes.length) return make("p", { class: "note" }, "The two recipes are the same.");
    const rows = pair.changes.map(([factor, before, after]) => make("tr", {},
      make("th", { scope: "row" }, factor), make("td", { class: "before" }, turned ? after : before), make("td", {}, turned ? before : after)));
    return make("div", {}, make("h3", {}, "What differs"),
      scrolled("What differs", make("table", { class: "small" }, head("Setting", data.variants[other].name, data.variants[one].name), make("tbody", {}, ...rows))));
  }

  function bySeed(found, one, other) {
    if (!found?.seeds.length) return null;
    const value = (index, seed) => data.variants[index].seeds[seed];
    const rows = found.seeds.map(([seed, difference]) => make("tr", {},
      make("th", { scope: "row" }, String(seed)), ...cells("td", [value(other, seed), value(one, seed), difference])));
    return make("div", {}, make("h3", {}, `Seed by seed: ${found.metric}`),
      scrolled("Seed by seed", make("table", { class: "small" },
        head("Seed", data.variants[other].name, data.variants[one].name, "Difference"), make("tbody", {}, ...rows))));
  }

  function update() {
    const [one, other] = [Number(a.value), Number(b.value)];
    const curves = byId("pair-curves");
    if (one === other) {
      byId("pair").replaceChildren(make("p", { class: "note" }, "Choose two different ones."));
      curves.replaceChildren();
      return;
    }
    const pair = data.pairs.find((each) => new Set([each.candidate, each.reference, one, other]).size === 2);
    // The reader chose which one is compared with which, whatever way round the pair is stored.
    const turned = pair?.candidate === other;
    const found = (turned ? pair.turned : pair?.compared) ?? [];
    byId("pair").replaceChildren(
      ...found.slice(0, 1).map((each) => make("p", {}, each.told)),
      ...(pair?.cautions ?? []).map((text) => make("p", { class: "caution" }, text)),
      ...(pair ? [] : [make("p", { class: "note" }, data.unpaired)]),
      numbers(one, other, found),
      make("div", { class: "columns" }, ...[pair && changes(pair, turned, one, other), bySeed(found[0], one, other)].filter(Boolean)));
    curves.replaceChildren(...Object.entries(data.curves).map(([name, curve]) => chart(name, curve, [other, one])).filter(Boolean));
    for (const figure of curves.children) { readable(figure); savable(figure, figure.dataset.name); }
  }

  a.addEventListener("change", update);
  b.addEventListener("change", update);
  byId("pair-swap").addEventListener("click", () => { [a.value, b.value] = [b.value, a.value]; update(); });
  // Drawn when the reader comes near: of many variants there is much to lay out before the first screen.
  const near = new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting)) { near.disconnect(); update(); }
  }, { rootMargin: "600px" });
  byId("compare-part").hidden = false;
  if (byId("to-compare")) byId("to-compare").hidden = false;
  near.observe(byId("compare-part"));
}

// In the section of a variant, its curves over those of the one that it comes from: in a study of so many that the
// report has no figure for each.
{
  const place = (name) => data.variants.findIndex((variant) => variant.name === name);
  const draw = (article) => {
    const [own, parent] = [place(article.dataset.variant), place(article.dataset.parent)];
    const figures = ["test/loss", "test/accuracy"].filter((name) => data.curves[name] && own >= 0 && parent >= 0)
      .map((name) => chart(name, data.curves[name], [parent, own])).filter(Boolean);
    if (!figures.length) return;
    article.append(make("h4", {}, `Beside ${data.variants[parent].name}`), make("div", { class: "pair-curves" }, ...figures));
    for (const figure of figures) readable(figure);
  };
  const waiting = new Set([...document.querySelectorAll("article[data-parent]")].filter((article) => !article.querySelector("figure")));
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || !waiting.delete(target)) continue;
      seen.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "400px" });
  for (const article of waiting) seen.observe(article);
  addEventListener("beforeprint", () => {
    for (const article of [...waiting].slice(0, 30)) { waiting.delete(article); seen.unobserve(article); draw(article); }
  });
}

/** Draw a quantity of two variants by epoch, as the figures of the report have it: mean, range of the seeds, each seed. */
function chart(name, curve, indices) {
  const shown = indices.filter((index) => curve.variants[index]);
  if (!shown.length) return null;
  const [width, height, left, right, top, bottom] = [460, 250, 46, 452, 12, 222];
  const every = shown.flatMap((index) => { const of = curve.variants[index]; return [...of.mean, ...(of.low ?? []), ...(of.high ?? [])]; })
    .filter((value) => !curve.log || value > 0);
  const epochs = shown.flatMap((index) => curve.variants[index].epochs);
  const xs = [Math.min(...epochs) - 0.5, Math.max(...epochs) + 0.5];
  const scale = ticks(Math.min(...every), Math.max(...every), curve.log);
  const px = (epoch) => left + share(epoch, xs) * (right - left);
  const py = (value) => bottom - share(Math.max(value, scale.ends[0]), scale.ends, curve.log) * (bottom - top);
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "font-size": 11, "font-family": "DejaVu Sans, Verdana, sans-serif" });
  svg.append(node("title", {}, `${curve.heading} by ${(data.step ?? "Epoch").toLowerCase()} of ${shown.map((index) => data.variants[index].name).join(" and ")}`));
  for (const [value, text] of scale.ticks) {
    svg.append(node("line", { x1: left, x2: right, y1: py(value), y2: py(value), stroke: "var(--grid)" }),
      node("text", { x: left - 6, y: py(value) + 4, "text-anchor": "end", fill: "var(--ink)" }, text));
  }
  for (const [value, text] of ticks(xs[0], xs[1]).ticks.filter(([value]) => Number.isInteger(value) && value > 0 && value <= xs[1])) {
    svg.append(node("text", { x: px(value), y: bottom + 16, "text-anchor": "middle", fill: "var(--ink)" }, text));
  }
  svg.append(node("line", { x1: left, x2: right, y1: bottom, y2: bottom, stroke: "var(--muted)" }));
  const path = (epochs_, values) => values.map((value, at) => `${at ? "L" : "M"}${px(epochs_[at]).toFixed(1)} ${py(value).toFixed(1)}`).join("");
  for (const index of shown) {
    const of = curve.variants[index];
    const colour = `var(--v${data.variants[index].colour})`;
    const dash = shown.length > 1 && index === shown[0] ? "5 3" : null;
    const group = node("g", { class: `v v${index}`, fill: "none", stroke: colour });
    if (of.low && of.seeds.length > 1) {
      group.append(node("path", { d: `${path(of.epochs, of.low)}${path([...of.epochs].reverse(), [...of.high].reverse()).replace("M", "L")}Z`, fill: colour, stroke: "none", opacity: 0.13 }));
    }
    (of.values ?? []).forEach((values, at) => group.append(
      node("g", { class: `v v${index} seed s${of.seeds[at]}` }, node("path", { d: path(of.epochs, values), "stroke-width": 0.7, opacity: 0.5 }))));
    group.append(node("path", { d: path(of.epochs, of.mean), "stroke-width": 2, "stroke-dasharray": dash }));
    group.append(node("circle", { cx: px(of.epochs.at(-1)), cy: py(of.mean.at(-1)), r: 3, fill: colour }));
    svg.append(group);
  }
  svg.dataset.axes = JSON.stringify([{ box: [left, top, right, bottom], x: xs, y: scale.ends, log_y: curve.log, series: shown.map((variant) => ({ variant, metric: name })) }]);
  const caption = make("figcaption", {}, make("b", {}, `${curve.heading}.`), " ",
    ...shown.flatMap((index, at) => [at ? "; " : "", swatch(index), `${data.variants[index].name}${at === 0 && shown.length > 1 ? " (dashed)" : ""}`]));
  const figure = make("figure", {}, make("div", { class: "card", tabindex: "0" }, svg), caption);
  figure.dataset.name = `pair-${name.replace(/\W+/g, "-")}`;
  return figure;
}

function node(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Return round numbers between two ends, as written, and ends a little further out. */
function ticks(low, high, log = false) {
  if (log) {
    const powers = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) powers.push([10 ** power, `1e${power}`]);
    return { ticks: powers.filter(([value]) => value >= low / 1.5 && value <= high * 1.5), ends: [low / 1.5, high * 1.5] };
  }
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * size).find((each) => each >= rough);
  const ends = [low - 0.06 * span, high + 0.06 * span];
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let value = Math.ceil(ends[0] / step) * step; value <= ends[1]; value += step) found.push([value, value.toFixed(decimals).replace(/^-(?=0*\.?0*$)/, "")]);
  return { ticks: found, ends };
}
