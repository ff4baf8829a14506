"""Steps that hold steps: how they are read, what is said about slips in them, and what comes back from the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from rekindle.campaigns.conditions import CONTEXT_FIELDS
from rekindle.campaigns.findings import InvalidCampaign
from rekindle.campaigns.loader import load_campaign, restore_campaign
from rekindle.campaigns.models import AskStep, Campaign, UntilFieldStep, UntilLocalStep
from rekindle.campaigns.sql_conditions import read_sql_condition
from rekindle.journey.versions import InFlight

END = "  - {id: archive, end: archived}\n"
WHOLE = """\
offers: [{name: first, code: BACK10, description: 10 % off, valid_for: 48h}]
variants: [{name: plain, weight: 1}, {name: story, weight: 1}]
exits: [{event: purchase, exit: converted}, {sql: "plan = 'enterprise'", exit: superseded}]
steps:
  - id: probe
    email: {template: probe.txt.j2, subject: Hello, offer: first}
  - id: until_renewal
    wait: {until_field: renewal_on, plus: -3d}
  - id: until_ten
    wait: {until_local: 10:00}
  - id: used_it
    wait_for: {event: project_created, within: 7d}
    then:
      - {id: thank, tag: {add: [hot]}}
    otherwise:
      - id: question
        ask: {sms: {template: nudge.txt.j2}, expect: {yes: [sure], no: [later]}, within: 48h}
        answers:
          yes: [{id: tell, webhook: {connection: crm, event: wants_more}}]
          no: [{id: enough, end: replied}]
  - id: which
    branch:
      - when: {reply: yes, to: question}
        steps: [{id: short, wait: 1d}]
      - when: {variant: story}
  - id: draw
    split: [{name: a, weight: 3, steps: [{id: left, wait: 2d}]}, {name: b, weight: 1}]
"""
Written = Callable[[str], Path]


@pytest.fixture
def written(campaign_folder: Path) -> Written:
    """`spring.yaml` with these lines instead of its steps."""

    def write(lines: str) -> Path:
        path = campaign_folder / "spring.yaml"
        head = path.read_text().split("sender:\n  name: Mara\n")[0] + "sender:\n  name: Mara\n"
        path.write_text(head + (lines if "steps:" in lines else f"steps:\n{lines}") + END)
        return path

    return write


def load(path: Path) -> Campaign:
    return load_campaign(path, path.parent / "templates")


def test_steps_in_steps_become_a_graph_in_reading_order(written: Written) -> None:
    campaign = load(written(WHOLE))
    assert {step.step_id: dict(campaign.ways[step.step_id]) for step in campaign.steps} == {
        "probe": {"next": "until_renewal"},
        "until_renewal": {"next": "until_ten"},
        "until_ten": {"next": "used_it"},
        "used_it": {"then": "thank", "otherwise": "question"},
        "thank": {"next": "which"},
        "question": {"answer_yes": "tell", "answer_no": "enough", "otherwise": "which"},
        "tell": {"next": "which"},
        "enough": {},
        "which": {"case_1": "short", "case_2": "draw", "next": "draw"},
        "short": {"next": "draw"},
        "draw": {"a": "left", "b": "archive"},
        "left": {"next": "archive"},
        "archive": {},
    }
    assert list(campaign.ways) == [step.step_id for step in campaign.steps]
    assert [step.step_id for step in campaign.message_steps] == ["probe", "question"]
    assert campaign.step("until_ten") == UntilLocalStep("until_ten", 600)  # a bare 10:00 is sixty times ten in YAML
    until = campaign.step("until_renewal")
    assert isinstance(until, UntilFieldStep)
    assert until.plus_seconds == -259_200
    assert campaign.places["tell"] == ("steps", 3, "otherwise", 0, "answers", "yes", 0)


@pytest.mark.parametrize(
    ("step_id", "stage"),
    [("probe", "used_it"), ("question", "which"), ("left", None)],
)
def test_whom_a_step_can_not_reach_goes_past_plain_waits(written: Written, step_id: str, stage: str | None) -> None:
    assert load(written(WHOLE)).stage_after_skipping(step_id) == stage


def test_a_stored_campaign_comes_back_as_it_was(written: Written) -> None:
    campaign = load(written(WHOLE))
    restored = restore_campaign("spring", campaign.definition_json)
    assert restored == campaign
    assert restored.journey_version == campaign.journey_version
    assert restored.steps == campaign.steps
    under_its_name = restore_campaign("spring", campaign.definition_json, "abc")
    assert under_its_name.journey_version == "abc"


def test_moves_make_no_new_version(written: Written) -> None:
    before = load(written(WHOLE)).journey_version
    assert load(written("moves: {old: probe}\n" + WHOLE)).journey_version == before


def test_the_one_offer_of_earlier_versions_is_read(written: Written) -> None:
    stored = json.loads(load(written("  - {id: hi, email: {template: probe.txt.j2, subject: Hi}}\n")).definition_json)
    del stored["definition"]["offers"]
    stored["definition"]["offer"] = {"code": "BACK20", "description": "20 % off"}
    (hi,) = restore_campaign("spring", json.dumps(stored)).message_steps
    assert hi.offer is not None
    assert (hi.offer.code, hi.offer.valid_for) == ("BACK20", None)
    stored["definition"]["offer"] = None
    assert restore_campaign("spring", json.dumps(stored)).message_steps[0].offer is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Sure!!", "yes"),
        (" YES,  please ", "yes"),
        ("y", "yes"),
        ("Later", "no"),
        ("no thanks", "no"),
        ("who is this", None),
        ("yes but not now", None),
        ("", None),
        ("👍", None),
    ],
)
def test_an_answer_is_known_whatever_its_case_and_punctuation(written: Written, text: str, answer: str | None) -> None:
    question = load(written(WHOLE)).step("question")
    assert isinstance(question, AskStep)
    assert question.answer_in(text) == answer


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "  - id: used_it\n    wait_for: {event: created}\n    then:\n      - id: thanks\n        emial: {}\n",
            [
                "12: error: `wait_for` of step `used_it` lacks `within`. Add `within: 7d`.",
                "15: error: `emial` is not a kind of step (in step `thanks`). Did you mean `email`?",
            ],
        ),
        (
            "  - id: used_it\n    wait_for: {event: created, within: 7d}\n    then: [{id: used_it, end: converted}]\n"
            "    otherwise: [{id: done, end: archived}]\n",
            [
                "11: error: every way of step `used_it` ends, but there is 1 more step. Let one of the ways go on, or "
                "remove what follows.",
                "13: error: two steps have the id `used_it` (the other is in line 11). Give one of them another id.",
            ],
        ),
        (
            "  - id: which\n    branch:\n      - when: {field: pln, is: pro}\n      - when: {field: plan}\n"
            "      - when: {field: plan, above: 3}\n      - when: {evnt: viewed}\n      - when: {event: viewed}\n",
            [
                "13: error: no lead has a field `pln` (in `field` of `when` of number 1 of `branch` of step `which`). "
                "Did you mean `plan`?",
                "14: error: the condition on `plan` says no comparison (in `when` of number 2 of `branch` of step "
                "`which`). Say one of: is, is_not, one_of, not_one_of, above, below, known.",
                "15: error: `plan` is a text and can not be above a number (in `when` of number 3 of `branch` of step "
                "`which`). Compare it with `is`, `one_of` or `known`.",
                "16: error: `evnt` is not a condition (in `when` of number 4 of `branch` of step `which`). "
                "Did you mean `event`?",
                "17: error: `when` of number 5 of `branch` of step `which` lacks `within`. Add `within: 30d`.",
            ],
        ),
        (
            "  - id: which\n    branch: [{otherwise: true}, {when: {segment: a}}]\n",
            [
                "12: error: a case stands after `otherwise` and is never reached (in step `which`). "
                "Move `otherwise` to the end."
            ],
        ),
        (
            "  - id: try\n    split: [{name: a, weight: 0}, {name: b, weight: 0}]\n",
            ["11: error: all ways have the weight 0 (in step `try`). Give at least one of them a weight."],
        ),
        (
            "  - id: q\n    ask: {sms: {template: nudge.txt.j2}, expect: {yes: [stop]}, within: 48h}\n",
            [
                "12: error: `stop` can not be an answer (in `ask` of step `q`). Whatever was asked, it means stop, "
                "start or help; ask for another word."
            ],
        ),
        (
            "  - id: q\n    ask: {sms: {template: nudge.txt.j2}, expect: {yes: [], no: [sure]}, within: 48h}\n",
            [
                "12: error: `sure` means both `yes` and `no` (in `ask` of step `q`). Keep it in one of them.",
            ],
        ),
        (
            "  - {id: w, wait: {until_field: plan}}\n  - {id: v, wait: {until_local: '25:00'}}\n  - {id: t, tag: {}}\n",
            [
                "11: error: `plan` is not a date of a lead (in `until_field` of `wait` of step `w`). Known here: "
                "last_ticket_on, last_key_action_on, last_purchase_on, renewal_on.",
                "12: error: `25:00` is not a time of day (in `until_local` of `wait` of step `v`). "
                'Write it like "10:00".',
                "13: error: the step adds no tag and removes none (in `tag` of step `t`). Write for example "
                "`tag: {add: [hot]}`.",
            ],
        ),
        (
            "offers: [{name: first, code: X, description: y}]\nmoves: {old: nowhere}\nsteps:\n"
            "  - {id: hi, email: {template: probe.txt.j2, subject: Hi, offer: fist}}\n"
            "  - id: b\n    branch: [{when: {reply: yes, to: q}}, {when: {variant: story}}]\n",
            [
                "11: error: `moves` names `nowhere`, which is no step that a lead can stand on. Known here: hi, b.",
                "13: error: the campaign has no offer `fist`. Did you mean `first`?",
                "15: error: no question `q` is asked before this. Ask first: add an `ask` step before.",
                "15: error: the campaign has no variant `story`. Add it to `variants`.",
            ],
        ),
        (
            'exits: [{event: bought, exit: gone}, {sql: "plan = (select 1)", exit: converted}, {exit: converted}]\n'
            "steps:\n",
            [
                "10: error: `exit` of number 1 of `exits` can not be `gone`. Known here: archived, converted, replied, "
                "superseded, cancelled, preference_paused.",
                "10: error: `plan = (select 1)` is not a condition: `(` stands where a field or a value must be (in "
                "`sql` of number 2 of `exits`). Write for example `plan = 'enterprise'`.",
                "10: error: an exit says either `event` or `sql` (in number 3 of `exits`). Write for example "
                "`{event: purchase, exit: converted}`.",
                "12: error: the journey ends before it begins. Remove the end.",
            ],
        ),
    ],
)
def test_slips_are_named_with_their_line(written: Written, lines: str, said: list[str]) -> None:
    path = written(lines)
    with pytest.raises(InvalidCampaign) as error:
        load(path)
    assert str(error.value).replace(f"{path}:", "").splitlines() == said


def test_a_condition_in_sql_is_told_in_words_and_values() -> None:
    terms = read_sql_condition("plan IN ('a''b', 'c') and not (cold_score<=-1.5)", CONTEXT_FIELDS)
    assert terms.words == (
        *("column.plan", "in", "open", "value.0", "comma", "value.1", "close"),
        *("and", "not", "open", "column.cold_score", "at_most", "value.2", "close"),
    )
    assert terms.values == ("a'b", "c", -1.5)
    assert read_sql_condition("renewal_on is not null or renewal_on>date '2026-02-28'", CONTEXT_FIELDS).values == (
        date(2026, 2, 28),
    )


@pytest.mark.parametrize(
    "text",
    [
        *("plan", "plan =", "= plan", "plan = 'a", "plan = 3", "plan = plan plan", "plan = 'a';", "plan = 'a' -- x"),
        *(
            "plan = (select 1)",
            "lower(plan) = 'a'",
            "plan = 'a' /* x */",
            "(plan is null",
            "plan is null)",
            "'a' = 'a'",
        ),
        *("plan is 'a'", "cold_score like 1", "cold_score > - -3", "renewal_on > date '2026-02-30'", 'plan = "a"', ""),
        *("plan in ()", "plan between 'a'", "true", "plan = $x", "(" * 200 + "plan is null" + ")" * 200),
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_sql_condition(text, CONTEXT_FIELDS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            InFlight("abc", "hear", 17, None, False, True),
            "17 people wait on the step you delete, `hear`, and finish on",
        ),
        (InFlight("abc", "hear", 1, None, True, True), "1 person waits on the step you delete, `hear`: say in `moves`"),
        (InFlight("abc", "hear", 2, "rest", True, False), "2 people wait on `hear`, and go on from `rest` of the new"),
    ],
)
def test_what_becomes_of_leads_in_flight_is_said_in_a_sentence(line: InFlight, said: str) -> None:
    assert str(line).startswith(said)
