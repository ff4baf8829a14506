"""Reading campaign files: what comes out, and what is said about files that can not be used."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from rekindle.campaigns.findings import InvalidCampaign, Level, UnknownStep
from rekindle.campaigns.loader import load_campaign, load_campaigns, load_each, restore_campaign
from rekindle.campaigns.models import Campaign, EmailStep, EndStep, SmsStep, WaitStep
from rekindle.errors import ConfigurationError
from rekindle.timing.send_window import LocalHours, SendWindow, UnknownTimeZone
from rekindle.vocabulary import Channel, Exit

Spoil = Callable[..., Path]
INCLUDE = Path(__file__).parents[3] / "include"


def messages(error: pytest.ExceptionInfo[InvalidCampaign], folder: Path) -> list[str]:
    return str(error.value).replace(f"{folder}/", "").splitlines()


def complaint(folder: Path) -> list[str]:
    """What is said about `spring.yaml`."""
    with pytest.raises(InvalidCampaign) as error:
        load_campaign(folder / "spring.yaml", folder / "templates")
    return messages(error, folder)


def test_a_campaign_is_read_whole(campaign_folder: Path) -> None:
    campaign = load_campaign(campaign_folder / "spring.yaml", campaign_folder / "templates")

    assert campaign.campaign_id == "spring"
    assert campaign.name == "Test campaign"
    assert campaign.topic == "marketing"
    assert campaign.holdout.share == 0.10
    assert campaign.caps.messages == 3
    assert campaign.send_window.hours == (LocalHours(600, 660), LocalHours(780, 840))
    assert campaign.send_window.unknown_time_zone is UnknownTimeZone.HOLD

    probe, listen, nudge, listen_again, archive = campaign.steps
    assert isinstance(probe, EmailStep)
    assert (probe.step_id, probe.kind, probe.channel) == ("probe", "email", Channel.EMAIL)
    assert probe.subject == "A question, {{ first_name | default('friend') }}"
    assert probe.template.source.startswith("Hi {{ first_name")
    assert isinstance(listen, WaitStep)
    assert (listen.kind, listen.seconds) == ("wait", 259_200)
    assert isinstance(nudge, SmsStep)
    assert (nudge.kind, nudge.channel, nudge.max_segments) == ("sms", Channel.SMS, 2)
    assert isinstance(listen_again, WaitStep)
    assert listen_again.duration == timedelta(days=7)
    assert isinstance(archive, EndStep)
    assert (archive.kind, archive.exit) == ("end", Exit.ARCHIVED)

    assert campaign.first_step is probe
    assert campaign.step_after("probe") is listen
    assert campaign.step_after("archive") is None
    assert campaign.message_steps == (probe, nudge)
    with pytest.raises(UnknownStep, match=r"campaign spring has no step `prob`\. Did you mean `probe`\?"):
        campaign.step_after("prob")


def test_the_shipped_campaigns_load() -> None:
    campaigns = load_campaigns(INCLUDE / "campaigns", INCLUDE / "templates")
    cold = next(each for each in campaigns if each.campaign_id == "cold_lead_reengagement")
    assert [(step.step_id, step.kind) for step in cold.steps] == [
        ("probe", "email"),
        ("listen_after_probe", "wait"),
        ("nudge", "sms"),
        ("listen_after_nudge", "wait"),
        ("archive", "end"),
    ]
    assert cold.enter.activation_model == "sync_cold_leads"


def test_texts_keep_to_the_quiet_hours_whatever_the_file_says(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("sender:", 'send_window:\n  hours: ["06:00-23:00"]\n  wider_than_quiet_hours: true\nsender:')
    campaign = load_campaign(campaign_folder / "spring.yaml", campaign_folder / "templates")
    assert campaign.window_for(Channel.EMAIL).hours == (LocalHours(6 * 60, 23 * 60),)
    assert campaign.window_for(Channel.SMS).hours == (LocalHours(8 * 60, 21 * 60),)


# --- golden messages: (what is spoiled, into what, what is said) ------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # a word nobody knows, and the nearest one
        (
            "      subject:",
            "      subjct:",
            [
                "spring.yaml:12: error: `email` of step `probe` lacks `subject`. "
                "Add `subject: Did we get in your way?`.",
                "spring.yaml:14: error: `email` of step `probe` has no word `subjct`. Did you mean `subject`?",
            ],
        ),
        (
            "owner: growth@example.com",
            "owner: growth@example.com\nprioritty: 3",
            ["spring.yaml:3: error: the campaign has no word `prioritty`. Did you mean `priority`?"],
        ),
        (
            "  name: Mara",
            "  name: Mara\n  colour: red",
            ["spring.yaml:10: error: `sender` has no word `colour`. Known here: name, reply_to."],
        ),
        # a name where an address belongs
        (
            "  name: Mara",
            "  name: Mara\n  reply_to: Mara <mara@example.com>",
            [
                "spring.yaml:10: error: `Mara <mara@example.com>` is not one plain ASCII e-mail address"
                " (in `reply_to` of `sender`). Write it like `mara@example.com`."
            ],
        ),
        # a kind of step nobody knows
        (
            "    wait: 72h",
            "    wiat: 72h",
            ["spring.yaml:16: error: `wiat` is not a kind of step (in step `listen`). Did you mean `wait`?"],
        ),
        # two things in one step
        (
            "    wait: 72h",
            "    wait: 72h\n    end: archived",
            [
                "spring.yaml:15: error: nothing comes after the end, but there are 3 more steps. "
                "Move the end to the end, or remove what follows.",
                "spring.yaml:15: error: one step says both `wait` and `end` (in step `listen`). "
                "Make two steps of it, each with its own id.",
            ],
        ),
        # durations
        (
            "wait: 72h",
            "wait: 72",
            [
                "spring.yaml:16: error: `72` can not be read: a duration is a whole number and a unit: "
                "90m, 72h, 3d or 2w (in `wait` of step `listen`). Write for example `72h`."
            ],
        ),
        (
            "wait: 72h",
            "wait: 0h",
            [
                "spring.yaml:16: error: `0h` can not be read: a duration must be longer than nothing "
                "(in `wait` of step `listen`). Write for example `72h`."
            ],
        ),
        # an exit that a file may not declare
        (
            "end: archived",
            "end: archive",
            ["spring.yaml:24: error: `end` of step `archive` can not be `archive`. Did you mean `archived`?"],
        ),
        # limits and types
        (
            "  share: 0.10",
            "  share: 10",
            ["spring.yaml:6: error: `share` of `holdout` is 10. It must be at most 0.5."],
        ),
        (
            '  salt: "test"',
            "  salt: 2026",
            ['spring.yaml:7: error: `salt` of `holdout` must be text, not `2026`. Put it into quotes: "2026".'],
        ),
        (
            "  activation_model: sync_cold_leads",
            "  activation_model: sync_cold_leads\n  maximum_cohort_size: lots",
            [
                "spring.yaml:5: error: `maximum_cohort_size` of `enter` must be a whole number, not `lots`. "
                "Correct the value."
            ],
        ),
        (
            "  activation_model: sync_cold_leads",
            "  activation_model: fct_leads",
            [
                "spring.yaml:4: error: `fct_leads` is not an activation model (they start with sync_) "
                "(in `activation_model` of `enter`). Write it like `sync_cold_leads`."
            ],
        ),
        # YAML's own traps
        (
            "  activation_model: sync_cold_leads",
            "  activation_model: sync_cold_leads\n  re_entry: no",
            [
                "spring.yaml:5: error: `false` is not a re-entry rule (in `re_entry` of `enter`). "
                "Write `never`, `each_time` or `{after_days: 180}`."
            ],
        ),
        (
            "  activation_model: sync_cold_leads",
            "  activation_model: sync_cold_leads\n  re_entry: {after_days: 0}",
            ["spring.yaml:5: error: `after_days` of `re_entry` of `enter` is 0. It must be at least 1."],
        ),
        (
            "owner: growth@example.com",
            "owner: growth@example.com\nname: Another name",
            ["spring.yaml:3: error: `name` is said twice (first in line 1). Keep one of them."],
        ),
        (
            "name: Test campaign",
            "name: Test: campaign",
            [
                "spring.yaml:1: error: not YAML: mapping values are not allowed in this context. "
                "Put text that contains a colon into quotes, and check the indentation."
            ],
        ),
        (
            "  salt:",
            "\tsalt:",
            [
                "spring.yaml:7: error: not YAML: found a tab character that violates indentation. "
                "Indent with spaces; YAML takes no tabs."
            ],
        ),
        # hours
        (
            "sender:",
            'send_window:\n  hours: ["08:00-20:00", "22:00-06:00"]\n  weekdays: [mon, tues]\nsender:',
            [
                "spring.yaml:9: error: `22:00-06:00` can not be read: it must open before it closes; "
                "a night is two stretches, until 24:00 and from 00:00 (in `hours` of `send_window`). "
                "Write for example `08:00-20:00`.",
                "spring.yaml:10: error: `weekdays` of `send_window` can not be `tues`. Did you mean `tue`?",
            ],
        ),
        # the journey as a whole
        (
            "  - id: archive\n    end: archived\n",
            "",
            [
                "spring.yaml:21: error: the journey does not end. "
                "Add a last step: `- id: archive` and under it `end: archived`."
            ],
        ),
        (
            "- id: listen_again",
            "- id: listen",
            [
                "spring.yaml:21: error: two steps have the id `listen` (the other is in line 15). "
                "Give one of them another id."
            ],
        ),
        # templates
        (
            "template: probe.txt.j2",
            "template: prob.txt.j2",
            [
                "spring.yaml:13: error: the template `prob.txt.j2` is not in templates/spring. "
                "Did you mean `probe.txt.j2`?"
            ],
        ),
        (
            "template: probe.txt.j2",
            "template: ../../secret.txt.j2",
            [
                "spring.yaml:13: error: `../../secret.txt.j2` is not the name of a plain-text template "
                "(in `template` of `email` of step `probe`). Write it like `probe.txt.j2`."
            ],
        ),
        (
            "| default('friend') }}",
            "| default('friend') }",
            ["spring.yaml:14: error: the subject can not be used: unexpected '}'. Correct the subject."],
        ),
    ],
)
def test_golden_messages(campaign_folder: Path, spoil: Spoil, old: str, new: str, said: list[str]) -> None:
    spoil(old, new)
    assert complaint(campaign_folder) == said


def test_everything_wrong_is_said_at_once(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("owner: growth@example.com", "")
    spoil("wait: 7d", "wait: soon")
    spoil("template: nudge.txt.j2", "template: nugde.txt.j2")
    spoil(
        "Hi {{ first_name | default('there') }}",
        "Hi {{ first_name | defualt('there') }}",
        "templates/spring/probe.txt.j2",
    )
    (campaign_folder / "autumn.yaml").write_text("steps: []\n")

    with pytest.raises(InvalidCampaign) as error:
        load_campaigns(campaign_folder, campaign_folder / "templates")

    assert messages(error, campaign_folder) == [
        "autumn.yaml:1: error: `steps` is empty. Write for example `steps: [{id: archive, end: archived}]`.",
        "autumn.yaml:1: error: the campaign lacks `enter`. Add `enter: {activation_model: sync_cold_leads}`.",
        "autumn.yaml:1: error: the campaign lacks `holdout`. Add `holdout: {share: 0.1, salt: cold-lead-2026}`.",
        "autumn.yaml:1: error: the campaign lacks `name`. Add `name: Cold lead re-engagement`.",
        "autumn.yaml:1: error: the campaign lacks `owner`. Add `owner: growth@example.com`.",
        "autumn.yaml:1: error: the campaign lacks `sender`. Add `sender: {name: Mara}`.",
        "spring.yaml:1: error: the campaign lacks `owner`. Add `owner: growth@example.com`.",
        "spring.yaml:19: error: the template `nugde.txt.j2` is not in templates/spring. Did you mean `nudge.txt.j2`?",
        "spring.yaml:22: error: `soon` can not be read: a duration is a whole number and a unit: 90m, 72h, 3d or 2w "
        "(in `wait` of step `listen_again`). Write for example `72h`.",
        "templates/spring/probe.txt.j2:1: error: the template can not be used: No filter named 'defualt'. "
        "Correct this line.",
    ]
    assert isinstance(error.value, ConfigurationError)
    assert all(finding.level is Level.ERROR for finding in error.value.findings)


def test_a_broken_file_is_told_beside_the_whole_ones(campaign_folder: Path) -> None:
    (campaign_folder / "autumn.yaml").write_text("steps: []\n")
    read = dict(load_each(campaign_folder, campaign_folder / "templates"))
    broken, whole = read[campaign_folder / "autumn.yaml"], read[campaign_folder / "spring.yaml"]
    assert isinstance(broken, InvalidCampaign)
    assert isinstance(whole, Campaign)
    assert (whole.campaign_id, {finding.file for finding in broken.findings}) == (
        "spring",
        {str(campaign_folder / "autumn.yaml")},
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is not a campaign"),
        (b"# nothing but a comment\n", "the file is not a campaign"),
        (b"- a\n- list\n", "the file is not a campaign"),
        (b"just text\n", "the file is not a campaign"),
        (b"name: \xff\xfe\n", "the file is not UTF-8 text"),
        (b"name: a\x00b\n", "not YAML"),
        (b"name: a\n---\nname: b\n", "not YAML"),
        (b"name: !!python/object/apply:os.system [ls]\n", "not YAML"),
        (b"a: &a [*a]\n", "used again by an alias"),
        (b"a: &a {b: c}\nd: *a\n", "used again by an alias"),
        (b"a: &a {b: c}\nd:\n  <<: *a\n", "merging is not supported"),
        (b"? [a, b]\n: c\n", "not YAML"),
        (b"1: 2\n", "the campaign lacks `name`"),
    ],
)
def test_files_that_are_no_campaigns(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidCampaign, match=said):
        load_campaign(path, tmp_path)


def test_a_missing_file_and_a_wrong_name_are_said(tmp_path: Path, campaign_folder: Path) -> None:
    with pytest.raises(InvalidCampaign, match="can not be read: No such file"):
        load_campaign(tmp_path / "absent.yaml", tmp_path)
    (campaign_folder / "spring.yaml").rename(campaign_folder / "Spring Sale.yml")
    with pytest.raises(InvalidCampaign) as error:
        load_campaigns(campaign_folder, campaign_folder / "templates")
    said = messages(error, campaign_folder)
    assert "Spring Sale.yml:1: error: a campaign file ends in .yaml, not .yml. Rename it to Spring Sale.yaml." in said
    assert any("must be lower-case letters, digits and _" in each for each in said)


def test_a_template_outside_the_folder_is_refused_even_by_a_link(campaign_folder: Path) -> None:
    outside = campaign_folder / "elsewhere.txt.j2"
    outside.write_text("secret")
    template = campaign_folder / "templates" / "spring" / "probe.txt.j2"
    template.unlink()
    template.symlink_to(outside)
    assert "the template `probe.txt.j2` is not in templates/spring" in complaint(campaign_folder)[0]


# --- versions -------------------------------------------------------------------------------------------------


def version(folder: Path) -> str:
    return load_campaign(folder / "spring.yaml", folder / "templates").journey_version


def test_the_version_of_a_campaign_never_changes_by_itself(campaign_folder: Path) -> None:
    """If this fails, every journey in flight would change its version on upgrade: do not just update the literal."""
    assert version(campaign_folder) == "87f16caec1d0"


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        ("name: Test campaign", "name: Another name", "spring.yaml"),
        ("owner: growth@example.com", "owner: sales@example.com\ndescription: Why.", "spring.yaml"),
        ("wait: 72h", "wait: 3d", "spring.yaml"),
        ("share: 0.10", "share: 0.1 # one in ten", "spring.yaml"),
        ("      max_segments: 2\n", "", "spring.yaml"),
        ("sender:", "priority: 50\nsender:", "spring.yaml"),
        ("waits:\n", "waits:\r\n", "templates/spring/probe.txt.j2"),
    ],
)
def test_spelling_makes_no_new_version(campaign_folder: Path, spoil: Spoil, old: str, new: str, file: str) -> None:
    before = version(campaign_folder)
    spoil(old, new, file)
    assert version(campaign_folder) == before


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        ("wait: 72h", "wait: 71h", "spring.yaml"),
        ("A question", "One question", "spring.yaml"),
        ("id: probe", "id: first_probe", "spring.yaml"),
        ('salt: "test"', 'salt: "tests"', "spring.yaml"),
        ("max_segments: 2", "max_segments: 1", "spring.yaml"),
        ("plan waits:", "plan waits!", "templates/spring/probe.txt.j2"),
        ("Reply STOP", "Text STOP", "templates/spring/nudge.txt.j2"),
    ],
)
def test_what_a_lead_meets_makes_a_new_version(
    campaign_folder: Path, spoil: Spoil, old: str, new: str, file: str
) -> None:
    before = version(campaign_folder)
    spoil(old, new, file)
    after = version(campaign_folder)
    assert after != before
    assert len(after) == 12


def test_a_stored_version_comes_back_whole(campaign_folder: Path, spoil: Spoil) -> None:
    spoil("  activation_model: sync_cold_leads", "  activation_model: sync_cold_leads\n  re_entry: {after_days: 90}")
    spoil("sender:", 'send_window:\n  hours: ["10:00-11:00"]\n  weekdays: [tue]\nsender:')
    campaign = load_campaign(campaign_folder / "spring.yaml", campaign_folder / "templates")

    restored = restore_campaign("spring", campaign.definition_json)

    assert restored == campaign
    assert restored.journey_version == campaign.journey_version
    assert restored.send_window == SendWindow((LocalHours(600, 660),), frozenset({1}))
    assert restored.message_steps[0].template.source == campaign.message_steps[0].template.source


@pytest.mark.parametrize(
    ("rule", "days", "may"),
    [("never", 9999, False), ("each_time", 0, True), ("{after_days: 90}", 89, False), ("{after_days: 90}", 90, True)],
)
def test_re_entry(campaign_folder: Path, spoil: Spoil, rule: str, days: int, may: bool) -> None:
    spoil("  activation_model: sync_cold_leads", f"  activation_model: sync_cold_leads\n  re_entry: {rule}")
    campaign = load_campaign(campaign_folder / "spring.yaml", campaign_folder / "templates")
    entered = date(2026, 1, 10)
    assert campaign.may_re_enter(entered, entered + timedelta(days=days)) is may


# --- parse time -----------------------------------------------------------------------------------------------


def test_loading_imports_nothing_heavy() -> None:
    """DAG files do this at every parse."""
    code = (
        "import sys; from pathlib import Path; from rekindle.campaigns.loader import load_campaigns;"
        f"load_campaigns(Path({str(INCLUDE / 'campaigns')!r}), Path({str(INCLUDE / 'templates')!r}));"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'duckdb', 'airflow', 'dbt', 'phonenumbers', 'httpx', 'twilio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(INCLUDE)}, check=True
    )
    assert done.stdout.strip() == "[]"


def test_loading_is_quick(campaign_folder: Path) -> None:
    started = time.perf_counter()
    for _ in range(20):
        load_campaign(campaign_folder / "spring.yaml", campaign_folder / "templates")
    assert (time.perf_counter() - started) / 20 < 0.1
