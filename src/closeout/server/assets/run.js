// Keeps an open page up to date. Without it the page reloads itself every few seconds.
(function () {
  "use strict";
  var live = document.getElementById("live");
  var log = document.getElementById("log");
  var folded = {};

  function remember() {
    document.querySelectorAll("details[data-step]").forEach(function (plan) {
      folded[plan.dataset.step] = plan.open;
    });
  }

  function place(standing) {
    remember();
    document.title = standing.title;
    document.getElementById("icon").href = standing.icon;
    var banner = document.getElementById("banner");
    banner.innerHTML = standing.banner;
    var tone = banner.querySelector("h1");
    banner.className = "banner " + (tone ? tone.className : "");
    document.getElementById("steps").innerHTML = standing.steps;
    document.querySelectorAll("details[data-step]").forEach(function (plan) {
      if (plan.dataset.step in folded) plan.open = folded[plan.dataset.step];
    });
  }

  function append(html) {
    if (!log) return;
    var atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.insertAdjacentHTML("beforeend", html);
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  if (log) log.scrollTop = log.scrollHeight;
  var source = new EventSource(location.pathname + "/live?" + live.dataset.query + "&after=" + live.dataset.after);
  source.addEventListener("standing", function (event) { place(JSON.parse(event.data)); });
  source.addEventListener("log", function (event) { append(JSON.parse(event.data).html); });
  source.addEventListener("end", function () { source.close(); });
  source.addEventListener("error", function () {
    // The browser connects again by itself unless the server refused: then the page is loaded anew, later.
    if (source.readyState === EventSource.CLOSED) setTimeout(function () { location.reload(); }, 10000);
  });
})();
