// Keeps an open page up to date, and filters the log while somebody types. Without it the page reloads itself, and the
// server searches.
(function () {
  "use strict";
  var live = document.getElementById("live");
  var log = document.getElementById("log");
  var field = document.getElementById("search-text");
  var found = document.getElementById("found");
  var says = found && found.innerHTML;
  var folded = {};

  function place(standing) {
    document.querySelectorAll("details[data-step]").forEach(function (plan) {
      folded[plan.dataset.step] = plan.open;
    });
    document.title = standing.title;
    document.getElementById("icon").href = standing.icon;
    var banner = document.getElementById("banner");
    banner.innerHTML = standing.banner;
    var tone = banner.querySelector("h1");
    banner.className = "banner card " + (tone ? tone.className : "");
    document.getElementById("trouble").innerHTML = standing.trouble;
    document.getElementById("steps").innerHTML = standing.steps;
    document.getElementById("history").innerHTML = standing.history;
    document.querySelectorAll("details[data-step]").forEach(function (plan) {
      if (plan.dataset.step in folded) plan.open = folded[plan.dataset.step];
    });
  }

  function append(html) {
    if (!log) return;
    var atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
    var none = document.getElementById("no-lines");
    if (none) none.remove();
    var part = document.createElement("template");
    part.innerHTML = html;
    part.content.querySelectorAll(".fold").forEach(function (fold) {
      var last = log.lastElementChild;
      var step = fold.dataset.fold;
      // A line of the run itself stays with the step that is under way.
      if (last && (last.dataset.fold === step || (!step && last.dataset.fold))) {
        var lines = last.querySelector("ol");
        lines.append.apply(lines, fold.querySelector("ol").children);
        var count = lines.children.length;
        last.querySelector("small").textContent = count + (count === 1 ? " line" : " lines");
      } else {
        log.append(fold);
      }
    });
    if (field && field.value) filter();
    if (atEnd && window.scrollY > 0) window.scrollTo(0, document.body.scrollHeight);
  }

  function filter() {
    var wanted = field.value.trim().toLowerCase();
    var count = 0;
    log.querySelectorAll(".fold").forEach(function (fold) {
      var here = 0;
      if (wanted && !("was" in fold.dataset)) fold.dataset.was = fold.open ? "open" : "";
      fold.querySelectorAll("li").forEach(function (line) {
        var hit = !wanted || line.lastElementChild.textContent.toLowerCase().indexOf(wanted) >= 0;
        line.hidden = !hit;
        if (hit) here += 1;
      });
      fold.hidden = !here;
      if (wanted) fold.open = here > 0;
      else if ("was" in fold.dataset) { fold.open = fold.dataset.was === "open"; delete fold.dataset.was; }
      count += here;
    });
    if (wanted) found.textContent = count + (count === 1 ? " line here contains" : " lines here contain") + " “" + wanted + "”. Press Enter to search the whole log.";
    else found.innerHTML = says;
  }

  // A log is shown in parts: a line before this part is on an earlier one.
  function seek() {
    var wanted = /^#L(\d{1,15})$/.exec(location.hash);
    var first = log && log.querySelector("li");
    if (!wanted || !first || Number(wanted[1]) >= Number(first.id.slice(1))) return;
    location.replace("?" + live.dataset.query + "&before=" + (Number(wanted[1]) + 1) + location.hash);
  }

  function reveal() {
    seek();
    var line = location.hash.length > 2 && document.getElementById(location.hash.slice(1));
    var fold = line && line.closest && line.closest("details");
    if (fold && !fold.open) {
      fold.open = true;
      line.scrollIntoView({ block: "center" });
    }
  }

  if (field && log) field.addEventListener("input", filter);
  window.addEventListener("hashchange", reveal);
  reveal();

  if (!("after" in live.dataset)) return;
  var source = new EventSource(location.pathname + "/live?" + live.dataset.query + "&after=" + live.dataset.after);
  source.addEventListener("standing", function (event) { place(JSON.parse(event.data)); });
  source.addEventListener("log", function (event) { append(JSON.parse(event.data).html); });
  source.addEventListener("end", function () { source.close(); });
  source.addEventListener("error", function () {
    // The browser connects again by itself unless the server refused: then the page is loaded anew, later.
    if (source.readyState === EventSource.CLOSED) setTimeout(function () { location.reload(); }, 10000);
  });
})();
