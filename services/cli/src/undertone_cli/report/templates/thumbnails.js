// All stories as small charts: search, sort and a link to the arc.
const CARDS = 24;

function thumbnail(story, arcs) {
  const svg = element("svg", { class: "thumb", viewBox: "0 0 1200 1000", preserveAspectRatio: "none", "aria-hidden": "true" });
  const sums = new Array(story.arc).fill(0);
  const layers = arcs.map((arc, row) => {
    const outline = sums.map((_, point) => {
      sums[point] += arc[story.arcStart + point] / data.stackTop;
      return `${Math.round((1200 * point) / (story.arc - 1))} ${Math.round(1000 * (1 - sums[point]))}`;
    });
    return element("path", { class: `e${data.shown[row]}`, d: `M${outline.join("L")}V1000H0z` });
  });
  svg.append(...layers.reverse()); // each layer covers the lower part of the one before
  return svg;
}

function card(index, arcs) {
  const story = data.stories[index];
  const leader = element("b", { class: `e${story.leading}` }, data.labels[story.leading]);
  const facts = element("span", {}, `${paragraphs(story.paragraphs)}, led by\u00a0`, leader);
  if (story.valence !== null) facts.append(`, valence\u00a0${signed(story.valence)}`);
  facts.append(`, confidence\u00a0${percent(story.confidence)}`);
  if (story.changed) facts.append(`, ${percent(story.changed[0] / story.changed[1])} changed`);
  const link = element("a", { href: `#story-${index + 1}` }, thumbnail(story, arcs), element("strong", {}, story.title));
  return element("li", {}, link, facts);
}

function setUpCards() {
  if (!byId("cards")) return;
  const arcs = data.arcs.map((arc) => decode(arc, Uint8Array).map((value) => value / data.smallScale));
  let arcStart = 0;
  for (const story of data.stories) {
    story.arcStart = arcStart;
    arcStart += story.arc;
  }
  const [search, sort, more, found] = ["search", "sort", "more", "found"].map(byId);
  const keys = {
    paragraphs: (story) => -story.paragraphs,
    confidence: (story) => story.confidence,
    changed: (story) => (story.changed ? -story.changed[0] / story.changed[1] : 1),
    pleasant: (story) => -story.valence,
    unpleasant: (story) => story.valence,
  };
  let limit = CARDS;

  function means(row) {
    const { means, count } = columns;
    return data.stories.map(({ start, groups, paragraphs }) => {
      let sum = 0;
      for (let i = start; i < start + groups; i++) sum += means[row][i] * count[i];
      return -sum / paragraphs;
    });
  }

  function values(name) {
    if (name === "name") return data.stories.map((_, index) => index);
    return name in keys ? data.stories.map(keys[name]) : means(Number(name.slice("label-".length)));
  }

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const order = values(sort.value);
    const matches = data.stories
      .map((story, index) => [`${story.title} ${story.document}`.toLowerCase(), index])
      .filter(([text]) => words.every((word) => text.includes(word)))
      .map(([, index]) => index)
      .sort((one, other) => order[one] - order[other] || one - other);
    byId("cards").replaceChildren(...matches.slice(0, limit).map((index) => card(index, arcs)));
    const shown = Math.min(limit, matches.length);
    found.textContent = `${number(shown)} of ${number(matches.length)} ${words.length ? "matching stories" : "stories"}`;
    more.hidden = shown === matches.length;
    more.textContent = `Show ${Math.min(CARDS, matches.length - shown)} more`;
  }

  function restart() {
    limit = CARDS;
    show();
  }

  search.addEventListener("input", restart);
  sort.addEventListener("change", restart);
  more.addEventListener("click", () => {
    const next = limit;
    limit += CARDS;
    show();
    byId("cards").children[next].firstChild.focus({ preventScroll: true });
  });
  show();
}
