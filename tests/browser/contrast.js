// Every text of the page and every figure of its bars, with the contrast to what lies behind it (WCAG 2.2, 1.4.3 and
// 1.4.11), from computed styles. Gives those below what is asked of them.
(() => {
  const channels = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { rgb, alpha } = channels(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return rgb;
      if (alpha !== 0) throw new Error(`half-transparent background of ${at.outerHTML.slice(0, 80)}`);
    }
    throw new Error("no background at all");
  };
  const found = [];
  let looked = 0;
  const look = (element, colour, least, what) => {
    looked += 1;
    const ratio = contrast(channels(colour).rgb, behind(element));
    if (ratio < least) found.push(`${ratio.toFixed(2)} < ${least}: ${what}`);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("script, title")) continue;
    look(element, getComputedStyle(element).color, 4.5, text);
  }
  for (const shape of document.querySelectorAll(".left, .empty, .renewal, .now, .mark path, .mark circle")) {
    const style = getComputedStyle(shape);
    const colour = style.stroke === "none" ? style.fill : style.stroke;
    look(shape.closest("svg").parentElement, colour, 3, shape.outerHTML);
  }
  const button = document.getElementById("pause");
  look(button.parentElement, getComputedStyle(button).borderColor, 3, "the button's border");
  return { looked, found };
})();
