"""Delivery on a real PostgreSQL server, where several deliverers write beside each other: the stories of test_deliver told again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crisis_engine.testing import open_test_engine

from . import test_deliver as told
from . import test_digest as digests
from .story import City
from .test_deliver import longest_waits, receiver

__all__ = ["longest_waits", "receiver"]


@pytest.fixture
def city(postgres_url: str) -> Iterator[City]:
    with open_test_engine(url=postgres_url) as (engine, clock, channel):
        yield City(engine, clock, channel, postgres_url)


test_two_deliverers = told.test_two_deliverers_at_once_send_each_message_once
test_nobody_sends_what_another_is_sending = told.test_nobody_sends_what_another_is_sending
test_a_crash = told.test_a_crash_between_sending_and_marking_sends_the_same_key_again_and_the_receiver_takes_it_once
test_whoever_lost_the_lease_marks_nothing = told.test_whoever_lost_the_lease_marks_nothing
test_an_outage = told.test_after_an_outage_of_the_gateway_each_person_is_told_once_a_case
test_no_address = told.test_a_person_without_an_address_is_passed_by_at_once_and_the_operator_is_told
test_a_daemon_sees = told.test_a_daemon_sees_when_the_next_try_is_due_and_what_waits
test_operators = told.test_only_an_operator_looks_tries_again_and_drops
test_several_daemons_at_once_make_each_digest_once = digests.test_several_daemons_at_once_make_each_digest_once
test_leaders = digests.test_leaders_are_told_weekly_what_is_overdue_below_them_with_small_cells_merged
