// The values of one group of paragraphs, by pointer or by keyboard.

/** The number of a place: the position in its document, which the ids and the column `position` have. */
function positionOf(story, place) {
  const chapter = chapterAt(story, place);
  return chapter && data.joined ? place - chapter[0] + chapter[2] : place;
}

const chapterAt = (story, place) => story.chapters.findLast(([start]) => start <= place);

function groupName(story, groups, i) {
  const [first, last] = [groups.first[i], groups.last[i]];
  const name =
    first === last
      ? `paragraph ${positionOf(story, first)}`
      : `paragraphs ${positionOf(story, first)} to ${positionOf(story, last)}, mean of ${number(groups.count[i])}`;
  const chapter = chapterAt(story, first);
  return chapter ? `${chapter[1]}: ${name}` : name;
}

class Reading {
  constructor(plot) {
    this.plot = plot;
    this.canvas = plot.querySelector(".canvas");
    this.cells = [...plot.querySelectorAll(".values li")].map((row) => row.lastElementChild);
    this.selected = plot.querySelector(".selected");
    this.columnTitle = plot.querySelector(".column-title");
    this.cursor = this.canvas.appendChild(element("i", { class: "cursor" }));
    const steps = {
      ArrowLeft: () => this.current - 1,
      ArrowRight: () => this.current + 1,
      ArrowDown: () => this.current - 1,
      ArrowUp: () => this.current + 1,
      PageDown: () => this.current - 10,
      PageUp: () => this.current + 10,
      Home: () => 0,
      End: () => this.groups.first.length - 1,
    };
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-valuemin", 1);
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.reset();
      if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.show(steps[event.key]());
    });
    this.canvas.addEventListener("pointermove", (event) => this.show(this.nearest(event)));
    this.canvas.addEventListener("pointerdown", (event) => this.show(this.nearest(event)));
    this.canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.reset());
    this.canvas.addEventListener("blur", () => this.reset());
  }

  /** Takes the rows of another story. */
  load(story, { groups, rows }) {
    Object.assign(this, { story, groups, rows, current: -1 });
    const total = groups.count.reduce((sum, count) => sum + count, 0);
    this.means = rows.map((row) => row.mean.reduce((sum, value, i) => sum + value * groups.count[i], 0) / total);
    this.canvas.setAttribute("aria-label", `Paragraphs of ${story.title}`);
    this.canvas.setAttribute("aria-valuemax", groups.first.length);
    this.canvas.setAttribute("aria-valuenow", 1);
    this.canvas.setAttribute("aria-valuetext", this.text(0));
    this.reset();
  }

  text(i) {
    const values = this.rows.map((row) => `${row.name} ${row.text(row.mean[i])}`);
    return `${groupName(this.story, this.groups, i)}: ${values.join(", ")}`;
  }

  show(index) {
    this.current = Math.min(Math.max(index, 0), this.groups.first.length - 1);
    const i = this.current;
    const span = this.story.last - this.story.first + 1;
    this.cursor.style.left = `${(100 * (this.groups.center[i] + 0.5 - this.story.first)) / span}%`;
    this.rows.forEach((row, k) => (this.cells[k].textContent = row.text(row.mean[i])));
    const name = groupName(this.story, this.groups, i);
    this.selected.textContent = name[0].toUpperCase() + name.slice(1);
    this.columnTitle.textContent = "here";
    this.plot.classList.add("reading");
    this.canvas.setAttribute("aria-valuenow", i + 1);
    this.canvas.setAttribute("aria-valuetext", this.text(i));
  }

  /** Shows the group with a place. */
  showPlace(place) {
    this.show(Math.max(0, this.groups.last.findIndex((last) => last >= place)));
  }

  reset() {
    this.plot.classList.remove("reading");
    this.rows.forEach((row, k) => (this.cells[k].textContent = row.text(this.means[k])));
    this.selected.textContent = "paragraph";
    this.columnTitle.textContent = "mean";
  }

  nearest(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    const place = this.story.first - 0.5 + ((this.story.last - this.story.first + 1) * (event.clientX - left)) / width;
    const { center } = this.groups;
    const after = Math.min(bisect(center, place, false), center.length - 1);
    return after > 0 && place - center[after - 1] < center[after] - place ? after - 1 : after;
  }
}
