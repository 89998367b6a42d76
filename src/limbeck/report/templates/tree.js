// Trees: zoom, move, open and close nodes, light up the path of the what-if row.
(() => {
  "use strict";
  const page = window.limbeckPage;
  const LEAST = 0.7; // below this scale the words are too small to read
  const isNarrow = () => window.innerWidth < 720;
  const trees = new Map();
  for (const figure of document.querySelectorAll(".tree")) trees.set(Number(figure.dataset.tree), new Tree(figure));
  page.onSelect((index) => trees.has(index) && trees.get(index).show());
  page.onRow((row) => trees.forEach((tree) => tree.light(row)));
  window.addEventListener("resize", () => trees.forEach((tree) => tree.resize()));

  function Tree(figure) {
    const index = Number(figure.dataset.tree);
    const canvas = figure.querySelector(".canvas");
    const svg = figure.querySelector(".tree-svg");
    const detail = figure.querySelector(".tree-detail");
    const boxWidth = Number(svg.dataset.box);
    const [column, pitch] = svg.dataset.pitch.split(" ").map(Number);
    const margin = Number(svg.dataset.margin);
    const asked = page.data.students[index].tree;
    const nodes = new Map();
    for (const group of svg.querySelectorAll(".node")) {
      const i = Number(group.dataset.node);
      const edge = svg.querySelector(`[data-edge="${i}"]`);
      nodes.set(i, { i, group, edge, tall: Number(group.dataset.tall), children: [], parent: null, open: true });
    }
    for (const group of svg.querySelectorAll(".node[aria-expanded]")) {
      const node = nodes.get(Number(group.dataset.node));
      node.children = group.dataset.children.split(" ").map((i) => nodes.get(Number(i)));
      for (const child of node.children) child.parent = node;
    }
    const root = nodes.get(0);
    let size = { width: 1, height: 1 };
    let scale = 1;
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
      // A closed node may be taller than a leaf, so the lines move apart where it needs them to
      const tallest = Math.max(...list.filter((node) => !node.open || !node.children.length).map((node) => node.tall));
      const gap = Math.max(pitch, tallest + 9);
      const seen = new Set(list);
      for (const node of nodes.values()) {
        const display = seen.has(node) ? "" : "none";
        node.group.style.display = display;
        if (node.edge) node.edge.style.display = display;
        if (node.children.length) node.group.setAttribute("aria-expanded", String(node.open));
      }
      for (const node of list) {
        node.x = margin + node.depth * column;
        node.middle = margin + (node.line + 0.5) * gap;
        node.group.setAttribute("transform", `translate(${node.x} ${node.middle - node.tall / 2})`);
      }
      for (const node of list) if (node.parent) drawEdge(node);
      const depth = Math.max(...list.map((node) => node.depth)) + 1;
      size = { width: depth * column - (column - boxWidth) + 2 * margin, height: line * gap + 2 * margin };
      svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
      apply();
    }

    function drawEdge(node) {
      const [x, y, b] = [node.parent.x + boxWidth, node.parent.middle, node.middle];
      const half = (x + node.x) / 2;
      const path = node.edge.querySelector("path");
      path.setAttribute("d", `M${x} ${y}C${half} ${y} ${half} ${b} ${node.x} ${b}`);
      const word = node.edge.querySelector("text");
      word.setAttribute("x", node.x - 5);
      const thick = Number(path.getAttribute("stroke-width")) / 2;
      word.setAttribute("y", node === node.parent.children[0] ? b - thick - 3 : b + thick + 11);
    }

    // Zoom is the picture's size, moving is the frame's own scrolling
    function apply() {
      svg.style.width = `${size.width * scale}px`;
      svg.style.height = `${size.height * scale}px`;
    }
    const fit = (least) => {
      const width = canvas.clientWidth;
      if (!width) return;
      const height = figure.classList.contains("full") ? canvas.clientHeight : isNarrow() ? 560 : 1400;
      scale = clamp(width / size.width, least, 1.1);
      if (least === 0) scale = Math.max(Math.min(scale, height / size.height), 0.05);
      apply();
      canvas.scrollTo(0, (root.middle * scale) - canvas.clientHeight / 2);
    };
    const zoom = (factor, x, y) => {
      const box = canvas.getBoundingClientRect();
      const [px, py] = [x === undefined ? box.width / 2 : x - box.left, y === undefined ? box.height / 2 : y - box.top];
      const next = clamp(scale * factor, 0.1, 4);
      const [left, top] = [(canvas.scrollLeft + px) * (next / scale) - px, (canvas.scrollTop + py) * (next / scale) - py];
      scale = next;
      touched = true;
      apply();
      canvas.scrollTo(left, top);
    };
    const reveal = (node) => {
      const box = canvas.getBoundingClientRect();
      const mine = node.group.querySelector(".box").getBoundingClientRect();
      const over = (low, high, least, most) => (low < least ? low - least - margin : high > most ? high - most + margin : 0);
      canvas.scrollBy(over(mine.left, mine.right, box.left, box.right), over(mine.top, mine.bottom, box.top, box.bottom));
      const after = node.group.getBoundingClientRect();
      if (after.top < 70 || after.bottom > window.innerHeight) node.group.scrollIntoView({ block: "center", inline: "nearest" });
    };
    this.show = () => {
      if (shown) return;
      shown = true;
      fit(LEAST);
    };
    this.resize = () => {
      if (shown && !touched) fit(LEAST);
    };

    // Open and close
    const toggle = (node, open) => {
      if (!node.children.length) return;
      node.open = open === undefined ? !node.open : open;
      layOut();
    };
    const openAll = (open) => {
      for (const node of nodes.values()) node.open = open;
      root.open = true;
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

    // Keys: as in any tree, and + - 0 to zoom
    const walk = {
      ArrowRight: (node) => (node.children.length && !node.open ? toggle(node, true) : node.children[0] && focus(node.children[0])),
      ArrowLeft: (node) => (node.children.length && node.open ? toggle(node, false) : node.parent && focus(node.parent)),
      ArrowDown: (node) => step(node, 1),
      ArrowUp: (node) => step(node, -1),
      Home: () => focus(root),
      End: () => focus(visible().at(-1)),
      Enter: (node) => toggle(node),
      " ": (node) => toggle(node),
    };
    function step(node, by) {
      const list = visible();
      const next = list[list.indexOf(node) + by];
      if (next) focus(next);
    }
    const zooms = { "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), _: () => zoom(0.8), 0: () => fit(0) };
    const moves = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] };
    svg.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const group = event.target.closest(".node");
      if (zooms[event.key]) zooms[event.key]();
      else if (event.shiftKey && moves[event.key]) canvas.scrollBy(...moves[event.key]);
      else if (group && walk[event.key]) walk[event.key](nodes.get(Number(group.dataset.node)));
      else return;
      event.preventDefault();
    });

    // Mouse: drag to move, click to open or close, Ctrl and the wheel to zoom; touch scrolls the frame by itself
    let drag = null;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false, mouse: event.pointerType === "mouse" };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!drag || !drag.mouse) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 5) return;
      if (!drag.moved) svg.setPointerCapture(event.pointerId);
      drag = { ...drag, x: event.clientX, y: event.clientY, moved: true };
      canvas.scrollBy(-dx, -dy);
    });
    svg.addEventListener("pointerup", (event) => {
      const group = drag && !drag.moved && event.target.closest(".node");
      drag = null;
      if (!group) return;
      const node = nodes.get(Number(group.dataset.node));
      toggle(node);
      focus(node);
    });
    svg.addEventListener("pointercancel", () => (drag = null));
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        zoom(Math.exp(-clamp(event.deltaY, -60, 60) / 240), event.clientX, event.clientY);
      },
      { passive: false },
    );
    const acts = {
      in: () => zoom(1.25),
      out: () => zoom(0.8),
      fit: () => fit(0),
      open: () => openAll(true),
      close: () => openAll(false),
      full: (button) => {
        const full = figure.classList.toggle("full");
        button.setAttribute("aria-pressed", String(full));
        touched = false;
        fit(LEAST);
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
    const most = isNarrow() ? 8 : 40;
    if ([...nodes.values()].filter((node) => !node.children.length).length > most) {
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
