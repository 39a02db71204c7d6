"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  name();
  dark.addEventListener("change", name);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
  });

  // Tables whose rows may be sorted: by the number that a cell begins with, else by its text.
  const key = (cell) => {
    const text = cell.innerText.trim();
    const found = /^[^\d\w]{0,2}\s*([+\u2212-]?[\d,]*\.?\d+)/.exec(text);
    if (found) return Number(found[1].replace(/,/g, "").replace("\u2212", "-"));
    return text === "" || text === "\u2013" ? null : text.toLowerCase();
  };
  const compare = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0)
    : typeof a === "number" ? -1 : 1;
  for (const table of document.querySelectorAll("table.scores")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, k) => {
      const sort = document.createElement("button");
      sort.type = "button";
      sort.append(...head.childNodes);
      head.append(sort);
      sort.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        for (const body of table.tBodies) {
          const sorted = [...body.rows].filter((row) => !row.classList.contains("heading"));
          const rows = sorted.map((row, at) => [key(row.cells[k]), at, row]);
          rows.sort(([a, i], [b, j]) => {
            if (a === null || b === null) return (a === null) - (b === null) || i - j;
            return (up ? 1 : -1) * compare(a, b) || i - j;
          });
          body.append(...rows.map(([, , row]) => row));
        }
      });
    });
  }

  // Contents: the section in view is the current one.
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const sections = [...document.querySelectorAll("main > section[id]")].filter((s) => links.has(s.id));
  const follow = () => {
    let current = sections[0];
    for (const one of sections) if (one.getBoundingClientRect().top < innerHeight / 3) current = one;
    for (const [id, link] of links) {
      if (id === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    // Where the contents are a row that scrolls, the current one is in view.
    const link = links.get(current.id);
    const row = link.closest("ul");
    const beyond = link.getBoundingClientRect().left - row.getBoundingClientRect().left;
    if (row.scrollWidth > row.clientWidth && (beyond < 0 || beyond + link.offsetWidth > row.clientWidth)) {
      row.scrollLeft += beyond - (row.clientWidth - link.offsetWidth) / 2;
    }
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; follow(); });
  }, { passive: true });
  follow();

  // A link into a fold opens it; printing opens all.
  const reveal = () => {
    let place = document.getElementById(location.hash.slice(1).split("?")[0]);
    const target = place;
    for (; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
    if (target && target.closest("details")) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) {
      fold.open = true;
      fold.dataset.printed = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-printed]")) {
      fold.open = false;
      delete fold.dataset.printed;
    }
  });
})();
