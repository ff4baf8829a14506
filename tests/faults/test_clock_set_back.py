"""A machine's clock is corrected backwards while an attempt stands between its claim and its `attempting`."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

from rekindle.chaos.jobs import Deed, Fate
from rekindle.chaos.places import Place
from rekindle.vocabulary import Channel


def test_a_clock_set_back_to_before_the_window_opens_sends_nothing_before_it_opens(ground, verdict):
    ground.populate(8)
    (batch_id,) = ground.plan(Channel.EMAIL, 100)
    frozen = ground.start(batch_id, channel=Channel.EMAIL, fate=Fate(deed=Deed.FREEZE, place=Place.AFTER_CLAIM))
    assert ground.freezes(frozen)
    ground.set_clock_back(timedelta(hours=1))  # the window opened half an hour ago
    os.kill(frozen.pid, signal.SIGCONT)
    assert ground.wait(frozen) == 0
    assert ground.accepted() == []
    ground.clock.step_to(ground.clock.now() + timedelta(hours=1))
    verdict(ground)
    assert ground.accepted()
