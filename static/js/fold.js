// Opens the folded parts of a page (details.fold) where there is room, where a link leads, and on paper. It stands behind
// them in the page and is not deferred: it runs before the first paint, so that nothing moves. Without it they open by hand.
(() => {
  "use strict";
  const folds = [...document.querySelectorAll("details.fold")];
  const open = () => folds.forEach((fold) => (fold.open = true));

  function reveal(id) {
    const place = document.getElementById(decodeURIComponent(id));
    const fold = place?.closest("details.fold");
    if (fold) fold.open = true;
    return fold && place;
  }

  if (matchMedia("(min-width: 44rem)").matches) open();
  reveal(location.hash.slice(1));
  addEventListener("hashchange", () => reveal(location.hash.slice(1))?.scrollIntoView());
  // The same link once more changes no address.
  document.addEventListener("click", ({ target }) => reveal(target.closest('a[href^="#"]')?.hash.slice(1) ?? ""));
  // What was printed stays open: its charts are still being drawn.
  addEventListener("beforeprint", open);
})();
