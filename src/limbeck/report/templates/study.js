// Light and dark: the system's choice until the button says otherwise. All sets opened or closed at once, and for print.
(() => {
  "use strict";
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  function label() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Show the page in light colours" : "Show the page in dark colours");
  }
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  label();

  const sets = [...document.querySelectorAll("details.study-set")];
  const all = document.getElementById("open-all");
  const isOpen = () => sets.every((set) => set.open);
  function open(value) {
    for (const set of sets) set.open = value;
  }
  if (all) {
    const word = () => {
      all.textContent = isOpen() ? "Close all sets" : "Open all sets";
    };
    all.hidden = false;
    all.addEventListener("click", () => open(!isOpen()));
    for (const set of sets) set.addEventListener("toggle", word);
    word();
  }
  // A link to a set opens it
  function follow() {
    const found = document.getElementById(location.hash.slice(1));
    if (found && found.matches("details.study-set")) {
      found.open = true;
      found.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", follow);
  follow();

  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = sets.filter((set) => !set.open);
    open(true);
  });
  window.addEventListener("afterprint", () => {
    for (const set of closed) set.open = false;
  });
})();
