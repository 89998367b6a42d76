// Rules: those that hold for the row of the what-if panel are marked; of a list only the first.
(() => {
  "use strict";
  const page = window.limbeckPage;
  const meets = (row) => ([column, low, high, levels, excluded]) => {
    if (levels.length) return levels.includes(row[column]) !== excluded;
    return (low === null || row[column] > low) && (high === null || row[column] <= high);
  };
  for (const figure of document.querySelectorAll(".rules")) {
    const rules = page.data.students[Number(figure.dataset.rules)].rules;
    if (!rules) continue;
    page.onRow((row) => {
      let done = false;
      for (const line of figure.querySelectorAll("[data-rule]")) {
        const holds = !done && rules.conditions[Number(line.dataset.rule)].every(meets(row));
        line.classList.toggle("fires", holds);
        done = done || (holds && rules.first);
      }
    });
  }
})();
