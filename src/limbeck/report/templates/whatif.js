// The what-if panel: a control a column, and every student's answer computed here by its own JavaScript export.
(() => {
  "use strict";
  const page = window.limbeckPage;
  const { data, element, number, percent, short } = page;
  const panel = document.getElementById("whatif");
  if (!panel || !data.columns || !data.students.length) return;
  const byId = (id) => document.getElementById(id);
  const controls = data.columns.map(() => null);
  const middle = data.columns.map((column) => column.middle);
  const row = middle.slice();
  const known = [
    ...data.rows.map((cells, i) => ({ cells, teacher: data.teacher[i], truth: data.truth ? data.truth[i] : null })),
    ...data.worst.map(({ row: cells, teacher }) => ({ cells, teacher, truth: null })),
  ];

  // A control
  function build(j) {
    const column = data.columns[j];
    const label = element("label", { for: `c${j}`, class: "name", title: column.name }, column.name);
    const holder = element("div", { class: "control", "data-column": j });
    if (column.levels) {
      const options = column.levels.map((level, code) => element("option", { value: code }, level));
      const select = element("select", { id: `c${j}` }, ...options);
      select.addEventListener("change", () => change(j, Number(select.value)));
      holder.append(label, select);
      controls[j] = { holder, write: (value) => (select.value = String(value)) };
      return;
    }
    const slider = element("input", { type: "range", id: `c${j}`, min: column.min, max: column.max, step: column.step });
    const box = element("input", { type: "number", step: "any", "aria-label": `${column.name}, as a number` });
    slider.addEventListener("input", () => change(j, Number(slider.value), slider));
    box.addEventListener("input", () => {
      const value = box.valueAsNumber;
      box.setAttribute("aria-invalid", String(!Number.isFinite(value)));
      if (Number.isFinite(value)) change(j, value, box);
    });
    const ends = element("span", { class: "ends", "aria-hidden": "true" }, element("span", {}, number(column.min)), element("span", {}, number(column.max)));
    holder.append(label, box, slider, ends);
    controls[j] = {
      holder,
      write: (value, from) => {
        if (from !== slider) slider.value = String(value);
        if (from !== box) {
          box.value = String(value);
          box.removeAttribute("aria-invalid");
        }
      },
    };
  }

  function control(j) {
    if (!controls[j]) {
      build(j);
      controls[j].write(row[j]);
    }
    return controls[j].holder;
  }

  // Columns that the selected student reads come first; the others are built only when asked for
  const used = byId("used");
  const others = byId("others");
  const rest = byId("others-list");
  const filter = byId("column-filter");
  const shownFirst = (student) => new Set(student.first || student.uses);
  function arrange(index) {
    const student = data.students[index];
    const reads = shownFirst(student);
    const first = data.columns.map((_, j) => j).filter((j) => reads.has(j));
    used.replaceChildren(...first.map(control));
    if (!first.length) used.append(element("p", { class: "quiet" }, "This student reads no column: it answers the same for every row."));
    const left = data.columns.length - first.length;
    others.hidden = left === 0;
    const columns = left === 1 ? "1 column" : `${left} columns`;
    others.querySelector("summary").textContent = student.first ? `${columns} that weigh less for ${student.name}, or nothing` : `${columns} that ${student.name} does not read`;
    fillOthers();
    filter.parentElement.hidden = data.columns.length < 25;
    sift();
  }
  function fillOthers() {
    const reads = shownFirst(data.students[page.selected]);
    if (others.open) rest.replaceChildren(...data.columns.map((_, j) => j).filter((j) => !reads.has(j)).map(control));
    else rest.replaceChildren();
  }
  function sift() {
    const wanted = filter.value.trim().toLowerCase();
    for (const holder of panel.querySelectorAll(".control")) {
      holder.hidden = wanted !== "" && !data.columns[Number(holder.dataset.column)].name.toLowerCase().includes(wanted);
    }
  }
  others.addEventListener("toggle", () => {
    fillOthers();
    sift();
  });
  filter.addEventListener("input", sift);

  // The row
  function change(j, value, from) {
    row[j] = value;
    if (controls[j]) controls[j].write(value, from);
    update();
  }
  function load(cells) {
    cells.forEach((value, j) => {
      row[j] = value;
      if (controls[j]) controls[j].write(value);
    });
    update();
  }
  const list = byId("row-list");
  if (list) {
    data.rows.forEach((_, i) => list.append(element("option", { value: i }, `row ${i + 1}: teacher ${words(data.teacher[i])}`)));
    const pick = () => load(list.value === "middle" ? middle : data.rows[Number(list.value)]);
    list.addEventListener("change", pick);
    for (const [id, step] of [["row-before", -1], ["row-after", 1]]) {
      byId(id).addEventListener("click", () => {
        list.selectedIndex = Math.min(Math.max(list.selectedIndex + step, 0), list.options.length - 1);
        pick();
      });
    }
  }
  byId("row-middle").addEventListener("click", () => {
    if (list) list.value = "middle";
    load(middle);
  });
  for (const button of document.querySelectorAll("button[data-try]")) {
    const worst = data.worst[Number(button.dataset.try)];
    if (!worst) continue;
    button.hidden = false;
    button.addEventListener("click", () => {
      load(worst.row);
      panel.scrollIntoView({ block: "start" });
      panel.focus({ preventScroll: true });
      page.say("The row is in the what-if panel");
    });
  }

  // Answers
  function answers(index) {
    const run = (window.limbeckStudents || {})[index];
    if (!run) return null;
    try {
      // A level goes in as its own value, not as its position
      return run(row.map((value, j) => (data.columns[j].levels ? data.columns[j].values[value] : value)));
    } catch (error) {
      return { failed: String(error && error.message ? error.message : error) };
    }
  }
  function words(values) {
    if (!values) return "–";
    if (values.failed) return "can't be computed";
    if (data.task === "classification") {
      const best = values.reduce((top, value, i) => (value > values[top] ? i : top), 0);
      return `${short(data.outputs[best], 24)} ${percent(values[best])}`;
    }
    return values.slice(0, 3).map((value) => number(value)).join(" / ") + (values.length > 3 ? " / …" : "");
  }
  const same = (cells) => cells.every((value, j) => value === row[j]);

  function update() {
    const all = data.students.map((_, i) => answers(i));
    const match = known.find(({ cells }) => same(cells)) || null;
    if (list && !(list.value !== "middle" && data.rows[Number(list.value)] && same(data.rows[Number(list.value)]))) {
      const at = data.rows.findIndex(same);
      list.value = at >= 0 ? String(at) : same(middle) ? "middle" : "";
    }
    page.setRow(row);
    show(all, match);
  }

  const output = byId("answer");
  function show(all, match) {
    const index = page.selected;
    const mine = all[index];
    output.dataset.student = data.students[index].name;
    output.dataset.values = JSON.stringify(mine && !mine.failed ? mine : null);
    byId("answer-name").textContent = data.students[index].name;
    const body = byId("answer-body");
    if (!mine) body.replaceChildren(element("p", { class: "quiet" }, data.students[index].absent || "This student's program did not load."));
    else if (mine.failed) body.replaceChildren(element("p", { class: "quiet" }, `The answer can't be computed: ${mine.failed}`));
    else body.replaceChildren(...(data.task === "classification" ? classes(mine, match) : numbers(mine, match)));
    teacher(match);
    compare(all, match);
    path(index);
  }

  function numbers(values, match) {
    const out = [];
    values.slice(0, 12).forEach((value, o) => {
      const name = data.outputs.length > 1 || data.outputs[0] !== "prediction" ? data.outputs[o] : "";
      out.push(element("p", { class: values.length > 1 ? "figure small" : "figure" }, ...(name ? [element("span", { class: "of" }, name)] : []), number(value, 5)));
      if (data.ranges) out.push(gauge(data.ranges[o], value, match ? match.teacher[o] : null));
    });
    if (values.length > 12) out.push(element("p", { class: "quiet" }, `and ${values.length - 12} more outputs`));
    return out;
  }
  function gauge([low, high], value, teacherValue) {
    const at = (v) => `${(100 * Math.min(Math.max((v - low) / (high - low || 1), 0), 1)).toFixed(2)}%`;
    const marks = [element("span", { class: "here", style: `left:${at(value)}` })];
    if (teacherValue !== null) marks.push(element("span", { class: "there", style: `left:${at(teacherValue)}` }));
    const ends = element("div", { class: "ends" }, element("span", {}, number(low)), element("span", {}, number(high)));
    return element("div", { class: "gauge", "aria-hidden": "true" }, element("div", { class: "rail" }, ...marks), ends);
  }
  function classes(values, match) {
    const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
    const shown = order.slice(0, 6);
    const out = [element("p", { class: "figure" }, short(data.outputs[order[0]], 60))];
    const lines = shown.map((c) =>
      element(
        "div",
        { class: "share" },
        element("span", { class: "of", title: data.outputs[c] }, short(data.outputs[c], 32)),
        element("span", { class: "rail" }, element("span", { class: `fill k${c % 8}`, style: `width:${(100 * values[c]).toFixed(2)}%` }), ...(match ? [element("span", { class: "there", style: `left:${(100 * match.teacher[c]).toFixed(2)}%` })] : [])),
        element("span", { class: "value" }, percent(values[c])),
      ),
    );
    out.push(element("div", { class: "shares" }, ...lines));
    if (order.length > shown.length) out.push(element("p", { class: "quiet" }, `and ${order.length - shown.length} classes less probable`));
    return out;
  }

  function teacher(match) {
    const place = byId("answer-teacher");
    if (!match) {
      place.replaceChildren("The teacher was not asked about this row. Its answer is shown for unchanged held-out rows.");
      return;
    }
    const parts = [element("span", { class: "there" }), " teacher: ", element("strong", {}, words(match.teacher))];
    if (match.truth !== null && match.truth !== undefined) {
      const truth = data.task === "classification" ? data.outputs[match.truth] || "a class that the teacher does not know" : [].concat(match.truth).map((value) => number(value)).join(" / ");
      parts.push(" · truth: ", element("strong", {}, truth));
    }
    place.replaceChildren(...parts);
  }

  const table = byId("answer-all");
  function compare(all, match) {
    const lines = data.students.map((student, i) => {
      const button = element("button", { type: "button", class: "link", "aria-pressed": String(i === page.selected) }, student.name);
      button.addEventListener("click", () => {
        page.select(i);
        const again = table.querySelectorAll("button")[i];
        if (again) again.focus();
      });
      return element("tr", { class: i === page.selected ? "chosen" : false }, element("th", { scope: "row" }, button), element("td", {}, words(all[i])));
    });
    if (match) lines.push(element("tr", { class: "teacher" }, element("th", { scope: "row" }, "teacher"), element("td", {}, words(match.teacher))));
    const focused = [...table.querySelectorAll("button")].indexOf(document.activeElement);
    table.replaceChildren(...lines);
    if (focused >= 0) table.querySelectorAll("button")[focused].focus();
  }

  // The way through the tree, small and in words
  function path(index) {
    const place = byId("answer-path");
    const nodes = data.students[index].tree;
    place.hidden = !nodes;
    if (!nodes) return;
    const way = page.path(nodes, row);
    const steps = way.slice(0, -1).map((i, at) => {
      const [column, threshold, levels, left] = nodes[i];
      const { name, levels: all } = data.columns[column];
      const holds = way[at + 1] === left;
      const listed = levels.slice(0, 6).map((code) => short(all ? all[code] : String(code), 24)).join(", ") + (levels.length > 6 ? ", …" : "");
      const is = threshold === null ? (levels.length > 1 ? (holds ? ` in {${listed}}` : ` not in {${listed}}`) : holds ? ` = ${listed}` : ` ≠ ${listed}`) : ` ${holds ? "≤" : ">"} ${number(threshold, 6)}`;
      return element("li", {}, `${short(name, 48)}${is}`);
    });
    const words = element("ol", { class: "steps" }, ...steps);
    place.replaceChildren(element("h4", {}, "The way through the tree"), small(nodes, new Set(way)), words);
  }
  function small(nodes, lit) {
    const at = [];
    let line = 0;
    let deepest = 1;
    const walk = (i, depth) => {
      deepest = Math.max(deepest, depth);
      const node = nodes[i];
      if (node.length) {
        walk(node[3], depth + 1);
        walk(node[4], depth + 1);
        at[i] = [depth, (at[node[3]][1] + at[node[4]][1]) / 2];
      } else at[i] = [depth, line++];
    };
    walk(0, 0);
    const [width, height] = [320, Math.min(Math.max(line * 9, 40), 150)];
    const place = (i) => [8 + (at[i][0] / deepest) * (width - 16), 6 + ((at[i][1] + 0.5) / line) * (height - 12)];
    const lines = { plain: "", lit: "" };
    nodes.forEach((node, i) => {
      if (!at[i] || !node.length) return;
      for (const child of node.slice(3)) {
        const [[x, y], [a, b]] = [place(i), place(child)];
        lines[lit.has(child) ? "lit" : "plain"] += `M${x.toFixed(1)} ${y.toFixed(1)}L${a.toFixed(1)} ${b.toFixed(1)}`;
      }
    });
    const namespace = document.querySelector("svg").namespaceURI;
    const make = (name, attributes) => {
      const made = document.createElementNS(namespace, name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      return made;
    };
    const svg = make("svg", { class: "small-tree", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    svg.append(make("path", { class: "plain", d: lines.plain }), make("path", { class: "lit", d: lines.lit }));
    const [x, y] = place([...lit].at(-1));
    svg.append(make("circle", { class: "end", cx: x, cy: y, r: 4.5 }));
    return svg;
  }

  page.onSelect(arrange);
  update();
  page.onSelect(update);
})();
