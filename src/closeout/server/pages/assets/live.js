// Keeps the changing part of an open page up to date. Without this script, readers reload the page.
(function () {
  "use strict";
  var part = document.querySelector("[data-live]");
  if (!part) return;
  var every = 1000 * (Number(part.dataset.live) || 10);
  var address = new URL(location.href);
  address.searchParams.set("part", "live");
  var tag = null;
  var failures = 0;
  var timer = null;

  function key(element) {
    return element && (element.getAttribute("href") || element.id || element.dataset.key);
  }

  function place(html) {
    var open = {};
    part.querySelectorAll("details[data-key]").forEach(function (each) { open[each.dataset.key] = each.open; });
    var focused = part.contains(document.activeElement) ? key(document.activeElement) : null;
    part.innerHTML = html;
    part.querySelectorAll("details[data-key]").forEach(function (each) {
      if (each.dataset.key in open) each.open = open[each.dataset.key];
    });
    var tab = part.querySelector("[data-title]");
    if (tab) {
      document.title = tab.dataset.title;
      document.getElementById("icon").href = tab.dataset.icon;
    }
    if (!focused) return;
    part.querySelectorAll("a, button, summary").forEach(function (each) {
      if (key(each) === focused || key(each.parentElement) === focused) each.focus({preventScroll: true});
    });
  }

  function selecting() {
    var chosen = document.getSelection();
    return chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
  }

  function ask() {
    if (document.hidden || selecting()) return later();
    fetch(address, {headers: tag ? {"If-None-Match": tag, Accept: "text/html"} : {Accept: "text/html"}, redirect: "manual"})
      .then(function (answer) {
        failures = answer.ok || answer.status === 304 ? 0 : failures + 1;
        // The session has ended: the page says so when it is loaded again.
        if (answer.type === "opaqueredirect" || answer.status === 401) return location.reload();
        if (!answer.ok) return null;
        tag = answer.headers.get("ETag");
        return answer.text().then(place);
      })
      .catch(function () { failures += 1; })
      .then(later);
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(ask, Math.min(every * (failures + 1), 60000));
  }

  document.addEventListener("visibilitychange", function () { if (!document.hidden) ask(); });
  later();
})();
