// Chooses the story of the arc: by the picker, the buttons, the address, or a link.
for (const hint of document.querySelectorAll(".needs-script")) hint.hidden = false;

function setUpArc() {
  const [picker, smoothing, level, bars] = ["picker", "smoothing", "level", "bars"].map(byId);
  const reading = new Reading(document.querySelector(".plot"));
  let current = 0;

  function describeSmoothing(story) {
    const deviation = bandwidth(story, Number(smoothing.value));
    const unit = story.groups === story.paragraphs ? "paragraph" : "group";
    const rounded = deviation < 9.95 ? deviation.toFixed(1) : number(Math.round(deviation));
    level.textContent = deviation ? `±${rounded} paragraphs` : `none: each ${unit}`;
    smoothing.setAttribute("aria-valuetext", level.textContent);
  }

  function update() {
    const story = data.stories[current];
    reading.load(story, draw(story, Number(smoothing.value), bars.checked));
    describeSmoothing(story);
  }

  function showChapters(story) {
    const span = story.last - story.first + 1;
    const names = story.chapters.map(([place, title]) => {
      const label = element("span", { title }, title);
      label.style.left = `${(100 * (place - story.first)) / span}%`;
      return label;
    });
    byId("chapters").replaceChildren(...names);
    byId("chapters").hidden = !names.length;
    let free = -Infinity;
    const edge = byId("chapters").getBoundingClientRect().right;
    for (const label of names) {
      const { left, right } = label.getBoundingClientRect();
      label.hidden = left < free || right > edge + 1;
      if (!label.hidden) free = right + 8;
    }
    byId("contents").hidden = !names.length;
    byId("contents").querySelector("summary").textContent = `${number(names.length)} chapters`;
    const buttons = story.chapters.map(([place, title, position]) => {
      const button = element("button", { type: "button" }, title);
      button.addEventListener("click", () => showAt(place));
      return element("li", {}, button, ` paragraph ${position}`);
    });
    byId("contents").querySelector("ol").replaceChildren(...buttons);
  }

  function showAt(place) {
    reading.canvas.focus();
    reading.showPlace(place);
  }

  function endName(story, place) {
    return data.joined ? `${chapterAt(story, place)[1]}, ${positionOf(story, place)}` : positionOf(story, place);
  }

  function choose(index) {
    current = index;
    const story = data.stories[index];
    byId("arc-title").textContent = story.title;
    const grouped = story.groups < story.paragraphs ? `, drawn as ${number(story.groups)} groups of adjacent paragraphs` : "";
    byId("arc-detail").replaceChildren(`${paragraphs(story.paragraphs)}${grouped}`);
    if (story.title !== story.document && !data.joined) byId("arc-detail").append(" · ", element("code", {}, story.document));
    byId("arc-sentence").textContent = story.sentence;
    byId("ridges").setAttribute("aria-label", story.sentence);
    byId("axis-first").textContent = endName(story, story.first);
    byId("axis-last").textContent = endName(story, story.last);
    if (picker) {
      picker.value = String(index);
      byId("previous").disabled = index === 0;
      byId("next").disabled = index === data.stories.length - 1;
    }
    update();
    showChapters(story);
  }

  function followAddress() {
    const match = /^#story-(\d+)(?:-(\d+))?$/.exec(location.hash);
    if (!match || !data.stories[match[1] - 1]) return;
    choose(match[1] - 1);
    byId("arcs").scrollIntoView();
    if (match[2]) showAt(Number(match[2]));
    else byId("arc-title").focus({ preventScroll: true });
  }

  if (picker) {
    picker.append(...data.stories.map((story, index) => element("option", { value: index }, story.title)));
    picker.addEventListener("change", () => choose(Number(picker.value)));
    byId("previous").addEventListener("click", () => choose(current - 1));
    byId("next").addEventListener("click", () => choose(current + 1));
  }
  smoothing.addEventListener("input", update);
  bars.addEventListener("change", update);
  // A link to the present address does not change it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#story-"]');
    if (link && link.hash === location.hash) followAddress();
  });
  window.addEventListener("hashchange", followAddress);
  window.addEventListener("resize", () => showChapters(data.stories[current]));
  choose(0);
  followAddress();
}

if (data.stories.length) {
  setUpCards();
  setUpArc();
}
