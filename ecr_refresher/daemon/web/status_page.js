// Fetches the page again and replaces what has changed; the reader's scroll position, focus and selection stay.
(() => {
  "use strict";
  const EVERY_MS = Number(document.documentElement.dataset.everyMs);
  const button = document.getElementById("pause");
  const lost = document.getElementById("lost");
  let timer = 0;
  let paused = false;

  const parts = (root) => [...root.querySelectorAll("[data-part]")];
  const selected = (part) => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.containsNode(part, true);
  };

  function takeOver(fresh) {
    if (fresh.documentElement.dataset.version !== document.documentElement.dataset.version) {
      location.reload(); // a new version of the daemon has a new style and script
      return;
    }
    const anchor = parts(document).find((part) => part.getBoundingClientRect().bottom > 0);
    const top = anchor ? anchor.getBoundingClientRect().top : 0;
    const [now, then] = [parts(fresh), parts(document)];
    if (now.map((part) => part.id).join() === then.map((part) => part.id).join()) {
      now.forEach((part, index) => {
        if (part.outerHTML !== then[index].outerHTML && !selected(then[index])) then[index].replaceWith(part);
      });
    } else if (!selected(document.querySelector("main"))) {
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
    }
    const kept = anchor && document.getElementById(anchor.id);
    if (kept) scrollBy(0, kept.getBoundingClientRect().top - top);
    // Screen readers announce a live region when its text changes, not when it is replaced.
    const [said, says] = [document.getElementById("summary"), fresh.getElementById("summary")];
    if (said.textContent !== says.textContent) said.textContent = says.textContent;
    document.title = fresh.title;
    const [icon, next] = [document, fresh].map((root) => root.querySelector("link[rel=icon]"));
    if (icon.href !== next.href) icon.href = next.href;
  }

  async function refresh() {
    clearTimeout(timer);
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(2 * EVERY_MS) });
      if (!answer.ok) throw new Error(answer.status);
      takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, EVERY_MS);
  }

  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume" : "Pause";
    button.setAttribute("aria-pressed", paused);
    if (paused) clearTimeout(timer);
    else refresh();
  });
  document.addEventListener("visibilitychange", () => (document.hidden || paused ? clearTimeout(timer) : refresh()));
  button.hidden = false;
  plan();
})();
