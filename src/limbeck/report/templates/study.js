// All sets opened or closed at once, and for print.
(() => {
  "use strict";
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
