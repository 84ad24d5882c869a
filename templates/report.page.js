"use strict";
// The page is whole without these scripts: each only adds to it. They compute no statistics; all numbers and sentences
// come from `data`, which Python wrote (ablate/report/page_data.py).
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** Make an element; names hostile to HTML are only ever set as text. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function button(text, press, attributes = {}) {
  const made = make("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", press);
  return made;
}

const swatch = (index) => make("span", { class: "swatch", style: `color: var(--v${data.variants[index].colour})`, "aria-hidden": "true" });

/** Copy a text, also where the browser lends no clipboard to a page opened from a file. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = make("textarea", { class: "unseen", readonly: true });
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

// Light or dark: as the system has it until the reader says otherwise, and only on this page.
{
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const label = () => (isDark() ? "Light page" : "Dark page");
  const theme = button(label(), () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    theme.textContent = label();
  }, { class: "theme" });
  system.addEventListener("change", () => { theme.textContent = label(); });
  document.querySelector("main").prepend(theme);
}

// Paper cannot be unfolded.
{
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
}

// A link to what stands in a fold unfolds it.
{
  const unfold = () => {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    for (let one = target && target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
}
