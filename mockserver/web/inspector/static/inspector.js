"use strict";
// Progressive enhancement: every page works without this file, by links and forms.

const PAUSE_MS = 1000; // the least time between two refreshes; the server may ask for more
const state = { paused: false, dirty: false, busy: false, last: 0, timer: 0, told: 0, pause: PAUSE_MS };

// Live updates: on an event, fetch this page again and replace the parts marked data-live.

function liveParts(root) {
  return [...root.querySelectorAll("[data-live][id]")];
}

async function refresh() {
  state.timer = 0;
  if (state.busy || state.paused || document.hidden) return;
  state.busy = true;
  state.dirty = false;
  try {
    const answer = await fetch(location.href, { headers: { "X-Inspector-Refresh": state.told } });
    if (answer.redirected) return location.reload();
    state.pause = Math.max(PAUSE_MS, 1000 * Number(answer.headers.get("X-Inspector-Pause")));
    if (answer.ok) replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    sayLive("not connected");
  } finally {
    state.busy = false;
    state.last = performance.now();
    if (state.dirty || document.querySelector("[data-ticking]")) later();
  }
}

function replaceParts(fresh) {
  for (const part of liveParts(document)) {
    const other = fresh.getElementById(part.id);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    if (!other || other.innerHTML === part.innerHTML || (focused && focused.matches("input, textarea, select"))) continue;
    const open = new Set([...part.querySelectorAll("details[open][id]")].map((each) => each.id));
    const href = focused && focused.getAttribute("href");
    part.replaceChildren(...[...other.childNodes].map((node) => document.importNode(node, true)));
    for (const each of part.querySelectorAll("details[id]")) each.open = open.has(each.id) || each.open;
    if (href) part.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
    addCopyButtons(part);
  }
  markRow();
  readClock();
}

function later() {
  state.dirty = true;
  if (state.timer || state.paused) return;
  state.timer = setTimeout(refresh, Math.max(0, state.pause - (performance.now() - state.last)));
}

function sayLive(text) {
  const place = document.getElementById("live");
  if (place && place.textContent !== text) place.textContent = text;
}

function listen() {
  const address = document.body.dataset.events;
  if (!address) return;
  const source = new EventSource(address);
  source.addEventListener("open", () => { sayLive(state.paused ? "paused" : "live"); later(); });
  source.addEventListener("error", () => sayLive("not connected"));
  source.addEventListener("change", (event) => { state.told = Number(event.data); later(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) later(); });
  addEventListener("pagehide", () => source.close());
}

// The sandbox clock runs on between two updates.

let clock = null;
function readClock() {
  const place = document.querySelector("time[data-unix]");
  clock = place && { place, unix: Number(place.dataset.unix), scale: place.dataset.frozen === "1" ? 0 : Number(place.dataset.scale), since: performance.now() };
}
function showClock() {
  if (!clock || !clock.scale) return;
  const now = new Date((clock.unix + (clock.scale * (performance.now() - clock.since)) / 1000) * 1000);
  if (!Number.isNaN(now.getTime())) clock.place.textContent = now.toISOString().slice(0, 19).replace("T", " ");
}

// Rows: j, k and Enter.

let row = -1;
const rows = () => [...document.querySelectorAll("tr[data-row]")];
function markRow() {
  rows().forEach((each, index) => each.classList.toggle("at", index === row));
}
function moveRow(step) {
  row = Math.min(Math.max(row + step, 0), rows().length - 1);
  markRow();
  const link = rows()[row]?.querySelector("a");
  if (link) { link.focus(); link.scrollIntoView({ block: "nearest" }); }
}

const KEYS = {
  "/": () => document.querySelector("[data-search]")?.focus(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  u: () => document.querySelector("a[data-up]")?.click(),
  p: () => { state.paused = !state.paused; sayLive(state.paused ? "paused" : "live"); if (!state.paused) later(); },
  "?": () => document.getElementById("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});

// Buttons that copy, ask before they delete, and files that are dropped.

function addCopyButtons(root) {
  for (const text of root.querySelectorAll("pre[data-copy]")) {
    if (text.nextElementSibling?.matches("button.copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = text.dataset.copy || "Copy";
    text.after(button);
  }
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "help-button") KEYS["?"]();
  if (button.matches(".copy")) {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = said; }, 2000);
  }
  if (button.dataset.sure && !confirm(button.dataset.sure)) event.preventDefault();
});
for (const area of document.querySelectorAll("[data-drop]")) {
  const input = area.querySelector("input[type=file]");
  area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; area.requestSubmit(); }
  });
}

addCopyButtons(document);
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
readClock();
setInterval(showClock, 250);
listen();
if (document.querySelector("[data-ticking]")) later();
