// Keeps an open page up to date, and filters the log while a person types. Without this script, the page reloads itself, and
// the server searches.
(function () {
  "use strict";
  var live = document.getElementById("live");
  var log = document.getElementById("log");
  var field = document.getElementById("search-text");
  var found = document.getElementById("found");
  var says = found && found.innerHTML;
  var aloud = document.getElementById("aloud");
  var folded = {};

  // Changes only what differs, so that focus, selection and what was unfolded stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== 1 || old.tagName !== fresh.tagName || old.childNodes.length !== fresh.childNodes.length) {
      old.replaceWith(fresh);
      return;
    }
    var kept = old.tagName === "DETAILS" ? "open" : "";
    Array.from(old.attributes).forEach(function (one) {
      if (one.name !== kept && !fresh.hasAttribute(one.name)) old.removeAttribute(one.name);
    });
    Array.from(fresh.attributes).forEach(function (one) {
      if (one.name !== kept) old.setAttribute(one.name, one.value);
    });
    var parts = Array.from(fresh.childNodes);
    Array.from(old.childNodes).forEach(function (part, at) { morph(part, parts[at]); });
  }

  function show(id, html) {
    var old = document.getElementById(id);
    var fresh = old.cloneNode(false);
    fresh.innerHTML = html;
    if (old.childNodes.length === fresh.childNodes.length) morph(old, fresh);
    else old.innerHTML = html;
  }

  function place(standing) {
    document.querySelectorAll("details[data-step]").forEach(function (plan) {
      folded[plan.dataset.step] = plan.open;
    });
    document.title = standing.title;
    document.getElementById("icon").href = standing.icon;
    var banner = document.getElementById("banner");
    show("banner", standing.banner);
    var tone = banner.querySelector("h1");
    banner.className = "banner card " + (tone ? tone.className : "");
    show("trouble", standing.troubles);
    show("steps", standing.steps);
    show("history", standing.history);
    document.querySelectorAll("details[data-step]").forEach(function (plan) {
      if (plan.dataset.step in folded) plan.open = folded[plan.dataset.step];
    });
    // Durations change every second; only where the run stands is worth saying aloud.
    var says = document.querySelector(".verdict").textContent.trim().replace(/\s+/g, " ");
    if (aloud.textContent !== says) aloud.textContent = says;
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

  function ask() {
    fetch(location.pathname + "/live?" + live.dataset.query + "&after=" + live.dataset.after)
      .then(function (answer) {
        // The session or the link has ended, or the server cannot answer: the page says so when it is loaded again.
        if (!answer.ok) return setTimeout(function () { location.reload(); }, 10000);
        return answer.json().then(function (news) {
          if (news.log) append(news.log);
          if (news.after) live.dataset.after = news.after;
          place(news);
          if (news.again !== null) setTimeout(ask, 1000 * news.again);
        });
      })
      .catch(function () { setTimeout(ask, 3000); });
  }

  if ("after" in live.dataset) ask();
})();
