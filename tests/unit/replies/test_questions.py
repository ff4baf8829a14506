"""A text is read against the question that was open when it came, whenever it is heard."""

from __future__ import annotations

import itertools
import random

import pytest

TEXT = {"template": "nudge.txt.j2", "max_segments": 2}
STEPS = [
    {
        "id": "question",
        "ask": {"sms": TEXT, "expect": {"yes": ["sure thing"], "no": [], "later": ["next week"]}, "within": "48h"},
        "answers": {
            "yes": [{"id": "thank", "sms": TEXT}, {"id": "rest", "wait": "1d"}],
            "no": [{"id": "done", "end": "archived"}],
        },
        "otherwise": [{"id": "silent", "end": "archived"}],
    },
    {"id": "archive", "end": "archived"},
]


@pytest.fixture
def asking(new_world):
    return new_world(steps=STEPS)


@pytest.fixture
def asked(asking):
    """A lead who was asked on day 0."""
    lead = asking.lead()
    asking.tick(0)
    assert [message["step_id"] for message in asking.messages(lead)] == ["question"]
    return lead


def say(world, lead, body, day, *, ingest=True, sid=None):
    world.now(day)
    text = world.inbound_text(lead.phone, body, world.at(day))
    if sid:
        text["body"] = text["body"].replace(text["body"].partition("MessageSid=")[2].partition("&")[0], sid)
    world.land("twilio_inbound", text)
    return world.ingest(day) if ingest else None


def answers(world):
    return [
        (row["step_id"], row["answer"], row["answered_at"])
        for row in world.query("select * from rekindle_state.question_answers order by answered_at, event_key")
    ]


def waiting(world):
    return world.values("select reading from rekindle_state.reply_queue order by replied_at")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        *(("YES", "yes"), ("yes please!", "yes"), (" Sure, thing ", "yes"), ("Yep", "yes"), ("si", "yes")),
        *(("No", "no"), ("no thanks", "no"), ("Next week.", "later"), ("NEXT-WEEK", "later")),
    ],
)
def test_an_expected_answer_moves_the_journey_and_bothers_nobody(asking, asked, body, answer):
    counts = say(asking, asked, body, 0.5)
    assert (counts["answers"], counts["replies"], counts["ended"]) == (1, 0, 0)
    assert answers(asking) == [("question", answer, asking.at(0.5))]
    assert asking.state(asked)["exit_reason"] is None
    assert waiting(asking) == []
    [event] = asking.query("select * from rekindle_state.message_events where provider_event = 'inbound'")
    assert (event["event_type"], event["detail"]) == ("other", f"answer:question:{answer}")
    asking.tick(1)
    assert [message["step_id"] for message in asking.messages(asked)] == [
        "question",
        *(["thank"] if answer == "yes" else []),
    ]
    assert asking.broken() == {}


@pytest.mark.parametrize(
    ("body", "ended", "queue"),
    [
        *(("STOP", "unsubscribed", []), ("stop", "unsubscribed", []), ("yes please stop", "unsubscribed", [])),
        ("no, remove me from your list", "unsubscribed", []),
        ("who is this?", "replied", ["reply"]),
        ("yes but only if it is free", "replied", ["reply"]),
    ],
)
def test_a_stop_always_wins_and_anything_else_is_for_a_person(asking, asked, body, ended, queue):
    assert say(asking, asked, body, 0.5)["answers"] == 0
    assert answers(asking) == []
    assert asking.state(asked)["exit_reason"] == ended
    assert waiting(asking) == queue


@pytest.mark.parametrize("body", ["HELP", "START"])
def test_what_twilio_answers_is_no_answer_of_ours_and_ends_nothing(asking, asked, body):
    assert say(asking, asked, body, 0.5)["answers"] == 0
    assert asking.state(asked)["exit_reason"] is None
    assert waiting(asking) == []


def test_a_yes_to_nobody_is_for_a_person(world):
    # Given somebody who was written to and asked nothing
    lead = world.lead(email=None)
    world.tick(0)
    assert world.message(lead)["channel"] == "sms"
    assert say(world, lead, "yes", 0.5)["answers"] == 0
    assert world.state(lead)["exit_reason"] == "replied"
    assert waiting(world) == ["reply"]


@pytest.mark.parametrize(("day", "counts"), [(1.99, True), (2, True), (2.01, False)])
def test_a_question_is_open_until_its_time_has_run_out(asking, asked, day, counts):
    assert say(asking, asked, "yes", day)["answers"] == counts
    assert asking.state(asked)["exit_reason"] == (None if counts else "replied")


def test_an_answer_that_came_in_time_and_is_heard_late_is_an_answer(asking, asked):
    say(asking, asked, "yes", 1, ingest=False)
    asking.now(5)
    assert asking.ingest(5)["answers"] == 1
    assert answers(asking) == [("question", "yes", asking.at(1))]
    assert asking.state(asked)["exit_reason"] is None


def test_a_holdouts_yes_answers_nothing(new_world):
    world = new_world(steps=STEPS, holdout={"share": 0.5, "salt": "salt"})
    leads = world.leads([{} for _ in range(6)])
    world.tick(0)
    [held, *_] = [lead for lead in leads if world.message(lead)["status"] == "withheld"]
    assert say(world, held, "yes", 0.5)["answers"] == 0


def test_each_text_is_one_answer_however_often_it_is_heard(asking, asked):
    for day in (0.5, 0.6, 0.7):
        say(asking, asked, "yes", day, sid="SM" + "1" * 32)
    say(asking, asked, "no", 0.8)
    assert answers(asking) == [("question", "yes", asking.at(0.5)), ("question", "no", asking.at(0.8))]
    assert asking.state(asked)["exit_reason"] is None
    # she changed her mind before anybody acted on it
    asking.tick(1)
    assert asking.state(asked)["exit_reason"] == "archived"
    assert len(asking.messages(asked)) == 1


@pytest.mark.parametrize("keeps_answers", [True, False])
def test_read_again_from_the_raw_files_it_is_the_same(asking, asked, keeps_answers):
    for body, day in (("yes", 0.5), ("who is this", 0.6), ("no", 0.7)):
        say(asking, asked, body, day)

    def standing():
        tables = ("rekindle_state.question_answers", "rekindle_state.message_events", "rekindle_state.reply_queue")
        times = {"rekindle_state.reply_queue": "queued_at, run_id"}
        return [
            asking.query(f"select * exclude ({times.get(table, 'recorded_at')}) from {table} order by event_key")
            for table in tables
        ]

    before = standing()
    assert [len(rows) for rows in before] == [2, 3, 2]
    for table in ("raw.webhook_elements", "raw.landing_files", "state.message_events"):
        asking.execute(f"delete from rekindle_{table}")
    if not keeps_answers:
        asking.execute("delete from rekindle_state.question_answers")
        asking.execute("delete from rekindle_state.reply_queue")
    asking.now(3)
    asking.ingest(3)
    assert standing() == before


def test_an_answer_after_the_end_waits_for_a_person_once(asking, asked):
    say(asking, asked, "no", 0.5)
    asking.tick(1)
    assert asking.state(asked)["exit_reason"] == "archived"
    say(asking, asked, "yes", 1.3)
    say(asking, asked, "actually I mean it", 1.4)
    assert waiting(asking) == ["answer_after_end", "reply"]
    assert asking.ingest(1.5)["replies"] == 0


def test_the_newest_question_of_the_number_is_the_open_one(new_world):
    again = [
        STEPS[0] | {"answers": {"yes": [{"id": "second", "ask": STEPS[0]["ask"]}]}},
        STEPS[1],
    ]
    world = new_world(steps=again)
    lead = world.lead()
    world.tick(0)
    say(world, lead, "yes", 0.5)
    world.tick(1)
    assert [message["step_id"] for message in world.messages(lead)] == ["question", "second"]
    say(world, lead, "later", 1.1)
    say(world, lead, "next week", 1.2)
    assert answers(world)[1:] == [("second", "later", world.at(1.2))]


def test_the_words_are_those_of_the_version_she_was_asked_under(asking, asked):
    # Given that the campaign has been changed since: `sure thing` means nothing any more
    asked_now = STEPS[0]["ask"] | {"expect": {"yes": [], "perhaps": ["maybe"]}}
    asking.campaign = asking.campaign_with(steps=[STEPS[0] | {"ask": asked_now, "answers": {}}, STEPS[1]])
    asking.lead(on=1)
    asking.tick(1)
    assert say(asking, asked, "sure thing", 1.1)["answers"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_order_and_repetition_and_files_do_not_matter(new_world, seed):
    """What is said, landed in any order over any number of ingests before the next tick, comes to the same rows."""
    random_ = random.Random(seed)
    said = [("yes", 0.2), ("no", 0.3), ("yes", 0.4), ("next week", 0.9)]
    standing = []
    for shuffled in (False, True):
        world = new_world(steps=STEPS)
        leads = world.leads([{} for _ in range(3)])
        world.tick(0)
        texts = [
            (lead, body, day, f"SM{number:032d}")
            for number, (lead, (body, day)) in enumerate(itertools.product(leads, said))
        ]
        # one of them stops, one writes in own words, between the answers
        texts += [(leads[0], "STOP", 0.35, "SM" + "a" * 32), (leads[1], "who is this", 0.35, "SM" + "b" * 32)]
        texts.sort(key=lambda text: text[2])
        world.now(1)
        if shuffled:
            texts = [text for text in texts for _ in range(random_.choice([1, 1, 2, 46]))]
            random_.shuffle(texts)
        lines = [
            world.inbound_text(lead.phone, body, world.at(day)) | {"received_at": world.at(day).isoformat()}
            for lead, body, day, _ in texts
        ]
        for line, (*_, sid) in zip(lines, texts, strict=True):
            line["body"] = line["body"].replace(line["body"].partition("MessageSid=")[2].partition("&")[0], sid)
        while lines:
            some = random_.randint(1, len(lines)) if shuffled else 1
            world.land("twilio_inbound", *lines[:some])
            lines = lines[some:]
            world.ingest(1)
        standing.append(
            (
                world.query(
                    "select * exclude (entry_id, recorded_at) from rekindle_state.question_answers order by all"
                ),
                world.query("select event_key, reading, replied_at from rekindle_state.reply_queue order by all"),
                world.query("select lead_id, exit_reason, exited_at from rekindle_state.journey_state order by all"),
            )
        )
    assert standing[0] == standing[1]
    assert len(standing[0][0]) == 12
