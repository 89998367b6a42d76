// Programs to take away: copy, download, and the JavaScript shown from the block that already runs in this page.
(() => {
  "use strict";
  const page = window.limbeckPage;
  for (const place of document.querySelectorAll("code[data-from]")) {
    const source = document.getElementById(place.dataset.from);
    if (source) place.textContent = source.textContent.slice(Number(place.dataset.start), source.textContent.length - Number(place.dataset.end));
  }
  for (const group of document.querySelectorAll(".exports")) {
    const list = group.querySelector('[role="tablist"]');
    const show = page.tabs(list, (i) => show(i));
    show(0);
  }
  page.onSelect((index) => {
    for (const group of document.querySelectorAll(".exports")) group.hidden = Number(group.dataset.student) !== index;
  });
  for (const link of document.querySelectorAll("a[data-download]")) {
    const code = document.getElementById(link.dataset.download);
    let address = null;
    link.hidden = false;
    link.addEventListener("click", () => {
      if (!address) address = URL.createObjectURL(new Blob([code.textContent], { type: "text/plain;charset=utf-8" }));
      link.href = address;
    });
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const code = document.getElementById(button.dataset.copy);
    const word = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(code);
      button.textContent = done ? "Copied" : "Selected: press Ctrl+C";
      page.say(done ? "Copied" : "The text is selected; press Control and C to copy it");
      setTimeout(() => (button.textContent = word), 2500);
    });
  }

  async function copy(code) {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch {
      // Some browsers give no clipboard to a page from a file: select the text, and try the older way
      const selection = window.getSelection();
      selection.removeAllRanges();
      const range = document.createRange();
      range.selectNodeContents(code);
      selection.addRange(range);
      try {
        return document.execCommand("copy");
      } catch {
        return false;
      }
    }
  }
})();
