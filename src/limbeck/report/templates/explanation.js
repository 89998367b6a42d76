// A walk through the levels of a picture's groups; on paper all tables open, in light colours.
(() => {
  "use strict";
  for (const viewer of document.querySelectorAll("[data-viewer]")) {
    const strip = document.querySelector(`[data-strip="${viewer.dataset.viewer}"]`);
    const figures = [...strip.querySelectorAll("figure")];
    const shown = viewer.querySelector("[data-shown]");
    const word = viewer.querySelector("[data-word]");
    const slider = viewer.querySelector("input");
    const buttons = [...viewer.querySelectorAll("button[data-step]")];
    const show = (index) => {
      const at = Math.min(Math.max(index, 0), figures.length - 1);
      slider.value = String(at);
      shown.replaceChildren(figures[at].querySelector("svg").cloneNode(true));
      const text = figures[at].querySelector("figcaption").textContent;
      word.textContent = text.charAt(0).toLowerCase() + text.slice(1);
      slider.setAttribute("aria-valuetext", text);
      figures.forEach((figure, i) => figure.classList.toggle("on", i === at));
      buttons[0].disabled = at === 0;
      buttons[1].disabled = at === figures.length - 1;
    };
    slider.addEventListener("input", () => show(Number(slider.value)));
    for (const button of buttons) {
      button.addEventListener("click", () => show(Number(slider.value) + Number(button.dataset.step)));
    }
    figures.forEach((figure, i) => figure.addEventListener("click", () => show(i)));
    strip.classList.add("alive");
    viewer.querySelector(".walk").hidden = false;
    show(Number(slider.value));
  }

  let closed = [];
  let theme;
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("section > details, article > details")].filter((one) => !one.open);
    for (const one of closed) one.open = true;
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  });
})();
