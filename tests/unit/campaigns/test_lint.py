"""What the linter says of campaigns that load but should not be sent as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rekindle.campaigns.findings import Level
from rekindle.campaigns.lint import lint_campaigns

Spoil = Callable[..., Path]
INCLUDE = Path(__file__).parents[3] / "include"
PROBE = "templates/spring/probe.txt.j2"
NUDGE = "templates/spring/nudge.txt.j2"


def findings(folder: Path) -> list[str]:
    return [str(each).replace(f"{folder}/", "") for each in lint_campaigns(folder, folder / "templates")]


def test_the_shipped_campaigns_are_clean() -> None:
    assert lint_campaigns(INCLUDE / "campaigns", INCLUDE / "templates") == []


def test_a_good_campaign_is_clean(campaign_folder: Path) -> None:
    assert findings(campaign_folder) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        # merge fields
        (
            PROBE,
            "{{ plan | default('old') }}",
            "{{ plan }}",
            f"{PROBE}:1: error: `plan` is missing for some leads and has no fallback. "
            "Write `{{ plan | default('…') }}`, put it into `{% if plan is defined %}`, "
            "or hold the message without it: `{{ plan | required }}`.",
        ),
        (
            PROBE,
            "{{ plan | default('old') }}",
            "{{ plan | upper | default('old') }}",  # the filter runs before the fallback can help
            f"{PROBE}:1: error: `plan` is missing for some leads and has no fallback. "
            "Write `{{ plan | default('…') }}`, put it into `{% if plan is defined %}`, "
            "or hold the message without it: `{{ plan | required }}`.",
        ),
        (
            PROBE,
            "{{ company_name }}",
            "{{ compny_name }}",
            f"{PROBE}:5: error: there is no merge field `compny_name`. Did you mean `company_name`?",
        ),
        (
            NUDGE,
            "plan waits:",
            "plan, code {{ offer_code }}:",
            f"{NUDGE}:1: error: `offer_code` needs an offer, and step `nudge` makes none. "
            "Name one of the campaign's `offers` in the step: `offer: first`.",
        ),
        (
            "spring.yaml",
            "{{ first_name | default('friend') }}",
            "{{ first_name }}",
            "spring.yaml:14: error: `first_name` is missing for some leads and has no fallback. "
            "Write `{{ first_name | default('…') }}`, put it into `{% if first_name is defined %}`, "
            "or hold the message without it: `{{ first_name | required }}`.",
        ),
        # the call to action
        (
            PROBE,
            "{{ tracked_link }}",
            "Answer this mail.",
            f"{PROBE}:1: error: there is no call to action. Add `{{{{ tracked_link }}}}` once.",
        ),
        (
            PROBE,
            "{{ tracked_link }}",
            "{{ tracked_link }} or {{ tracked_link }}",
            f"{PROBE}:2: error: there are 2 tracked links; a reader can answer one call to action. "
            "Keep one `{{ tracked_link }}`.",
        ),
        (
            PROBE,
            "{{ tracked_link }}",
            "{{ tracked_link }}\nor https://bit.ly/abc",
            f"{PROBE}:3: error: the link https://bit.ly/abc is not tracked, so a click on it is not a sign of life. "
            "Use `{{ tracked_link }}`, or leave it out.",
        ),
        (
            PROBE,
            "{{ tracked_link }}",
            "{% if plan is defined %}{{ tracked_link }}{% endif %}",  # some leads get no link at all
            f"{PROBE}:1: error: there is no call to action. Add `{{{{ tracked_link }}}}` once.",
        ),
        # the way out, and who writes
        (
            PROBE,
            "Stop it here: {{ unsubscribe_link }}",
            "",
            f"{PROBE}:1: error: an e-mail must show how to unsubscribe. "
            "Add a line such as `Stop it here: {{ unsubscribe_link }}`.",
        ),
        (
            PROBE,
            ", {{ postal_address }}",
            "",
            f"{PROBE}:1: error: an e-mail must show the postal address. "
            "Add `{{ postal_address }}` at the foot (15 USC 7704(a)(5)).",
        ),
        (
            NUDGE,
            "Reply STOP to opt out",
            "Reply stop!",
            f"{NUDGE}:1: error: a text must say how to stop it. Add `Reply STOP to opt out`.",
        ),
        (
            NUDGE,
            "{{ company_name }}: ",
            "",
            f"{NUDGE}:1: error: a text must say who it is from. Begin with `{{{{ company_name }}}}: `.",
        ),
        (
            NUDGE,
            "Reply STOP",
            "{{ preferences_link }} Reply STOP",
            f"{NUDGE}:1: error: the preference link is too long for a text. "
            "Leave it out; STOP is the way out of texts.",
        ),
        (
            "spring.yaml",
            "A question",
            "Re: a question",
            "spring.yaml:14: error: the subject pretends to be an answer. "
            "Remove the prefix: a deceptive subject is unlawful (15 USC 7704(a)(2)).",
        ),
        # what a text costs
        (
            NUDGE,
            "plan waits:",
            "plan waits: " + "z" * 200,
            f"{NUDGE}:1: error: at worst the text takes 3 segments (423 units of GSM-7), and the step allows 2. "
            "Shorten it, or raise `max_segments`.",
        ),
        (
            NUDGE,
            "| default('old')",
            "| default('" + "z" * 130 + "')",  # the fallback is longer than any value
            f"{NUDGE}:1: error: at worst the text takes 3 segments (312 units of GSM-7), and the step allows 2. "
            "Shorten it, or raise `max_segments`.",
        ),
        (
            NUDGE,
            "plan waits:",
            "plan waits 😜",
            f"{NUDGE}:1: warning: the character `😜` is not in GSM-7 and more than doubles the price of the text. "
            "Write it with another character.",
        ),
        # copy for nobody
        (
            PROBE,
            "waits:",
            "waits. We\nMiss   you!",
            f"{PROBE}:1: warning: “we miss you” is what everybody writes. "
            "Say what this lead did or asked for (`last_key_action_on`, `cart_item`), or ask something.",
        ),
        (
            PROBE,
            ", your {{ plan | default('old') }} plan waits:",
            ":",
            f"{PROBE}:1: warning: nothing in the message is about this lead but the first name. "
            "Use another personal field: `plan`, `last_key_action_on`, `last_purchase_on`, `renewal_on`, "
            "`last_product_viewed`, `cart_item`, `feature_asked_for`, `feature_asked_in`, `last_ticket_subject`, "
            "`last_ticket_on`.",
        ),
        # the journey
        (
            "spring.yaml",
            "  - id: listen_again\n    wait: 7d\n",
            "",
            "spring.yaml:17: warning: after step `nudge` the journey ends without waiting for an answer. "
            "Add a `wait` step after it.",
        ),
        (
            "spring.yaml",
            "wait: 7d",
            "wait: 5w",
            "spring.yaml:1: warning: the journey takes 38d, longer than the attribution window of 30 days. "
            "Returns after it are not counted: widen it.",
        ),
        (
            "spring.yaml",
            "sender:",
            "caps: {messages: 1, per_days: 7}\nsender:",
            "spring.yaml:18: warning: step `nudge` would be message 2 within 7 days, and the caps allow 1. "
            "It would be deferred for every lead: wait longer before it, or raise `caps`.",
        ),
        # the window
        (
            "spring.yaml",
            "sender:",
            'send_window:\n  hours: ["07:00-20:00"]\nsender:',
            "spring.yaml:9: error: the send window reaches beyond 08:00-21:00 local time. "
            "Narrow it, or say `wider_than_quiet_hours: true` if it is meant (texts keep to those hours anyway).",
        ),
        (
            "spring.yaml",
            "sender:",
            'send_window:\n  hours: ["21:00-24:00"]\n  wider_than_quiet_hours: true\nsender:',
            "spring.yaml:9: error: no text can ever leave in these hours. Add hours between 08:00-21:00.",
        ),
        (
            "spring.yaml",
            "sender:",
            "send_window:\n  weekdays: [mon]\n  by_weekday: {mon: []}\nsender:",
            "spring.yaml:8: error: the send window opens on no day, so nothing can ever leave. "
            "Give one of the weekdays hours.",
        ),
        # an offer that nobody makes
        (
            "spring.yaml",
            "sender:",
            "offers:\n  - {name: first, code: BACK, description: 10 %, valid_for: 3h}\n"
            'send_window:\n  by_weekday: {wed: ["09:00-17:00"]}\nsender:',
            "spring.yaml:9: warning: no step makes the offer `first`. "
            "Add `offer: first` to a message step, or remove the offer.",
        ),
    ],
)
def test_golden_findings(campaign_folder: Path, spoil: Spoil, file: str, old: str, new: str, said: str) -> None:
    spoil(old, new, file)
    found = findings(campaign_folder)
    assert said in found
    assert len(found) <= 2  # and hardly anything besides


def test_an_e_mail_may_offer_the_preference_page(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("Stop it here:", "How often? {{ preferences_link }}\nStop it here:", PROBE)
    assert findings(campaign_folder) == []


def test_a_wider_window_is_allowed_if_it_is_said(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("sender:", 'send_window:\n  hours: ["06:00-22:00"]\n  wider_than_quiet_hours: true\nsender:')
    assert findings(campaign_folder) == []


def test_a_text_may_leave_on_the_one_day_that_has_decent_hours(campaign_folder: Path, spoil: Spoil) -> None:
    window = 'send_window:\n  hours: ["22:00-23:00"]\n  by_weekday: {wed: ["10:00-11:00"]}\n'
    spoil("sender:", f"{window}  wider_than_quiet_hours: true\nsender:")
    assert findings(campaign_folder) == []


@pytest.mark.parametrize(
    ("window", "longest"),
    [
        ('{by_weekday: {wed: ["09:00-17:00"]}}', "8h"),
        ('{hours: ["20:00-24:00", "00:00-03:00"], wider_than_quiet_hours: true}', "7h"),
    ],
)
def test_an_offer_outlives_the_longest_opening_of_any_day(
    campaign_folder: Path, spoil: Spoil, window: str, longest: str
) -> None:
    offer = "offers:\n  - {name: first, code: BACK, description: 10 %, valid_for: 7h}\n"
    spoil("sender:", f"{offer}send_window: {window}\nsender:")
    spoil("      template: probe.txt.j2", "      template: probe.txt.j2\n      offer: first")
    said = f"may leave as late as {longest} after"
    assert any(said in finding for finding in findings(campaign_folder))
    spoil("valid_for: 7h", "valid_for: 9h")
    assert not any(said in finding for finding in findings(campaign_folder))


TWO_OFFERS = """\
offers:
  - {{name: big, code: BACK20, description: 20 %, value: {big}}}
  - {{name: small, code: BACK10, description: 10 %, value: {small}}}
sender:"""


@pytest.mark.parametrize(("big", "small", "is_said"), [(20, 10, True), (10, 10, False), (10, 20.5, False)])
def test_nobody_is_offered_less_later(
    campaign_folder: Path, spoil: Spoil, big: float, small: float, is_said: bool
) -> None:
    spoil("sender:", TWO_OFFERS.format(big=big, small=small))
    spoil("      template: probe.txt.j2", "      template: probe.txt.j2\n      offer: big")
    spoil("      template: nudge.txt.j2", "      template: nudge.txt.j2\n      offer: small")
    spoil("waits:", "waits, {{ offer_code }}:", PROBE)
    spoil("waits:", "{{ offer_code }}:", NUDGE)
    said = "spring.yaml:21: warning: step `nudge` offers 10 to leads who were offered 20 before. "
    assert findings(campaign_folder) == ([f"{said}Offer as much or more; or make the smaller offer first."] * is_said)


def test_an_offer_that_the_message_does_not_tell(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("sender:", "offers:\n  - {name: first, code: BACK10, description: 10 %}\nsender:")
    spoil("      template: probe.txt.j2", "      template: probe.txt.j2\n      offer: first")
    assert findings(campaign_folder) == [
        f"{PROBE}:1: warning: step `probe` makes the offer `first`, and the message does not say so. "
        "Add `{{ offer_code }}` or `{{ offer_description }}`, or take the offer out of the step."
    ]


def test_ways_that_nobody_is_drawn_into(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("sender:", "variants:\n  - {name: plain, weight: 1}\n  - {name: story, weight: 0}\nsender:")
    spoil(
        "  - id: listen_again",
        "  - id: which\n    branch:\n      - when: {variant: story}\n        steps: []\n"
        "  - id: draw\n    split:\n      - {name: a, weight: 1, steps: []}\n      - {name: b, weight: 0, steps: []}\n"
        "  - id: listen_again",
    )
    said = findings(campaign_folder)
    assert [finding.split(": ", 1)[1] for finding in said] == [
        "warning: nobody is drawn into the variant `story`: its weight is 0. Give it a weight, or remove the case.",
        "warning: nobody goes the way `b`: its weight is 0. Give it a weight, or remove it.",
    ]


def test_a_link_without_a_scheme_is_a_link_too(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("Stop it here:", "Or shop.example/sale and/or write. Stop it here:", PROBE)
    assert [finding.split(": ", 1)[1] for finding in findings(campaign_folder)] == [
        "error: the link shop.example/sale is not tracked, so a click on it is not a sign of life. "
        "Use `{{ tracked_link }}`, or leave it out."
    ]


@pytest.mark.parametrize(
    "guarded",
    [
        "{% if plan is defined %}{{ plan }}{% endif %}",
        "{% if plan is not defined %}x{% else %}{{ plan }}{% endif %}",
        "{% if plan is undefined %}x{% else %}{{ plan }}{% endif %}",
        "{% if plan is defined and plan == 'team' %}{{ plan }}{% endif %}",
        "{% if plan is undefined or plan == 'team' %}x{% endif %}",
        "{{ plan if plan is defined else 'x' }}",
        "{{ plan | default(first_name | default('x')) | upper }}",
        "{% if locale is defined %}x{% elif plan is defined %}{{ plan }}{% endif %}",
    ],
)
def test_a_guarded_field_has_a_fallback(campaign_folder: Path, spoil: Spoil, guarded: str) -> None:
    spoil("{{ plan | default('old') }}", guarded, PROBE)
    assert findings(campaign_folder) == []


@pytest.mark.parametrize(
    "unguarded",
    [
        "{% if locale is defined %}{{ plan }}{% endif %}",
        "{% if plan is defined or locale is defined %}{{ plan }}{% endif %}",
        "{% if plan is not defined %}{{ plan }}{% endif %}",
        "{% if plan %}{{ plan }}{% endif %}",
        "{{ locale | default(plan) }}",
        "{{ plan if locale is defined else 'x' }}",
    ],
)
def test_half_a_guard_is_none(campaign_folder: Path, spoil: Spoil, unguarded: str) -> None:
    spoil("{{ plan | default('old') }}", unguarded, PROBE)
    assert any("`plan` is missing for some leads" in each for each in findings(campaign_folder))


def test_an_html_body_is_judged_too(campaign_folder: Path, spoil: Spoil) -> None:
    (campaign_folder / "templates" / "spring" / "probe.html.j2").write_text(
        '<p>{{ plan | default("old") }}</p><a href="{{ tracked_link }}">Back</a><a href="{{ tracked_link }}">Yes</a>'
    )
    spoil("      template: probe.txt.j2", "      template: probe.txt.j2\n      html_template: probe.html.j2")
    said = findings(campaign_folder)
    assert [each.split(": error: ")[1].split(".")[0] for each in said] == [
        "an e-mail must show how to unsubscribe",
        "an e-mail must show the postal address",
        "there are 2 tracked links; a reader can answer one call to action",
    ]
    assert all(each.startswith("templates/spring/probe.html.j2:1:") for each in said)


def test_files_that_do_not_load_are_findings_beside_those_that_do(campaign_folder: Path, spoil: Spoil) -> None:
    (campaign_folder / "autumn.yaml").write_text("name: [\n")
    spoil("{{ tracked_link }}", "", PROBE)
    found = lint_campaigns(campaign_folder, campaign_folder / "templates")
    assert [Path(each.file).name for each in found] == ["autumn.yaml", "probe.txt.j2"]
    assert {each.level for each in found} == {Level.ERROR}


def test_a_template_that_fails_for_some_leads_is_found(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("plan waits:", "{{ (last_key_action_on | default('long ago')) | long_date }}", NUDGE)
    assert any("the message can not be rendered" in each for each in findings(campaign_folder))
