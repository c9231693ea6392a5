// Shows the values of one paragraph of an arc, by pointer or by keyboard. The page works without this script: the
// titles in the strip contain the same values.
"use strict";

for (const hint of document.querySelectorAll(".needs-script")) hint.hidden = false;

for (const plot of document.querySelectorAll(".plot")) {
  const canvas = plot.querySelector(".canvas");
  const strip = plot.querySelector(".strip");
  const rows = [...plot.querySelectorAll(".values li")];
  const numbers = rows.map((row) => row.lastChild);
  const selected = plot.querySelector(".selected").firstChild;
  const columnTitle = plot.querySelector(".column-title").firstChild;
  const initial = [...numbers, selected, columnTitle].map((node) => [node, node.data]);
  const total = strip.viewBox.baseVal.width;
  const [pitch, headroom, rise] = ["pitch", "headroom", "rise"].map((name) => Number(plot.dataset[name]) / 10);

  const cells = [...strip.children].map((rect) => {
    const title = rect.querySelector("title");
    title.remove(); // the browser's tooltip would cover the values
    const [x, width] = ["x", "width"].map((name) => Number(rect.getAttribute(name)));
    const percents = rect.dataset.p.split(" ").map(Number);
    return { middle: (x + width / 2) / total, text: title.textContent, percents };
  });
  const cursor = mark("cursor");
  const stems = rows.map((row) => mark(`stem ${row.className}`));
  let current = -1;

  function mark(className) {
    const element = canvas.appendChild(document.createElement("i"));
    element.className = className;
    return element;
  }

  function show(index) {
    current = Math.min(Math.max(index, 0), cells.length - 1);
    const { middle, text, percents } = cells[current];
    cursor.style.left = `${100 * middle}%`;
    stems.forEach((stem, row) => {
      const height = (rise * percents[row]) / 100;
      stem.style.left = `${100 * middle}%`;
      stem.style.top = `${headroom + pitch * (row + 1) - height}px`;
      stem.style.height = `${height}px`;
      numbers[row].data = `${percents[row] || "<1"}%`;
    });
    selected.data = text.slice(0, text.indexOf(":"));
    columnTitle.data = "here";
    plot.classList.add("reading");
    canvas.setAttribute("aria-valuenow", current + 1);
    canvas.setAttribute("aria-valuetext", text);
  }

  function reset() {
    plot.classList.remove("reading");
    for (const [node, data] of initial) node.data = data;
  }

  function nearest(event) {
    const { left, width } = canvas.getBoundingClientRect();
    const at = (event.clientX - left) / width;
    return cells.reduce((best, cell, i) => (Math.abs(cell.middle - at) < Math.abs(cells[best].middle - at) ? i : best), 0);
  }

  canvas.tabIndex = 0;
  for (const [name, value] of Object.entries({
    role: "slider",
    "aria-label": `Paragraphs of ${plot.dataset.name}`,
    "aria-valuemin": 1,
    "aria-valuemax": cells.length,
    "aria-valuenow": 1,
    "aria-valuetext": cells[0].text,
  })) canvas.setAttribute(name, value);

  const steps = {
    ArrowLeft: () => current - 1,
    ArrowRight: () => current + 1,
    ArrowDown: () => current - 1,
    ArrowUp: () => current + 1,
    PageDown: () => current - 10,
    PageUp: () => current + 10,
    Home: () => 0,
    End: () => cells.length - 1,
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") reset();
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(steps[event.key]());
  });
  canvas.addEventListener("pointermove", (event) => show(nearest(event)));
  canvas.addEventListener("pointerdown", (event) => show(nearest(event)));
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && reset());
  canvas.addEventListener("blur", reset);
}
