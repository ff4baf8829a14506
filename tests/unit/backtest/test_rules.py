"""Rules of the score that are wrong are refused by name of file and row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rekindle.backtest.rules import Signal, read_rules
from rekindle.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
REVIEWED = ROOT / "dbt_project" / "seeds"


def test_the_reviewed_rules_are_read_and_written_as_they_are(tmp_path):
    rules = read_rules(REVIEWED)
    rules.write(tmp_path)
    for name in ("score_weights.csv", "score_thresholds.csv", "score_plan_presets.csv"):
        assert (tmp_path / name).read_text() == (REVIEWED / name).read_text()
    assert read_rules(tmp_path) == rules


def test_the_signals_are_those_of_the_macro():
    macro = (ROOT / "dbt_project" / "macros" / "cold_score.sql").read_text()
    (listed,) = re.findall(r"return\(\[(.*?)\]\)", macro, re.DOTALL)
    assert re.findall(r"'(\w+)'", listed) == list(Signal)


def spoil(path: Path, was: str, will_be: str) -> None:
    text = path.read_text()
    assert was in text, was
    path.write_text(text.replace(was, will_be, 1))


@pytest.mark.parametrize(
    ("file", "was", "will_be", "complaint"),
    [
        (
            "score_weights.csv",
            "3,default,habit,decay,10,15,",
            "3,default,habbit,decay,10,15,",
            "{file}:7: signal `habbit` is not known; it is one of last_seen, log_in, email_click, email_open,"
            " key_action, habit, support, payment_failure, usage_trend, plan",
        ),
        (
            "score_weights.csv",
            "3,default,last_seen,decay,60,45,",
            "3,default,last_seen,decay,65,45,",
            "{file}: the weights of preset default sum to 105, not to 100 (last_seen 65, log_in 0, email_click 10,"
            " email_open 5, key_action 10, habit 10, support 5, payment_failure 0, usage_trend 0, plan 0)",
        ),
        (
            "score_weights.csv",
            "3,default,last_seen,decay,60,45,",
            "3,default,last_seen,decay,fifty,45,",
            "{file}:2: weight is fifty; give a number from 0 to 100",
        ),
        (
            "score_weights.csv",
            "3,default,last_seen,decay,60,45,",
            "3,default,last_seen,decay,nan,45,",
            "{file}:2: weight is nan; give a number from 0 to 100",
        ),
        (
            "score_weights.csv",
            "3,default,last_seen,decay,60,45,",
            "3,default,last_seen,decay,60,0,",
            "{file}:2: days is 0; give a number from 0.01 to 36500",
        ),
        (
            "score_weights.csv",
            "3,default,last_seen,decay,60,45,",
            "3,default,last_seen,linear,60,45,",
            "{file}:2: shape `linear` is not known; it is one of decay, step, never, share",
        ),
        (
            "score_weights.csv",
            "3,default,log_in,decay,0,45,already in last seen\n",
            "",
            "{file}: preset default has no row for log_in; add one, with weight 0 if it shall not count",
        ),
        (
            "score_weights.csv",
            "3,default,log_in,",
            "3,default,last_seen,",
            "{file}: preset default, signal last_seen is there twice; remove one row",
        ),
        (
            "score_weights.csv",
            "3,default,log_in,",
            "4,default,log_in,",
            "{file}: the rows of preset default, here and in score_thresholds.csv, are of score_version 3, 4; give them"
            " the same",
        ),
        (
            "score_weights.csv",
            "3,default,log_in,decay,0,45,already in last seen",
            "3,default,log_in,decay,0,45,already, in last seen",
            "{file}:3: 8 cells where the header has 7; put a reason that holds a comma into quotes",
        ),
        (
            "score_weights.csv",
            "score_version,preset,signal",
            "version,preset,signal",
            "{file}:1: the header is version,preset,signal,shape,weight,days,reason; it must be"
            " score_version,preset,signal,shape,weight,days,reason",
        ),
        (
            "score_thresholds.csv",
            "3,default,69,55,",
            "3,default,55,69,",
            "{file}:2: leave_score 69 is over enter_score 55: a lead would leave the cold side as it enters;"
            " leave_score must not be over enter_score",
        ),
        (
            "score_thresholds.csv",
            "3,default,69,55,7,",
            "3,default,69,55,40,",
            "{file}:2: late_window_days is 40; give a number from 1 to 31",
        ),
        (
            "score_weights.csv",
            "3,default,plan,share,",
            "3,default,plan,decay,",
            "{file}:11: shape decay does not fit signal plan; plan, usage_trend are of shape share, no other is",
        ),
        (
            "score_thresholds.csv",
            "3,b2b_slow,",
            "3,b2bb_slow,",
            "{file}: preset b2b_slow of score_weights.csv has no row; add one",
        ),
        (
            "score_plan_presets.csv",
            "plan,preset\n",
            "plan,preset\nhome,b2x\n",
            "{file}: plan home asks for preset b2x, which does not exist; there are default, classic_rule, b2c_fast,"
            " b2b_slow, subscription",
        ),
    ],
)
def test_what_is_wrong_is_told_by_file_and_row(seeds, file, was, will_be, complaint):
    spoil(seeds / file, was, will_be)
    with pytest.raises(ConfigurationError) as refused:
        read_rules(seeds)
    assert str(refused.value) == complaint.format(file=seeds / file)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no folder .*nowhere; name the folder that holds score_wei"):
        read_rules(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"score_weights\.csv: can not be read .*No such file"):
        read_rules(tmp_path)


def test_rules_older_than_a_signal_give_it_no_weight(seeds):
    weights = seeds / "score_weights.csv"
    kept = [
        line.replace("last_seen,decay,60,", "last_seen,decay,70,")
        for line in weights.read_text().splitlines()
        if ",habit," not in line and not line.startswith("2,subscription")
    ]
    weights.write_text("\n".join(kept) + "\n")
    spoil(seeds / "score_thresholds.csv", (seeds / "score_thresholds.csv").read_text().splitlines()[-1], "")
    with pytest.raises(ConfigurationError, match="no row for habit"):
        read_rules(seeds)
    rules = read_rules(seeds, older=True)
    assert {
        rules.of_preset(preset)[Signal.HABIT].weight for preset in ("default", "classic_rule", "b2c_fast", "b2b_slow")
    } == {0}
