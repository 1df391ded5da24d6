"""Sabotages of sessions, tokens and forms: who may see the pages and act on them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ACCESS = "src/closeout/server/access.py"
_SITE = "src/closeout/server/pages/site.py"
_UNIT = "tests/unit/server/test_access.py::"
_REFUSED = "tests/contract/http/test_access_matrix.py::test_a_refused_visitor_learns_and_changes_nothing"
_APART = "tests/contract/http/test_pages_apart.py"
_STORES = "tests/contract/test_credentials.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "an ended credential holds",
        "src/closeout/ports/access.py",
        "        return self.ended_at is None and (self.expires_at is None or now < self.expires_at)",
        "        return self.expires_at is None or now < self.expires_at",
        (f"{_REFUSED}[revoked session]", f"{_REFUSED}[revoked token]"),
    ),
    Mutant(
        "an expired credential holds",
        _ACCESS,
        "        return found.holds(now) and (found.kind",
        "        return found.ended_at is None and (found.kind",
        (f"{_REFUSED}[expired session]", f"{_REFUSED}[expired token]"),
    ),
    Mutant(
        "a clock that is set back makes sessions longer",
        _ACCESS,
        "(found.kind != SESSION or (found.expires_at or 0.0) <= longest)",
        "longest",
        (f"{_REFUSED}[session from before the clock was set back]",),
    ),
    Mutant(
        "a clock that is set back makes links work longer",
        _ACCESS,
        "        if not 0 < int(expires) - self._clock() <= CODE_SECONDS + CLOCK_SLACK:",
        "        if not 0 < int(expires) - self._clock():",
        (f"{_UNIT}test_a_link_works_for_ten_minutes_by_any_clock",),
    ),
    Mutant(
        "a session's secret is a token",
        _ACCESS,
        "        return found if _matches(sign(self._key, found.kind, random), signature) else None",
        "        return next((found._replace(kind=kind) for kind in (SESSION, TOKEN) if"
        " _matches(sign(self._key, kind, random), signature)), None)",
        (f"{_REFUSED}[session's secret as a bearer]", f"{_REFUSED}[token's secret as a cookie]"),
    ),
    Mutant(
        "a forged secret is looked for in the ledger",
        _ACCESS,
        "        return found if _matches(sign(self._key, found.kind, random), signature) else None",
        "        return found if found.secret else None",
        (
            "tests/contract/http/test_access_matrix.py::test_a_forged_secret_is_refused_without_reading_the_ledger",
        ),
    ),
    Mutant(
        "a link works twice",
        _ACCESS,
        "            code=digest(code),",
        "            code=None,",
        (f"{_UNIT}test_a_link_works_once",),
    ),
    Mutant(
        "a store lets a code make two sessions",
        "src/closeout/ledger/sqlite/credentials.py",
        "            row = (kind, name, right, digest, code, now, expires_at)",
        "            row = (kind, name, right, digest, None, now, expires_at)",
        (f"{_STORES}::TestSqlite::test_a_code_makes_only_one_credential",),
    ),
    Mutant(
        "sign-in leads to any address",
        "src/closeout/server/pages/return_path.py",
        '        return self._own(path, query) or "/"',
        "        return text",
        (
            "tests/contract/http/test_return_path.py::test_a_cookie_that_closeout_did_not_write_leads_to_the_overview",
        ),
    ),
    Mutant(
        "sign-in leads up from a page",
        "src/closeout/server/pages/return_path.py",
        'unquote(part) in (".", "..")',
        'part == "."',
        (
            "tests/contract/http/test_return_path.py::test_a_cookie_that_closeout_did_not_write_leads_to_the_overview",
        ),
    ),
    Mutant(
        "a browser keeps what opens a page",
        "src/closeout/server/pages/return_path.py",
        '_NOT_KEPT = (*SECRETS, "expires", "part")',
        '_NOT_KEPT = ("part",)',
        ("tests/contract/http/test_return_path.py::test_sign_in_leads_back_to_the_page_that_was_asked_for",),
    ),
    Mutant(
        "a link that nobody signed signs in",
        _ACCESS,
        '        if not _matches(sign(self._key, "sign in", text), signature) or len(parts) != 4:',
        "        if len(parts) != 4:",
        (f"{_UNIT}test_a_link_of_another_kind_signs_nobody_in",),
    ),
    Mutant(
        "two cookies are one",
        _ACCESS,
        '        return found.pop() if len(found) == 1 else ""',
        '        return max(found, default="")',
        (f"{_REFUSED}[two cookies]",),
    ),
    Mutant(
        "a sibling of the domain can plant a cookie",
        _ACCESS,
        '        return f"__Secure-{COOKIE}" if self.base_path else f"__Host-{COOKIE}"',
        "        return COOKIE",
        (f"{_UNIT}test_a_cookie_without_its_prefix_opens_nothing_over_https",),
    ),
    Mutant(
        "a form needs no token",
        _ACCESS,
        '        if not _matches(visitor.form_token, form.get("form_token", "")):',
        '        if "form_token" not in form:',
        (f"{_REFUSED}[form with a wrong token]", f"{_REFUSED}[form with another session's token]"),
    ),
    Mutant(
        "a form may come from a page without an origin",
        _ACCESS,
        '        own = {headers.get("host", "").lower(), self._base.netloc.lower()} - {""}',
        '        own = {headers.get("host", "").lower(), self._base.netloc.lower()}',
        (f"{_UNIT}test_a_form_must_come_from_a_page_of_this_server",),
    ),
    Mutant(
        "a form may come from another site",
        _ACCESS,
        '        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):',
        '        if headers.get("sec-fetch-site") == "x":',
        (f"{_REFUSED}[form from another site]", f"{_REFUSED}[form from a sibling of the site]"),
    ),
    Mutant(
        "a reader may act",
        _SITE,
        "        if route.needs == ACT and visitor is not None and not visitor.may_act:",
        "        if False:",
        (f"{_REFUSED}[reader's token]",),
    ),
    Mutant(
        "nobody may act",
        _SITE,
        "        if route.needs in (READ, ACT) and visitor is None:",
        "        if route.needs == READ and visitor is None:",
        (f"{_REFUSED}[nobody]",),
    ),
    Mutant(
        "a body that was not read is an empty form",
        _SITE,
        '    if "transfer-encoding" in http.headers or int(length) > FORM_BYTES:',
        "    if not length:",
        ("tests/contract/http/test_access_forms.py::test_a_body_that_cannot_be_read_is_refused",),
    ),
    Mutant(
        "the webhook's address has pages too",
        "src/closeout/server/app.py",
        "replace(parts, access=None)",
        "replace(parts)",
        (f"{_APART}::test_the_webhooks_address_serves_no_pages_but_those_of_details_links",),
    ),
    Mutant(
        "the pages' address takes deliveries",
        "src/closeout/server/shared.py",
        "        self.receives = not pages_alone",
        "        self.receives = True",
        (f"{_APART}::test_the_pages_address_serves_only_pages",),
    ),
    Mutant(
        "an encoded name carries a signature into the log",
        "src/closeout/server/details.py",
        "if unquote_plus(name) in SECRETS",
        "if name in SECRETS",
        ("tests/unit/server/test_details.py::test_a_signature_is_kept_out_of_logs",),
    ),
)
