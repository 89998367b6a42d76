// Trees: zoom, move, open and close nodes, light up the path of the what-if row.
(() => {
  "use strict";
  const page = window.limbeckPage;
  const LEAST = 0.7; // below this scale the words are too small to read
  const LEAVES_AT_FIRST = () => (window.innerWidth < 720 ? 8 : 40);
  const trees = new Map();
  for (const figure of document.querySelectorAll(".tree")) trees.set(Number(figure.dataset.tree), new Tree(figure));
  page.onSelect((index) => trees.has(index) && trees.get(index).show());
  page.onRow((row) => trees.forEach((tree) => tree.light(row)));
  window.addEventListener("resize", () => trees.forEach((tree) => tree.resize()));
  window.addEventListener("beforeprint", () => trees.forEach((tree) => tree.whole()));
  window.addEventListener("afterprint", () => trees.forEach((tree) => tree.apply()));

  function Tree(figure) {
    const index = Number(figure.dataset.tree);
    const svg = figure.querySelector("svg");
    const detail = figure.querySelector(".tree-detail");
    const numbers = (name) => svg.dataset[name].split(" ").map(Number);
    const [boxWidth, boxHeight] = numbers("box");
    const [column, pitch] = numbers("pitch");
    const margin = Number(svg.dataset.margin);
    const asked = page.data.students[index].tree;
    const nodes = new Map();
    for (const group of svg.querySelectorAll(".node")) {
      const i = Number(group.dataset.node);
      nodes.set(i, { i, group, edge: svg.querySelector(`[data-edge="${i}"]`), children: [], parent: null, open: true });
    }
    for (const group of svg.querySelectorAll(".node[aria-expanded]")) {
      const node = nodes.get(Number(group.dataset.node));
      node.children = group.dataset.children.split(" ").map((i) => nodes.get(Number(i)));
      for (const child of node.children) child.parent = node;
    }
    const root = nodes.get(0);
    let size = { width: Number(svg.dataset.width), height: Number(svg.dataset.height) };
    const view = { x: 0, y: 0, scale: 1 };
    let touched = false;
    let shown = false;

    // Layout: one line a visible leaf, a parent between its children
    function visible() {
      const out = [];
      const walk = (node, depth) => {
        node.depth = depth;
        out.push(node);
        if (node.open) for (const child of node.children) walk(child, depth + 1);
      };
      walk(root, 0);
      return out;
    }

    function layOut() {
      let line = 0;
      const settle = (node) => {
        if (!node.open || !node.children.length) {
          node.line = line++;
          return;
        }
        node.children.forEach(settle);
        node.line = (node.children[0].line + node.children[1].line) / 2;
      };
      const list = visible();
      settle(root);
      const seen = new Set(list);
      for (const node of nodes.values()) {
        const display = seen.has(node) ? "" : "none";
        node.group.style.display = display;
        if (node.edge) node.edge.style.display = display;
        if (node.children.length) node.group.setAttribute("aria-expanded", String(node.open));
      }
      for (const node of list) {
        node.x = margin + node.depth * column;
        node.y = margin + node.line * pitch + (pitch - boxHeight) / 2;
        node.group.setAttribute("transform", `translate(${node.x} ${node.y})`);
      }
      for (const node of list) {
        if (!node.parent) continue;
        const [x, y] = [node.parent.x + boxWidth, node.parent.y + boxHeight / 2];
        const b = node.y + boxHeight / 2;
        const middle = (x + node.x) / 2;
        const path = node.edge.querySelector("path");
        path.setAttribute("d", `M${x} ${y}C${middle} ${y} ${middle} ${b} ${node.x} ${b}`);
        const word = node.edge.querySelector("text");
        word.setAttribute("x", node.x - 5);
        const half = Number(path.getAttribute("stroke-width")) / 2;
        word.setAttribute("y", node === node.parent.children[0] ? b - half - 3 : b + half + 11);
      }
      const depth = Math.max(...list.map((node) => node.depth)) + 1;
      size = { width: depth * column - (column - boxWidth) + 2 * margin + 10, height: line * pitch + 2 * margin };
    }

    // The part of the picture that is seen
    this.apply = () => {
      const box = svg.getBoundingClientRect();
      if (!box.width) return;
      svg.setAttribute("viewBox", `${view.x} ${view.y} ${box.width / view.scale} ${box.height / view.scale}`);
    };
    this.whole = () => svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    const fit = (least) => {
      const width = svg.clientWidth || svg.getBoundingClientRect().width;
      if (!width) return;
      const full = figure.classList.contains("full");
      const limit = full ? svg.parentElement.clientHeight : window.innerWidth < 720 ? 560 : 1400;
      view.scale = Math.max(Math.min(width / size.width, 1.1), least);
      if (least === 0) view.scale = Math.min(view.scale, Math.max(limit / size.height, 0.1));
      const height = full ? limit : Math.max(Math.min(size.height * view.scale, limit), 120);
      svg.style.height = `${height}px`;
      view.x = size.width * view.scale < width ? (size.width - width / view.scale) / 2 : 0;
      const seen = height / view.scale;
      view.y = size.height <= seen ? (size.height - seen) / 2 : clamp(root.y + boxHeight / 2 - seen / 2, 0, size.height - seen);
      this.apply();
    };
    const zoom = (factor, x, y) => {
      const box = svg.getBoundingClientRect();
      const [px, py] = [x === undefined ? box.width / 2 : x - box.left, y === undefined ? box.height / 2 : y - box.top];
      const next = clamp(view.scale * factor, 0.1, 4);
      view.x += px / view.scale - px / next;
      view.y += py / view.scale - py / next;
      view.scale = next;
      touched = true;
      this.apply();
    };
    const pan = (dx, dy) => {
      view.x += dx / view.scale;
      view.y += dy / view.scale;
      touched = true;
      this.apply();
    };
    const reveal = (node) => {
      const [w, h] = [svg.clientWidth / view.scale, svg.clientHeight / view.scale];
      if (node.x < view.x) view.x = node.x - margin;
      if (node.x + boxWidth > view.x + w) view.x = node.x + boxWidth + margin - w;
      if (node.y < view.y) view.y = node.y - margin;
      if (node.y + boxHeight > view.y + h) view.y = node.y + boxHeight + margin - h;
      this.apply();
    };
    this.show = () => {
      if (shown) return;
      shown = true;
      fit(LEAST);
    };
    this.resize = () => {
      if (shown && !touched) fit(LEAST);
      else this.apply();
    };

    // Open and close
    const toggle = (node, open) => {
      if (!node.children.length) return;
      node.open = open === undefined ? !node.open : open;
      layOut();
      this.apply();
    };
    const count = (open) => {
      for (const node of nodes.values()) node.open = open;
      layOut();
      touched = false;
      fit(LEAST);
    };

    const focus = (node) => {
      for (const other of nodes.values()) other.group.setAttribute("tabindex", other === node ? "0" : "-1");
      node.group.focus({ preventScroll: true });
      reveal(node);
    };
    const tell = (node) => {
      detail.textContent = node.group.getAttribute("aria-label");
    };
    for (const node of nodes.values()) {
      node.group.addEventListener("focus", () => tell(node));
      node.group.addEventListener("pointerenter", () => tell(node));
    }

    svg.addEventListener("keydown", (event) => {
      const group = event.target.closest(".node");
      const node = group && nodes.get(Number(group.dataset.node));
      if (event.key === "+" || event.key === "=") zoom(1.25);
      else if (event.key === "-" || event.key === "_") zoom(0.8);
      else if (event.key === "0") fit(0);
      else if (event.shiftKey && event.key.startsWith("Arrow")) {
        const step = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] }[event.key];
        pan(...step);
      } else if (!node) return;
      else if (event.key === "ArrowRight") node.children.length && !node.open ? toggle(node, true) : node.children.length && focus(node.children[0]);
      else if (event.key === "ArrowLeft") node.children.length && node.open ? toggle(node, false) : node.parent && focus(node.parent);
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const list = visible();
        const next = list[list.indexOf(node) + (event.key === "ArrowDown" ? 1 : -1)];
        if (next) focus(next);
      } else if (event.key === "Home") focus(root);
      else if (event.key === "End") focus(visible().at(-1));
      else if (event.key === "Enter" || event.key === " ") toggle(node);
      else return;
      event.preventDefault();
    });

    // Mouse and touch
    let drag = null;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false, id: event.pointerId };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 5) return;
      if (!drag.moved) svg.setPointerCapture(drag.id);
      drag = { ...drag, x: event.clientX, y: event.clientY, moved: true };
      pan(-dx, -dy);
    });
    const release = (event) => {
      const clicked = drag && !drag.moved && event.type === "pointerup";
      drag = null;
      const group = clicked && event.target.closest(".node");
      if (!group) return;
      const node = nodes.get(Number(group.dataset.node));
      toggle(node);
      focus(node);
    };
    svg.addEventListener("pointerup", release);
    svg.addEventListener("pointercancel", release);
    svg.addEventListener(
      "wheel",
      (event) => {
        const meant = event.ctrlKey || event.metaKey || figure.classList.contains("full") || svg.contains(document.activeElement);
        if (!meant) return;
        event.preventDefault();
        zoom(Math.exp(-clamp(event.deltaY, -60, 60) / 240), event.clientX, event.clientY);
      },
      { passive: false },
    );
    const acts = {
      in: () => zoom(1.25),
      out: () => zoom(0.8),
      fit: () => fit(0),
      open: () => count(true),
      close: () => {
        count(false);
        toggle(root, true);
        fit(LEAST);
      },
      full: (button) => {
        const full = figure.classList.toggle("full");
        button.setAttribute("aria-pressed", String(full));
        touched = false;
        fit(full ? 0 : 0.72);
      },
    };
    for (const button of figure.querySelectorAll("button[data-act]")) {
      button.addEventListener("click", () => acts[button.dataset.act](button));
    }
    figure.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && figure.classList.contains("full")) acts.full(figure.querySelector('[data-act="full"]'));
    });

    // The path of a row
    this.light = (row) => {
      if (!asked) return;
      const lit = new Set(page.path(asked, row));
      for (const node of nodes.values()) {
        node.group.classList.toggle("lit", lit.has(node.i));
        if (node.edge) node.edge.classList.toggle("lit", lit.has(node.i));
      }
    };

    // A large tree starts with its nodes of most rows
    const leaves = [...nodes.values()].filter((node) => !node.children.length).length;
    const most = LEAVES_AT_FIRST();
    if (leaves > most) {
      for (const node of nodes.values()) node.open = false;
      const rows = (node) => Number(node.group.dataset.rows);
      const front = [root];
      for (let open = 1; open < Math.max(0.6 * most, 6) && front.length; ) {
        front.sort((a, b) => rows(b) - rows(a));
        const node = front.shift();
        if (!node.children.length) continue;
        node.open = true;
        front.push(...node.children);
        open += 1;
      }
    }
    layOut();
  }

  function clamp(value, low, high) {
    return Math.min(Math.max(value, low), Math.max(low, high));
  }
})();
