"use strict";
(() => {
  const root = document.documentElement;
  const setLanguage = (language) => {
    root.dataset.language = language;
    root.lang = language === "zh" ? "zh-Hant-TW" : "en";
    document.title = document.querySelector("h1 ." + language).textContent;
  };
  setLanguage((navigator.language || "zh").toLowerCase().startsWith("zh") ? "zh" : "en");
  document.querySelector("button.language").addEventListener("click", () => setLanguage(root.dataset.language === "zh" ? "en" : "zh"));

  const table = document.querySelector("table.list");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const text = row.cells[column].dataset.sort;
    return heads[column].classList.contains("n") && text !== "" ? Number(text) : text;
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const numbers = head.classList.contains("n");
    const was = head.getAttribute("aria-sort");
    const direction = was === "descending" ? "ascending" : was === "ascending" ? "descending" : numbers && column ? "descending" : "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows];
    rows.sort((a, b) => {
      const x = value(a, column), y = value(b, column);
      if (x === "" || y === "") return (x === "") - (y === "");  // what is not known stays at the end
      return sign * (numbers ? x - y : x.localeCompare(y, "zh-Hant"));
    });
    body.append(...rows);
  }));

  const search = document.querySelector("input[type=search]");
  const count = document.querySelector("output");
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.value = shown;
  });
})();
