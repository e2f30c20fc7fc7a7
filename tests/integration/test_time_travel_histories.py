"""The proof: whatever was asked of the live tables is answered by the past alike."""

import pytest

from bemi_orm import Change, time_travel
from tests.integration.histories import MODELS, History, ask_all
from tests.integration.travels import Trail

TRANSACTIONS = 20

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

MAKE_DEFERRABLE = """
ALTER TABLE todos_everything DROP CONSTRAINT todos_everything_pkey;
ALTER TABLE todos_everything ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE todos_seat DROP CONSTRAINT todos_seat_pkey;
ALTER TABLE todos_seat ADD PRIMARY KEY ("row", number) DEFERRABLE INITIALLY DEFERRED;
"""


@pytest.fixture
def deferrable(transactional_db):
    trail = Trail.__new__(Trail)
    trail.execute(MAKE_DEFERRABLE)
    yield
    trail.execute(MAKE_DEFERRABLE.replace(" DEFERRABLE INITIALLY DEFERRED", ""))


@pytest.fixture(params=["default", "other"])
def trail(request, settings, deferrable):
    trail = Trail(settings, request.param)
    trail.open()
    yield trail
    trail.close()


@pytest.mark.parametrize("seed", range(3))
def test_s32b_travel_shows_each_state_of_a_random_history(trail, seed):
    history = History(seed)
    copies = []
    for _ in range(TRANSACTIONS):
        copies.append((trail.now(), trail.lsn(), ask_all()))
        history.run_transaction()
    trail.drain()
    for time, lsn, expected in copies:
        for moment in (time, lsn):
            with time_travel(moment):
                assert ask_all(trail.alias) == expected
        _compare_changes(time)


def _compare_changes(moment):
    """Whole tables again, by as_of, which has no model's view to lean on."""
    with time_travel(moment):
        expected = {model: sorted(map(repr, model.objects.values_list("pk"))) for model in MODELS}
    for model, keys in expected.items():
        changes = Change.objects.for_model(model).as_of(moment)
        assert sorted(repr((instance.pk,)) for instance in changes.instances()) == keys
