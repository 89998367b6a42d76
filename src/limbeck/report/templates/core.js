// The page's data, the one selected student, light and dark. Every other script hangs on `limbeckPage`.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("limbeck-data").textContent);
  const chosen = [];
  const rowed = [];
  const page = {
    data,
    selected: data.start,
    row: null,
    // Calls back now and whenever another student is selected.
    onSelect(callback) {
      chosen.push(callback);
      if (page.selected >= 0) callback(page.selected);
    },
    select(index) {
      if (index === page.selected || !data.students[index]) return;
      page.selected = index;
      for (const callback of chosen) callback(index);
      say(`${data.students[index].name} is selected`);
    },
    // Calls back whenever the row of the what-if panel changes.
    onRow(callback) {
      rowed.push(callback);
      if (page.row) callback(page.row);
    },
    setRow(row) {
      page.row = row;
      for (const callback of rowed) callback(row);
    },
    element(name, attributes, ...children) {
      const made = document.createElement(name);
      for (const [key, value] of Object.entries(attributes || {})) {
        if (value === true) made.setAttribute(key, "");
        else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
      }
      made.append(...children);
      return made;
    },
    number(value, digits = 4) {
      if (value === null || value === undefined) return "–";
      if (!Number.isFinite(value)) return "not a number";
      const size = Math.abs(value);
      let text;
      if (Number.isInteger(value) && size < 1e15) text = value.toLocaleString("en-US");
      else if (size >= 10 ** digits && size < 1e9) text = value.toLocaleString("en-US", { maximumFractionDigits: 1 });
      else text = size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(2) : value.toLocaleString("en-US", { maximumSignificantDigits: digits });
      return text.replace(/^-/, "−");
    },
    percent(value) {
      return Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : "not a number";
    },
    short(text, length = 40) {
      return text.length <= length ? text : `${text.slice(0, Math.ceil(length / 2))}…${text.slice(-Math.floor(length / 2) + 1)}`;
    },
    // The nodes that a row passes, the root first
    path(nodes, row) {
      const out = [0];
      for (let node = nodes[0]; node.length; node = nodes[out.at(-1)]) {
        const [column, threshold, levels, left, right] = node;
        const holds = threshold === null ? levels.includes(row[column]) : row[column] <= threshold;
        out.push(holds ? left : right);
      }
      return out;
    },
  };
  window.limbeckPage = page;

  const status = document.getElementById("announce");
  function say(text) {
    status.textContent = text;
  }
  page.say = say;

  // One tooltip for all pictures; beside the pointer, or beside what has the focus
  const tip = document.getElementById("tip");
  let beside = null;
  page.tip = (lines, x, y) => {
    beside = null;
    tip.hidden = !lines;
    if (!lines) return;
    tip.replaceChildren(...lines.map((line, i) => page.element(i ? "div" : "strong", {}, line)));
    place(x, y);
  };
  page.tipBeside = (lines, target) => {
    const box = target.getBoundingClientRect();
    page.tip(lines, box.right, box.bottom);
    beside = target;
  };
  function place(x, y) {
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), document.documentElement.clientWidth - box.width - 8);
    const top = y + 18 + box.height > window.innerHeight ? y - box.height - 12 : y + 18;
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") page.tip(null);
  });
  const moved = () => {
    if (!beside) return page.tip(null);
    const box = beside.getBoundingClientRect();
    place(box.right, box.bottom);
  };
  window.addEventListener("scroll", moved, { passive: true });

  // Tabs: arrow keys move and show, as one expects of tabs
  page.tabs = (list, show) => {
    const tabs = [...list.querySelectorAll('[role="tab"]')];
    tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => show(i));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        let next = step ? (i + step + tabs.length) % tabs.length : -1;
        if (event.key === "Home") next = 0;
        if (event.key === "End") next = tabs.length - 1;
        if (next < 0) return;
        event.preventDefault();
        show(next);
        tabs[next].focus();
      });
    });
    return (index) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(i === index));
        tab.tabIndex = i === index ? 0 : -1;
        const panel = document.getElementById(tab.getAttribute("aria-controls"));
        if (panel) panel.hidden = i !== index;
      });
    };
  };

  // The student everywhere: the list in the bar, the cards of the findings, the tabs of the students
  const list = document.getElementById("student-list");
  if (list) {
    list.addEventListener("change", () => page.select(Number(list.value)));
    page.onSelect((index) => {
      list.value = String(index);
    });
  }
  for (const card of document.querySelectorAll("[data-select]")) {
    card.addEventListener("click", () => page.select(Number(card.dataset.select)));
  }
  page.onSelect((index) => {
    for (const card of document.querySelectorAll("button[data-select]")) {
      card.setAttribute("aria-pressed", String(Number(card.dataset.select) === index));
    }
    for (const line of document.querySelectorAll("[data-of]")) {
      line.classList.toggle("chosen", Number(line.dataset.of) === index);
    }
  });
  const tabs = document.getElementById("student-tabs");
  if (tabs) page.onSelect(page.tabs(tabs, page.select));
})();
