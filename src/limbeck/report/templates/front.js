// The front: hover and focus show the numbers, a click or Enter selects the student everywhere in the page.
(() => {
  "use strict";
  const page = window.limbeckPage;
  for (const front of document.querySelectorAll(".front-svg")) {
    const points = [...front.querySelectorAll(".point")].sort((a, b) => place(a)[0] - place(b)[0]);
    if (!points.length) continue;
    points[0].tabIndex = 0;
    points.forEach((point, i) => {
      const index = Number(point.dataset.student);
      const lines = page.data.students[index].tip;
      point.addEventListener("pointermove", (event) => page.tip(lines, event.clientX, event.clientY));
      point.addEventListener("pointerleave", () => page.tip(null));
      point.addEventListener("focus", () => page.tipBeside(lines, point.querySelector(".mark")));
      point.addEventListener("blur", () => page.tip(null));
      point.addEventListener("click", () => page.select(index));
      point.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (event.key === "Enter" || event.key === " ") page.select(index);
        else if (step) move(points, i, i + step);
        else if (event.key === "Home") move(points, i, 0);
        else if (event.key === "End") move(points, i, points.length - 1);
        else return;
        event.preventDefault();
      });
    });
    page.onSelect((selected) => {
      for (const point of points) {
        const isSelected = Number(point.dataset.student) === selected;
        point.setAttribute("aria-selected", String(isSelected));
        if (isSelected) for (const other of points) other.tabIndex = other === point ? 0 : -1;
      }
    });
  }

  function place(point) {
    return /translate\(([\d.-]+) ([\d.-]+)\)/.exec(point.getAttribute("transform")).slice(1).map(Number);
  }

  function move(points, from, to) {
    const next = points[Math.min(Math.max(to, 0), points.length - 1)];
    points[from].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
})();
