// An episode, picture by picture: the line that decides is marked, the teacher's action has a ring.
(() => {
  "use strict";
  for (const episode of document.querySelectorAll("[data-episode]")) {
    const data = JSON.parse(document.getElementById(`episode-${episode.dataset.episode}`).textContent);
    const find = (selector) => episode.querySelector(selector);
    const all = (selector) => [...episode.querySelectorAll(selector)];
    const last = Number(episode.dataset.last);
    const [bar, play, speed, pre] = [".player", "[data-play]", "[data-speed]", ".program"].map(find);
    const slider = find(".player input");
    const [sheets, chips, values, marks] = ["[data-sheet]", "[data-chip]", "[data-value]", ".time-lane .at"].map(all);
    const guards = new Map();
    for (const one of all("[data-guard]")) guards.set(one.dataset.guard, [...(guards.get(one.dataset.guard) || []), one]);
    const cursor = find(".cursor");
    let [at, lit, request, began, from] = [0, [], 0, 0, 0];

    function show(index) {
      at = Math.min(Math.max(index, 0), last);
      sheets.forEach((sheet, i) => {
        const place = at - i * data.many;
        sheet.setAttribute("x", place >= 0 && place < data.many ? -place * data.width : data.width);
      });
      chips.forEach((chip, a) => {
        chip.classList.toggle("on", data.taken[at] === a);
        chip.classList.toggle("wanted", data.wanted !== null && data.wanted[at] === a);
      });
      for (const one of lit) one.classList.remove("fires");
      lit = (data.firing && guards.get(String(data.firing[at]))) || [];
      for (const one of lit) one.classList.add("fires");
      if (lit.length && pre.scrollHeight > pre.clientHeight) {
        pre.scrollTop = lit[0].offsetTop - pre.clientHeight / 2;
      }
      values.forEach((value, j) => { value.textContent = data.values[at][j]; });
      const share = last ? at / last : 0;
      for (const mark of marks) mark.style.left = `${(100 * (at + 0.5)) / (last + 1)}%`;
      if (cursor) {
        const x = Number(cursor.dataset.from) + share * (Number(cursor.dataset.to) - Number(cursor.dataset.from));
        cursor.setAttribute("x1", x);
        cursor.setAttribute("x2", x);
      }
      slider.value = String(at);
      slider.setAttribute("aria-valuetext", `step ${at * data.every}`);
      find("[data-at]").textContent = String(at * data.every);
      find("[data-gained]").textContent = data.gained[at];
    }
    function stop() {
      cancelAnimationFrame(request);
      request = 0;
      play.textContent = "▶";
      play.setAttribute("aria-label", "Play");
    }
    function tick(now) {
      const index = from + Math.floor(((now - began) / 1000) * data.fps * Number(speed.value));
      if (index > last) {
        show(last);
        stop();
        return;
      }
      if (index !== at) show(index);
      request = requestAnimationFrame(tick);
    }
    function start() {
      [from, began] = [at >= last ? 0 : at, performance.now()];
      show(from);
      play.textContent = "❚❚";
      play.setAttribute("aria-label", "Pause");
      request = requestAnimationFrame(tick);
    }
    play.addEventListener("click", () => (request ? stop() : start()));
    speed.addEventListener("change", () => { [from, began] = [at, performance.now()]; });
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    for (const button of all("[data-step]")) {
      button.addEventListener("click", () => { stop(); show(at + Number(button.dataset.step)); });
    }
    bar.hidden = false;
    show(0);
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches && episode.hasAttribute("data-begins")) start();
  }
})();
