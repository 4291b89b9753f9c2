// The page moves by itself, and is used without a mouse. Everything works without this file, but
// that; no library, and no request to anybody but the server that the page is from.
"use strict";

// --- light and dark -------------------------------------------------------------------------------

const root = document.documentElement;
const themes = ["", "light", "dark"];

function theme() {
  try { return localStorage.getItem("khive-theme") || ""; } catch { return ""; }
}

function setTheme(name) {
  if (name) root.dataset.theme = name; else delete root.dataset.theme;
  try { localStorage.setItem("khive-theme", name); } catch { /* this visit only */ }
  const button = document.getElementById("theme");
  if (button) button.textContent = { "": "Theme", light: "Light", dark: "Dark" }[name];
}

function nextTheme() { setTheme(themes[(themes.indexOf(theme()) + 1) % themes.length]); }

// --- what has changed ------------------------------------------------------------------------------

const LEAST = 1000;        // milliseconds between two fetches of one page
let fetching = false, due = false, last = 0, timer = 0;

// Parts are replaced only where they differ, and never under somebody's hands. Forms are sent by
// the login that is in force, which may be another one than when they were opened.
function replaceParts(fresh) {
  const csrf = fresh.querySelector("input[name=csrf]")?.value;
  if (csrf) for (const one of document.querySelectorAll("input[name=csrf]")) one.value = csrf;
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.getElementById(part.id);
    if (!other || part.isEqualNode(other) || busy(part)) continue;
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id).filter(Boolean);
    const focused = part.contains(document.activeElement) ? pathOf(document.activeElement) : null;
    const copy = document.importNode(other, true);
    part.replaceWith(copy);
    for (const id of open) { const one = document.getElementById(id); if (one) one.open = true; }
    showEnds(copy);
    if (focused) copy.querySelector(focused)?.focus({ preventScroll: true });
  }
}

// A log is read at its end.
function showEnds(place) {
  for (const one of place.querySelectorAll(".log pre, pre.log")) one.scrollTop = one.scrollHeight;
}

function busy(part) {
  const active = document.activeElement;
  const writes = active && part.contains(active) && active.matches("input, textarea, select");
  const chosen = getSelection();
  return writes || (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode)) ||
    part.querySelector("details.form[open]") !== null;
}

function pathOf(element) {
  if (element.id) return "#" + CSS.escape(element.id);
  const target = element.getAttribute("href");
  return target ? `a[href="${CSS.escape(target)}"]` : null;
}

// What somebody has written is kept; anything else gives way to the page that says how to get in.
function loggedOut() {
  const written = [...document.querySelectorAll("main input, main textarea")]
    .some((one) => one.type !== "hidden" && one.value !== one.defaultValue);
  if (written) say("you are logged out: run khive-supervisor open, then send what is written here", "off");
  else location.reload();
}

async function refresh() {
  if (fetching) { due = true; return; }
  const wait = last + LEAST - performance.now();
  if (wait > 0) { clearTimeout(timer); timer = setTimeout(refresh, wait); return; }
  fetching = true; due = false; last = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { "Khive-Part": "1" } });
    if (answer.status === 401) { loggedOut(); return; }
    if (answer.ok) replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { /* the stream says that the connection is lost */ } finally { fetching = false; }
  if (due) refresh();
}

// --- the stream -------------------------------------------------------------------------------------

const LONG = 10000;        // milliseconds after which the server may be another one, elsewhere
let stream = null, lost = false, lostAt = 0;

function say(text, name) {
  const place = document.getElementById("live");
  if (place && place.textContent !== text) { place.textContent = text; place.className = "live " + name; }
}

// Browsers allow six connections to a server: a page that nobody looks at lets its own go.
function follow() {
  if (stream || document.hidden) return;
  stream = new EventSource("/desk/live");
  stream.addEventListener("hello", () => { say("live", "on"); if (lost) refresh(); lost = false; });
  stream.addEventListener("changed", refresh);
  stream.onerror = () => {
    if (!lost) lostAt = performance.now();
    lost = true;
    const long = performance.now() - lostAt > LONG;
    say("connection lost; trying again" + (long ? "; khive-supervisor open opens a new page" : ""), "off");
    if (stream.readyState !== EventSource.CLOSED) return;
    stream = null;
    setTimeout(follow, 2000);
    refresh();  // whoever is no longer let in is told how to get in
  };
}

function leave() { if (stream) { stream.close(); stream = null; lost = true; say("", ""); } }

// --- times ------------------------------------------------------------------------------------------

function age(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

function tellTimes() {
  for (const one of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(one.dateTime);
    if (isNaN(at)) continue;
    one.title = new Date(at).toLocaleString();
    const seconds = (Date.now() - at) / 1000;
    if (one.classList.contains("age")) one.textContent = age(seconds);
    else if (seconds < 0 && one.textContent.startsWith("in ")) one.textContent = `in ${age(-seconds)}`;
    else if (/^in | ago$/.test(one.textContent)) one.textContent = `${age(seconds)} ago`;
  }
}

// --- keys -------------------------------------------------------------------------------------------

let prefix = false;

function step(by) {
  const rows = [...document.querySelectorAll(".entry a[href], .rows tbody a[href]")]
    .filter((one, _, all) => all.find((other) => other.closest("li, tr") === one.closest("li, tr")) === one);
  if (!rows.length) return;
  const here = rows.findIndex((one) => one.closest("li, tr").contains(document.activeElement));
  rows[Math.min(rows.length - 1, Math.max(0, here + by))].focus();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key;
  if (prefix) {
    prefix = false;
    document.querySelector(`nav a[data-key="${CSS.escape(key)}"]`)?.click();
  } else if (key === "g") { prefix = true; setTimeout(() => { prefix = false; }, 1500); }
  else if (key === "/") {
    event.preventDefault();
    const box = document.getElementById("q");
    if (box) { box.focus(); box.select(); } else location.href = "/memory#q";
  } else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "t") nextTheme();
  else if (key === "?") document.getElementById("help")?.showModal();
}

// --- the start --------------------------------------------------------------------------------------

setTheme(theme());
document.querySelector("nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
for (const [id, act] of [["theme", nextTheme], ["keys", () => document.getElementById("help").showModal()]]) {
  const button = document.getElementById(id);
  if (button) { button.hidden = false; button.addEventListener("click", act); }
}
if (location.hash === "#q") document.getElementById("q")?.focus();
document.addEventListener("keydown", onKey);
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask || event.target.dataset.ask;
  if (question && !confirm(question)) event.preventDefault();
});
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => { if (event.persisted) refresh(); follow(); });
showEnds(document);
tellTimes();
setInterval(tellTimes, 10000);
