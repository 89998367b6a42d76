// Soft trees: a walk through all nodes, and one reading at a time, its path lit everywhere.
(() => {
  "use strict";
  const page = window.limbeckPage;
  const { data, element, number, percent, short } = page;
  const space = "http://www.w3.org/2000/svg";
  for (const figure of document.querySelectorAll(".soft")) new Soft(figure);

  function drawn(name, attributes) {
    const made = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function Soft(figure) {
    const tree = data.students[Number(figure.dataset.soft)].soft;
    const lit = new Set();
    const walk = tree ? Walk(figure, tree, lit) : null;
    const readings = [...figure.querySelectorAll(".reading")];
    const list = figure.querySelector(".soft-rows");
    // The root lies in the middle; a narrow window starts there
    const canvas = figure.querySelector(".canvas");
    page.onSelect((index) => {
      if (index === Number(figure.dataset.soft)) canvas.scrollLeft = (canvas.scrollWidth - canvas.clientWidth) / 2;
    });
    const show = (index) => {
      readings.forEach((reading, i) => reading.classList.toggle("later", i !== index));
      lit.clear();
      for (const node of readings[index].dataset.path.split(" ")) lit.add(Number(node));
      for (const part of figure.querySelectorAll("[data-node], [data-edge]")) {
        part.classList.toggle("lit", lit.has(Number(part.dataset.node || part.dataset.edge)));
      }
      if (walk) walk.draw();
    };
    const own = readings.at(-1);
    if (list && tree && tree.exact && data.columns) {
      list.append(element("option", { value: readings.length - 1 }, "the row of the what-if panel"));
      page.onRow((row) => {
        Own(own, tree, row, walk);
        if (Number(list.value) === readings.length - 1) show(readings.length - 1);
      });
    }
    if (list) {
      list.parentElement.hidden = false;
      list.addEventListener("change", () => show(Number(list.value)));
      show(0);
    }
    for (const button of figure.querySelectorAll("[data-go]")) {
      if (!walk) button.disabled = true;
      else button.addEventListener("click", () => walk.go(Number(button.dataset.go), true));
    }
  }

  // The most probable path of a row, and what its inputs contribute at every step
  function Own(holder, tree, row, walk) {
    const { inputs, names, weight, bias, centre } = tree.exact;
    const x = inputs.map(([column, code]) => (code < 0 ? row[column] : Number(row[column] === code)));
    const scores = weight.map((line, node) => line.reduce((sum, w, i) => sum + w * x[i], bias[node]));
    const right = (node) => -Math.log1p(Math.exp(-Math.abs(scores[node]))) + Math.min(scores[node], 0);
    const below = tree.rows.map(() => 0);
    for (let node = scores.length - 1; node >= 0; node -= 1) {
      below[node] = Math.max(right(node) - scores[node] + below[2 * node + 1], right(node) + below[2 * node + 2]);
    }
    const way = [0];
    while (way.at(-1) < scores.length) {
      const node = way.at(-1);
      way.push(2 * node + 1 + Number(scores[node] + below[2 * node + 2] - below[2 * node + 1] > 0));
    }
    const parts = way.slice(0, -1).map((node) => weight[node].map((w, i) => w * (x[i] - centre[i])));
    const most = Math.max(...parts.flat().map(Math.abs)) || 1;
    const line = (name, size) => [
      element("span", { class: "of", title: name }, name),
      element("span", { class: "size" }, `${size > 0 ? "+" : ""}${number(Math.abs(size) < 1e-9 * most ? 0 : size, 3)}`),
      element("span", { class: "lane" }, element("span", { class: `bar ${size >= 0 ? "plus" : "minus"}`, style: `width:${(50 * Math.min(Math.abs(size) / most, 1)).toFixed(1)}%` })),
    ];
    const value = (i) => (inputs[i][1] >= 0 ? (x[i] ? "yes" : "no") : number(x[i]));
    let chance = 1;
    const steps = way.slice(0, -1).map((node, at) => {
      const side = way[at + 1] % 2 ? "left" : "right";
      const sure = Math.exp(right(node) - (side === "left" ? scores[node] : 0));
      chance *= sure;
      const order = parts[at].map((_, i) => i).filter((i) => parts[at][i]).sort((a, b) => Math.abs(parts[at][b]) - Math.abs(parts[at][a]));
      const lines = order.slice(0, 5).flatMap((i) => line(`${names[i]} = ${value(i)}`, parts[at][i]));
      const rest = order.slice(5);
      if (rest.length) lines.push(...line(`${rest.length} other input${rest.length > 1 ? "s" : ""}`, rest.reduce((sum, i) => sum + parts[at][i], 0)));
      const go = element("button", { type: "button", class: "link" }, `node ${node}`);
      go.addEventListener("click", () => walk.go(node, true));
      const told = [element("span", { class: "step-side" }, element("b", {}, side), ` ${percent(sure)}`), element("span", { class: "quiet" }, `score ${number(scores[node], 3)}`)];
      return element("li", { class: "step" }, element("span", { class: "step-name" }, go), element("span", { class: "parts-read" }, ...lines), ...told);
    });
    const leaf = way.at(-1);
    const last = [element("span", { class: "step-name" }, `leaf ${leaf}`), element("span", { class: "step-side" }, element("b", {}, walk.says(leaf))), element("span", { class: "quiet" }, `path’s probability ${percent(chance)}`)];
    holder.dataset.path = way.join(" ");
    holder.replaceChildren(
      element("p", { class: "reading-head" }, element("b", {}, "The row of the what-if panel"), ": ", element("a", { href: "#whatif" }, "change it there"), "."),
      element("ol", { class: "steps-read" }, ...steps, element("li", { class: "step last" }, ...last)),
    );
  }

  function Walk(figure, tree, lit) {
    const inner = tree.full.length;
    const box = figure.querySelector(".soft-walk");
    const crumbs = figure.querySelector(".soft-crumbs");
    const here = figure.querySelector(".soft-here");
    const overview = figure.querySelector(".soft-overview");
    const [width, step] = [window.innerWidth < 720 ? 420 : 1040, Math.max(13, Math.min(26, 150 / tree.depth))];
    const height = (tree.depth + 1) * step;
    const at = { node: 0 };
    const level = (node) => Math.floor(Math.log2(node + 1));
    const parent = (node) => Math.floor((node - 1) / 2);
    const way = (node) => (node ? [...way(parent(node)), node] : [0]);
    const place = (node) => [((node + 1.5) / 2 ** level(node) - 1) * width, (level(node) + 0.5) * step];
    const line = (nodes) => nodes.filter((node) => node).map((node) => `M${place(parent(node)).join(" ")}L${place(node).join(" ")}`).join("");
    const go = (node, seen) => {
      at.node = node;
      draw();
      page.say(`node ${node}, ${says(node)}`);
      if (seen) box.scrollIntoView({ block: "nearest" });
    };

    function says(node) {
      const value = tree.values[node];
      if (data.task !== "classification") return value.slice(0, 3).map((v) => number(v)).join(" / ");
      const best = value.indexOf(Math.max(...value));
      return `${short(data.outputs[best], 24)} ${percent(value[best])}`;
    }
    const share = (node) => `${number(tree.rows[node])} rows, ${percent(tree.rows[node] / (tree.rows[0] || 1))}`;

    // A bar for each class with its name, or each output's place between the least and the greatest node
    function distribution(node, most) {
      const value = tree.values[node];
      const order = value.map((_, i) => i);
      const classes = data.task === "classification";
      if (classes && value.length > most) order.sort((a, b) => value[b] - value[a] || a - b);
      const shown = order.slice(0, most);
      const best = Math.max(...value);
      return element("span", { class: "soft-shares" }, ...shown.flatMap((o) => {
        const [low, high] = [tree.range[0][o], tree.range[1][o]];
        const part = classes ? value[o] : high > low ? (value[o] - low) / (high - low) : 0.5;
        const kind = `bar${!classes || value[o] === best ? " best" : ""}`;
        return [
          element("span", { class: "of", title: data.outputs[o] }, short(data.outputs[o], 22)),
          element("span", { class: "lane" }, element("span", { class: kind, style: `width:${(100 * part).toFixed(1)}%` })),
          element("span", { class: "size" }, classes ? percent(value[o]) : number(value[o])),
        ];
      }));
    }

    // The filter: a picture, or the inputs that weigh most
    function filter(node) {
      if (tree.pictures) {
        const ratio = `aspect-ratio:${tree.image[1]} / ${tree.image[0]}`;
        return element("img", { class: "pixels", style: ratio, src: `data:image/png;base64,${tree.pictures[node]}`, alt: `Filter of node ${node}` });
      }
      const lines = tree.bars[node].flatMap(([i, size]) => [
        element("span", { class: "of", title: tree.names[i] }, short(tree.names[i], 34)),
        element("span", { class: "size" }, `${size > 0 ? "+" : ""}${number(size, 3)}`),
        element("span", { class: "lane" }, element("span", { class: `bar ${size > 0 ? "plus" : "minus"}`, style: `width:${((50 * Math.abs(size)) / tree.full[node]).toFixed(1)}%` })),
      ]);
      if (tree.hidden[node]) lines.push(element("span", { class: "of quiet" }, `and ${tree.hidden[node]} weaker`));
      return element("span", { class: "parts-read" }, ...lines);
    }

    const up = element("button", { type: "button", class: "soft-up" }, "↑ Up");
    up.addEventListener("click", () => go(parent(at.node)));
    const sides = ["left", "right"].map((side, i) => {
      const button = element("button", { type: "button", class: `soft-side soft-${side}` });
      button.addEventListener("click", () => {
        go(2 * at.node + 1 + i);
        if (button.disabled) up.focus();
      });
      return button;
    });
    const middle = element("div", { class: "soft-middle" });
    here.append(sides[0], middle, sides[1]);

    function draw() {
      const node = at.node;
      const isLeaf = node >= inner;
      box.dataset.node = node;
      up.disabled = node === 0;
      middle.replaceChildren(
        element("p", { class: "soft-title" }, element("b", {}, isLeaf ? `Leaf ${node}` : `Node ${node}`), ` · ${share(node)}`),
        ...(isLeaf ? [] : [filter(node), element("p", { class: "quiet" }, tree.pictures ? `full colour at ±${number(tree.full[node], 3)}` : "weight × range")]),
        distribution(node, 12),
        up,
      );
      sides.forEach((button, i) => {
        const child = 2 * node + 1 + i;
        button.disabled = isLeaf;
        const word = i ? "right →" : "← left";
        if (isLeaf) button.replaceChildren(element("b", {}, word), element("span", { class: "quiet" }, "no further"));
        else {
          const picture = tree.pictures && child < inner ? [filter(child)] : [];
          button.replaceChildren(element("b", {}, word), ...picture, element("span", {}, says(child)), element("span", { class: "quiet" }, share(child)), distribution(child, 10));
        }
      });
      crumbs.replaceChildren(...way(node).flatMap((passed, i, all) => {
        const word = i ? `${passed % 2 ? "left" : "right"} (${passed})` : "root";
        if (passed === node) return [element("span", { "aria-current": "true" }, word)];
        const button = element("button", { type: "button", class: "link" }, word);
        button.addEventListener("click", () => {
          go(passed);
          here.focus();
        });
        return i < all.length - 1 ? [button, element("span", { "aria-hidden": "true" }, "›")] : [button];
      }));
      for (const part of figure.querySelectorAll(".soft-node")) part.classList.toggle("here", Number(part.dataset.node) === node);
      const [x, y] = place(node);
      marks.replaceChildren(
        drawn("path", { class: "lit", d: line([...lit]) }),
        drawn("path", { class: "way", d: line(way(node)) }),
        drawn("circle", { class: "end", cx: x, cy: y, r: 5.5 }),
      );
    }

    // The whole tree, small; a click goes to the node that lies next
    const all = tree.rows.map((_, node) => node);
    const marks = drawn("g", {});
    overview.setAttribute("viewBox", `0 0 ${width} ${height}`);
    overview.append(drawn("path", { class: "plain", d: line(all) }), drawn("path", { class: "dots", d: all.map((node) => `M${place(node).join(" ")}h0`).join("") }), marks);
    overview.addEventListener("click", (event) => {
      const area = overview.getBoundingClientRect();
      const row = Math.min(Math.max(Math.floor(((event.clientY - area.top) / area.height) * (tree.depth + 1)), 0), tree.depth);
      const along = Math.floor(((event.clientX - area.left) / area.width) * 2 ** row);
      go(2 ** row - 1 + Math.min(Math.max(along, 0), 2 ** row - 1));
    });
    for (const part of figure.querySelectorAll(".soft-node")) {
      part.addEventListener("click", () => go(Number(part.dataset.node)));
    }
    here.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: 2 * at.node + 1, ArrowRight: 2 * at.node + 2, ArrowUp: parent(at.node), Home: 0 };
      if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const next = moves[event.key];
      if (next < 0 || next >= tree.rows.length) return;
      go(next);
      here.focus({ preventScroll: true });
    });
    box.hidden = false;
    draw();
    return { go, draw, says };
  }
})();
