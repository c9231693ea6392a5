// Colours and order of labels. All hues have the same lightness and chroma, which the style sheet sets in OKLCH.

// From positive to negative emotions.
const HUES = {
  joy: 85, love: 350, anticipation: 58, surprise: 195, fear: 300, sadness: 255, anger: 27, disgust: 132,
};
const FIRST_HUE = 165;
const NEUTRAL = "neutral";

/** Indexes of the labels as the page shows them: known emotions, the others as in the model, neutral. */
export function readingOrder(labels) {
  const known = Object.keys(HUES);
  const rank = (label) => {
    const name = label.toLowerCase();
    if (name === NEUTRAL) return known.length + 1;
    return known.includes(name) ? known.indexOf(name) : known.length;
  };
  return labels.map((_, index) => index).sort((a, b) => rank(labels[a]) - rank(labels[b]) || a - b);
}

/** The hue of each label in degrees, or null for neutral, which is gray. Labels without a usual hue get unused ones. */
export function huesOf(labels) {
  const names = labels.map((label) => label.toLowerCase());
  const used = names.filter((name) => name in HUES).map((name) => HUES[name]);
  return names.map((name) => {
    if (name === NEUTRAL) return null;
    if (name in HUES) return HUES[name];
    used.push(spareHue(used));
    return used.at(-1);
  });
}

/** Gives an element the colours of a label: --fill for areas, --tone for words. */
export function paint(node, hue) {
  node.classList.add(hue === null ? "gray" : "hue");
  if (hue !== null) node.style.setProperty("--hue", hue);
  return node;
}

/** The middle of the widest gap between the used hues. */
function spareHue(used) {
  if (used.length === 0) return FIRST_HUE;
  const hues = [...new Set(used)].sort((a, b) => a - b);
  let [widest, start] = [0, 0];
  hues.forEach((hue, i) => {
    const gap = (hues[i + 1] ?? hues[0] + 360) - hue;
    if (gap > widest) [widest, start] = [gap, hue];
  });
  return (start + widest / 2) % 360;
}
