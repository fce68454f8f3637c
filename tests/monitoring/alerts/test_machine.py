"""The life of an incident, by properties that hold for every sequence of verdicts."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerts.judges.verdict import State, Verdict
from monitoring.alerts.machine import Policy, Standing, Step, advance

START = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy()

verdicts = st.lists(
    st.tuples(st.sampled_from(list(State)), st.integers(min_value=0, max_value=90)), max_size=60
).map(
    lambda drawn: [
        Verdict(state, START + MINUTE * sum(gap for _, gap in drawn[: index + 1]))
        for index, (state, _) in enumerate(drawn)
    ]
)


def walk(told: list[Verdict], policy: Policy = POLICY) -> list[tuple[Verdict, Standing, tuple[Step, ...]]]:
    standing, steps = Standing(), []
    for verdict in told:
        standing, taken = advance(standing, verdict, policy)
        steps.append((verdict, standing, taken))
    return steps


def states(text: str, every: timedelta = MINUTE) -> list[Verdict]:
    """One verdict each minute: . clear, a amber, r red, ? no data."""
    words = {".": State.CLEAR, "a": State.AMBER, "r": State.RED, "?": State.NO_DATA}
    return [Verdict(words[letter], START + every * place) for place, letter in enumerate(text)]


def taken(text: str) -> list[Step]:
    return [step for _, _, steps in walk(states(text)) for step in steps]


@given(verdicts)
def test_openings_and_ends_take_turns(told: list[Verdict]) -> None:
    ends = [s for _, _, steps in walk(told) for s in steps if s in (Step.OPENED, Step.CLOSED)]
    assert ends == [Step.OPENED, Step.CLOSED] * (len(ends) // 2) + [Step.OPENED] * (len(ends) % 2)


@given(verdicts)
def test_no_data_never_ends_anything(told: list[Verdict]) -> None:
    before = Standing()
    for verdict, standing, steps in walk(told):
        if verdict.state == State.NO_DATA:
            assert Step.CLOSED not in steps
            assert standing.is_open == before.is_open
            assert standing.severity == before.severity
        before = standing


@given(verdicts)
def test_what_is_open_stands_as_the_last_that_said_anything(told: list[Verdict]) -> None:
    said = State.CLEAR
    for verdict, standing, _ in walk(told):
        if verdict.state != State.NO_DATA:
            said = verdict.state
        if said != State.CLEAR:
            assert standing.severity == said.severity
            assert standing.worst >= standing.severity


@given(verdicts)
def test_the_same_verdict_twice_takes_no_step_twice(told: list[Verdict]) -> None:
    for verdict, standing, _ in walk(told):
        again, steps = advance(standing, verdict)
        assert steps == ()
        assert again == standing


@given(verdicts, st.data())
def test_a_verdict_from_before_the_newest_changes_nothing(told: list[Verdict], data: st.DataObject) -> None:
    standing = walk(told)[-1][1] if told else Standing()
    if standing.at is None:
        return
    late = Verdict(data.draw(st.sampled_from(list(State))), standing.at - MINUTE)
    assert advance(standing, late) == (standing, ())


@given(verdicts)
def test_it_survives_its_column(told: list[Verdict]) -> None:
    for _, standing, _ in walk(told):
        assert Standing.from_json(standing.to_json()) == standing


@given(verdicts)
def test_what_flaps_ends_only_after_it_was_quiet(told: list[Verdict]) -> None:
    policy, before, quiet_since = POLICY, Standing(), None
    for verdict, standing, steps in walk(told, policy):
        if verdict.state != State.CLEAR:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = verdict.at
        if before.flapping and Step.CLOSED in steps:
            assert quiet_since is not None
            assert verdict.at - quiet_since >= policy.quiet
        before = standing


@given(verdicts)
def test_within_the_time_of_flapping_few_incidents_begin(told: list[Verdict]) -> None:
    """A person's mailbox is bounded: three openings in two hours, and then at most one in each quiet half hour."""
    opened = [verdict.at for verdict, _, steps in walk(told) if Step.OPENED in steps]
    for index in range(3, len(opened)):
        # Each from the fourth on came after a held one had been quiet, or the earlier ones were long ago.
        assert opened[index] - opened[index - 3] >= POLICY.quiet


def test_amber_that_grows_to_red_is_one_life() -> None:
    assert taken("..aarr..") == [Step.OPENED, Step.RAISED, Step.CLOSED]


def test_red_that_eases_is_not_over() -> None:
    assert taken("r.") == [Step.OPENED, Step.CLOSED]
    assert taken("raar.") == [Step.OPENED, Step.EASED, Step.RAISED, Step.CLOSED]


def test_dark_and_light() -> None:
    assert taken("a???") == [Step.OPENED, Step.DARK]
    assert taken("a??a.") == [Step.OPENED, Step.DARK, Step.LIGHT, Step.CLOSED]
    assert taken("???.") == []


def test_flapping_is_said_and_held() -> None:
    assert taken("a.a.a" + "." * 20) == [
        *[Step.OPENED, Step.CLOSED] * 2,
        Step.OPENED,
        Step.FLAPPING,
    ]
    assert taken("a.a.a.a" + "." * 40)[-1] == Step.CLOSED
    # Half an hour without a word is not half an hour of quiet.
    assert taken("a.a.a." + "?" * 40 + ".")[-1] == Step.LIGHT
