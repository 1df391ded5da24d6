"""The pages and the JSON API: what they show, who may see it, and what a visitor can do there.

A page is a route, which reads data, and a template, which shows it. `composition` assembles the groups of routes.

- For all of them: `site` admits visitors and explains errors, `return_path` returns to a page after sign-in, `rendering` makes
  HTML with the words of `wording` and `presentation`.
- Groups that read: `overview` (`overview_facts` reads, `overview_page` judges, with `chart`), `lists` (with
  `filter_form`), `run_pages` (`run_page`, `step_rows`, `log_folds`, `history`, `console`),
  `pull_requests` (`pull_request_page`), `setup_pages` and `api`.
- Groups that act: `user_actions`, and `batches` for several at once; both over `page_actions`, `confirmations` and `plans`.
"""
