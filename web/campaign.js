"use strict";
// Reads the page again while the campaign goes on; a reader can stop that, and what he has unfolded stays unfolded.
(() => {
  const box = document.getElementById("again");
  const folds = [...document.querySelectorAll("details")];
  const key = `klp ${document.title.split(":")[0]}`;

  // A browser may forbid pages from files to keep anything.
  function kept() {
    try {
      return JSON.parse(sessionStorage.getItem(key)) || {};
    } catch {
      return {};
    }
  }

  function keep() {
    const open = folds.map((fold) => fold.open);
    try {
      sessionStorage.setItem(key, JSON.stringify({ open, stopped: box ? !box.checked : false }));
    } catch {
      // Then it is forgotten with the next reading.
    }
  }

  const { open, stopped } = kept();
  if (open && open.length === folds.length) folds.forEach((fold, at) => { fold.open = open[at]; });
  for (const fold of folds) fold.addEventListener("toggle", keep);
  if (!box) return;
  box.parentElement.hidden = false;
  box.checked = !stopped;
  box.addEventListener("change", keep);
  setInterval(() => { if (box.checked) location.reload(); }, Number(box.dataset.seconds) * 1000);
})();
