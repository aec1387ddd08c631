// What makes the page quicker to use. Everything works without it.
"use strict";
(() => {
  const list = document.getElementById("list");
  const boxes = list ? [...list.querySelectorAll('input[name="m"]')] : [];
  const texts = document.body.dataset;

  // Times in the reader's own zone.
  const now = new Date();
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    const far = Math.abs(at - now) > 20 * 3600e3;
    const how = far ? { year: at.getFullYear() === now.getFullYear() ? undefined : "numeric", month: "short", day: "numeric" }
                    : { hour: "2-digit", minute: "2-digit" };
    time.textContent = at.toLocaleString(document.documentElement.lang, how);
    time.title = at.toLocaleString(document.documentElement.lang);
  }

  // Select all, select a range with shift, count.
  const all = document.getElementById("all");
  const count = document.getElementById("selected");
  const whole = document.getElementById("whole");
  const chosen = () => boxes.filter((box) => box.checked);
  function recount() {
    const some = chosen().length;
    if (count) count.textContent = some ? texts.selected.replace("{}", some) : "";
    if (all) {
      all.checked = some > 0 && some === boxes.length;
      all.indeterminate = some > 0 && some < boxes.length;
    }
  }
  if (all) {
    all.parentElement.hidden = false;
    all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); recount(); });
  }
  let last = null;
  boxes.forEach((box, at) => box.addEventListener("click", (event) => {
    if (event.shiftKey && last !== null) {
      for (let i = Math.min(at, last); i <= Math.max(at, last); i++) boxes[i].checked = box.checked;
    }
    last = at;
    recount();
  }));
  recount();
  if (list) {
    list.addEventListener("submit", (event) => {
      if (chosen().length || (whole && whole.checked)) return;
      event.preventDefault();
      say(texts.none);
    });
  }

  // Keys.
  const rows = boxes.map((box) => box.closest("tr"));
  let here = -1;
  function go(to) {
    if (!rows.length) return;
    rows[here]?.classList.remove("here");
    here = Math.max(0, Math.min(rows.length - 1, to));
    rows[here].classList.add("here");
    rows[here].querySelector(".subject a").focus();
  }
  function act(key) {
    const button = document.querySelector(`button[data-key="${CSS.escape(key)}"]`);
    if (!button) return false;
    if (list && !chosen().length && here >= 0) { boxes[here].checked = true; recount(); }
    button.click();
    return true;
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const done = {
      j: () => go(here + 1),
      k: () => go(here - 1),
      x: () => { if (here >= 0) { boxes[here].checked = !boxes[here].checked; recount(); } },
      u: () => { const back = document.querySelector("a[data-back]"); if (back) back.click(); },
      "/": () => document.getElementById("q")?.focus(),
      "?": () => { const keys = document.getElementById("keys"); keys.open = !keys.open; keys.scrollIntoView(); },
    }[event.key];
    if (done) { done(); event.preventDefault(); return; }
    if ("rtns#".includes(event.key) && act(event.key)) event.preventDefault();
  });

  // A button that was pressed is not pressed again; coming back by history frees it.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    setTimeout(() => event.target.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("button:disabled").forEach((button) => { button.disabled = false; });
  });

  // News.
  function say(text, href, label) {
    const live = document.getElementById("live");
    if (!live) return;
    const box = document.createElement("div");
    box.append(text);
    if (href) {
      const link = document.createElement("a");
      link.href = href;
      link.textContent = label;
      box.append(link);
    }
    live.replaceChildren(box);
  }
  if (list || document.querySelector(".empty")) {
    const source = new EventSource("/events?of=" + encodeURIComponent(location.pathname));
    let first = null;
    source.onmessage = (event) => {
      const news = JSON.parse(event.data);
      for (const [href, total] of Object.entries(news.counts)) {
        const shown = document.querySelector(`.top li a[href="${CSS.escape(href)}"] .count`);
        if (shown) shown.textContent = total;
      }
      if (first === null) first = news.newest;
      else if (news.newest > first) say(texts.new, location.pathname, texts.show);
    };
    addEventListener("pagehide", () => source.close());
  }

  // Progress of long work.
  const bar = document.querySelector("progress[data-href]");
  if (bar) {
    const look = async () => {
      const answer = await fetch(bar.dataset.href, { headers: { accept: "application/json" } });
      if (!answer.ok) { location.reload(); return; }
      const work = await answer.json();
      bar.max = work.total || 1;
      bar.value = work.done;
      document.getElementById("work").textContent = work.text;
      if (work.finished) location.href = work.next; else setTimeout(look, 300);
    };
    look();
  }
})();
