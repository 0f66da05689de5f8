"""A run as a trace for Perfetto, read back with Perfetto's own classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from petsard_otel.exporting.perfetto import perfetto_trace

from .otlp_spans import ERROR, NOW, otlp_span, run_spans

if TYPE_CHECKING:
    from petsard_otel.telemetry.otlp.spans import OtlpSpan


class Slice(NamedTuple):
    """A slice as the viewer draws it; times are nanoseconds after NOW."""

    track: str
    depth: int
    name: str
    start: int
    end: int | None


class Drawn(NamedTuple):
    """What a trace shows."""

    processes: list[str]
    tracks: list[str]
    slices: list[Slice]
    inside: dict[int, int]
    """Span by span: what it is drawn in."""
    span_tracks: dict[int, str]
    arguments: dict[int, dict[str, Any]]
    categories: dict[int, list[str]]
    arrows: set[tuple[int, int]]


def drawn(*spans: OtlpSpan) -> Drawn:
    """Read a trace as the viewer does: per track a stack, on which what ends is the uppermost."""
    trace = Trace()
    trace.ParseFromString(b"".join(perfetto_trace(spans)))
    shown = Drawn([], [], [], {}, {}, {}, {}, set())
    names: dict[int, str] = {}
    stacks: dict[int, list[tuple[int, int]]] = {}
    flows: dict[int, int] = {}
    latest = 0
    for packet in trace.packet:
        assert not _unknown(packet)
        assert packet.trusted_packet_sequence_id == 1
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            if descriptor.HasField("process"):
                shown.processes.append(descriptor.process.process_name)
            else:
                names[descriptor.uuid] = f"{descriptor.thread.pid} {descriptor.thread.thread_name}"
                shown.tracks.append(names[descriptor.uuid])
        if not packet.HasField("track_event"):
            continue
        assert packet.timestamp >= latest
        latest = packet.timestamp
        event = packet.track_event
        stack = stacks.setdefault(event.track_uuid, [])
        if event.type == TrackEvent.TYPE_SLICE_END:
            index, _ = stack.pop()
            shown.slices[index] = shown.slices[index]._replace(end=latest - NOW)
            continue
        arguments = {entry.name: _value(entry) for entry in event.debug_annotations}
        number = int(arguments["span_id"], 16)
        if stack:
            shown.inside[number] = stack[-1][1]
        assert event.type == TrackEvent.TYPE_SLICE_BEGIN
        track = names[event.track_uuid]
        shown.slices.append(Slice(track, len(stack), event.name, latest - NOW, None))
        stack.append((len(shown.slices) - 1, number))
        shown.span_tracks[number] = track
        shown.arguments[number] = arguments
        shown.categories[number] = list(event.categories)
        assert list(event.flow_ids) == list(event.flow_ids_old)
        assert list(event.terminating_flow_ids) == list(event.terminating_flow_ids_old)
        flows |= dict.fromkeys(event.flow_ids, number)
        shown.arrows.update((flows.pop(flow), number) for flow in event.terminating_flow_ids)
    assert not flows
    return shown


def _value(annotation: Any) -> Any:
    if annotation.dict_entries:
        return {entry.name: _value(entry) for entry in annotation.dict_entries}
    if annotation.array_values:
        return [_value(entry) for entry in annotation.array_values]
    return getattr(annotation, annotation.WhichOneof("value"))


def _unknown(message: Any) -> bool:
    """Tell whether anything in a message has a number that Perfetto does not know."""
    inner = [
        each
        for field, value in message.ListFields()
        if field.message_type is not None
        for each in ([value] if not field.is_repeated else value)
    ]
    return bool(len(UnknownFieldSet(message))) or any(_unknown(each) for each in inner)


def test_a_run_lies_on_one_track_its_modules_and_their_steps_inside() -> None:
    """Run, module and step are slices in one another, exact to the nanosecond."""
    shown = drawn(*run_spans())

    assert shown.processes == ["adult"]
    assert shown.tracks == ["1 run 3f2a1b9c"]
    track = "1 run 3f2a1b9c"
    assert shown.slices == [
        Slice(track, 0, "petsard run (failed: ValueError)", 0, 1000),
        Slice(track, 1, "Loader[a]", 10, 200),
        Slice(track, 2, "schema", 199, 199),
        Slice(track, 2, "schema", 199, 199),
        Slice(track, 1, "Preprocessor[b]", 200, 500),
        Slice(track, 2, "Preprocessor.fit", 200, 300),
        Slice(track, 1, "Synthesizer[c] (failed: ValueError)", 500, 1000),
    ]


def test_what_overlaps_lies_alongside_with_what_is_inside_it() -> None:
    """A track must nest: of two that overlap the later one gets a track, its own steps with it."""
    shown = drawn(
        otlp_span(1, "petsard run", 0, 100),
        otlp_span(2, "A", 10, 50, 1),
        otlp_span(3, "B", 20, 60, 1),
        otlp_span(4, "B.fit", 30, 40, 3),
        otlp_span(5, "C", 60, 90, 1),
    )

    assert shown.tracks == ["1 run 3f2a1b9c", "1 alongside"]
    assert shown.slices == [
        Slice("1 run 3f2a1b9c", 0, "petsard run", 0, 100),
        Slice("1 run 3f2a1b9c", 1, "A", 10, 50),
        Slice("1 alongside", 0, "B", 20, 60),
        Slice("1 alongside", 1, "B.fit", 30, 40),
        Slice("1 run 3f2a1b9c", 1, "C", 60, 90),
    ]


def test_what_runs_within_the_time_of_another_is_not_drawn_as_its_part() -> None:
    """Two threads at once: B lies in A's time, but is no part of A."""
    shown = drawn(
        otlp_span(1, "petsard run", 0, 100),
        otlp_span(2, "A", 10, 50, 1),
        otlp_span(3, "B", 20, 30, 1),
    )

    assert shown.inside == {2: 1}
    assert shown.span_tracks[3] == "1 alongside"


def test_of_two_that_lie_in_the_same_time_the_outer_one_is_outside() -> None:
    """Whichever comes first."""
    shown = drawn(otlp_span(2, "A.fit", 0, 100, 1), otlp_span(1, "A", 0, 100))

    assert shown.inside == {2: 1}


def test_a_part_stays_with_its_whole() -> None:
    """Also where the first track is free by then."""
    shown = drawn(
        otlp_span(1, "A", 0, 10), otlp_span(2, "B", 5, 100), otlp_span(3, "B.fit", 20, 30, 2)
    )

    assert shown.inside == {3: 2}


@st.composite
def traces(draw: st.DrawFn) -> list[OtlpSpan]:
    """Draw spans of any times, each with a parent among the earlier ones or none."""
    spans = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        start = draw(st.integers(0, 20))
        length = draw(st.none() | st.integers(0, 20))
        parent = draw(st.none() | st.integers(1, number - 1)) if number > 1 else None
        end = None if length is None else start + length
        spans.append(otlp_span(number, f"span {number}", start, end, parent))
    return draw(st.permutations(spans))


@given(traces())
def test_any_spans_can_be_drawn(spans: list[OtlpSpan]) -> None:
    """Every span is there once, at its time, and drawn inside nothing but what is around it."""
    shown = drawn(*spans)

    by_number = {span.context.span_id: span for span in spans}
    found = {int(slice_.name.removeprefix("span ")): slice_ for slice_ in shown.slices}
    assert len(shown.slices) == len(found) == len(spans)
    for number, span in by_number.items():
        start, end = span.start_time - NOW, span.end_time and span.end_time - NOW
        is_moment = end is not None and end - start <= 1
        assert found[number][3:] == (start, start if is_moment else end)
    for inner, outer in shown.inside.items():
        parent = by_number[inner].parent
        while parent is not None and parent.span_id != outer:
            parent = by_number[parent.span_id].parent
        assert parent is not None


def test_arrows_lead_from_an_output_to_those_that_used_it() -> None:
    """A link is an arrow from what it leads to, one for each; what is not there has none."""
    shown = drawn(
        otlp_span(1, "petsard run", 0, 100),
        otlp_span(2, "A", 10, 20, 1),
        otlp_span(3, "B", 20, 30, 1, links=(2,)),
        otlp_span(4, "C", 30, 40, 1, links=(2, 3, 77)),
    )

    assert shown.arrows == {(2, 3), (2, 4), (3, 4)}
    assert shown.arguments[4]["links"] == [f"{'0' * 28}abcd-{number:016x}" for number in (2, 3, 77)]


def test_no_arrow_leads_back_in_time() -> None:
    """The viewer would turn it round; the link stays among the arguments."""
    shown = drawn(otlp_span(1, "A", 10, 20, links=(2,)), otlp_span(2, "B", 15, 30))

    assert shown.arrows == set()
    assert shown.arguments[1]["links"] == [f"{'0' * 28}abcd-{'0' * 15}2"]


def test_all_that_a_span_says_is_among_its_arguments() -> None:
    """Attributes under their names, and identity, status and times beside them."""
    span = otlp_span(
        5,
        "A",
        0,
        100,
        1,
        petsard__output__rows=-7,
        ok=True,
        part=0.5,
        names=("x", "y"),
        deep={"a": 1},
    )

    assert drawn(otlp_span(1, "petsard run", 0, 100), span).arguments[5] == {
        "petsard.run.id": "3f2a1b9c000000000000000000000000",
        "petsard.output.rows": -7,
        "ok": True,
        "part": 0.5,
        "names": ["x", "y"],
        "deep": {"a": 1},
        "trace_id": "0000000000000000000000000000abcd",
        "span_id": "0000000000000005",
        "parent_span_id": "0000000000000001",
        "kind": "internal",
        "status": "unset",
        "start_time": "2026-11-30T00:53:20.123456789+00:00",
        "end_time": "2026-11-30T00:53:20.123456889+00:00",
        "scope": {"name": "petsard_otel", "version": "1.0"},
    }


def test_the_outermost_span_says_what_its_process_said_of_itself() -> None:
    """Once is enough."""
    shown = drawn(*run_spans())

    assert shown.arguments[1]["resource"] == {"service.name": "petsard"}
    assert "resource" not in shown.arguments[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        ((), "[]"),
        ({}, "{}"),
        (None, "null"),
        (b"\x00\xff", "AP8="),
        ("half a pair \ud83d", "half a pair ?"),
    ],
)
def test_what_the_viewer_has_no_value_for_is_text(value: object, text: str) -> None:
    """On an argument that is NULL the viewer's details fail, as tried with NaN."""
    assert drawn(otlp_span(1, "A", 0, 100, odd=value)).arguments[1]["odd"] == text


@pytest.mark.parametrize(
    ("error_type", "name"),
    [
        ("ValueError", "A (failed: ValueError)"),
        ("KeyboardInterrupt", "A (cancelled: KeyboardInterrupt)"),
        ("killed", "A (killed)"),
    ],
)
def test_what_went_wrong_is_seen_at_once(error_type: str, name: str) -> None:
    """The name, which the viewer colours by, says it; so does the category, to search for."""
    span = otlp_span(1, "A", 0, 100, status=ERROR, error__type=error_type)

    shown = drawn(span)
    assert [slice_.name for slice_ in shown.slices] == [name]
    assert shown.categories[1] == ["run", "error"]
    assert shown.arguments[1]["name"] == "A"


def test_a_foreign_failure_is_seen_too() -> None:
    """Others' spans need not say which error it was."""
    shown = drawn(otlp_span(1, "GET", 0, 100, run=None, status=ERROR, message="refused"))

    assert [slice_.name for slice_ in shown.slices] == ["GET (failed)"]
    assert shown.categories[1] == ["foreign", "error"]
    assert shown.arguments[1]["status_message"] == "refused"


def test_what_a_span_is_can_be_searched_for() -> None:
    """Its category says it."""
    shown = drawn(*run_spans())

    assert shown.categories == {
        1: ["run", "error"],
        2: ["module"],
        3: ["schema"],
        4: ["schema"],
        5: ["module"],
        6: ["step"],
        7: ["module", "error"],
    }


def test_the_last_figure_of_memory_is_shown_where_a_run_was_killed() -> None:
    """As an argument of what was open."""
    span = otlp_span(1, "A", 0, 9, error__type="killed", petsard__process__memory=123_456_789_012)

    assert drawn(span).arguments[1]["petsard.process.memory"] == 123_456_789_012


def test_what_has_not_ended_has_no_end() -> None:
    """A run that is under way is drawn to the end of the picture, whatever is in it."""
    shown = drawn(
        otlp_span(1, "petsard run", 0, None),
        otlp_span(2, "A", 10, 20, 1),
        otlp_span(3, "B", 20, None, 1),
    )

    assert [(slice_.depth, slice_.name, slice_.end) for slice_ in shown.slices] == [
        (0, "petsard run", None),
        (1, "A", 20),
        (1, "B", None),
    ]
    assert "end_time" not in shown.arguments[3]


def test_a_moment_at_the_very_end_of_a_span_is_inside_it() -> None:
    """As schema spans of early versions are."""
    shown = drawn(
        otlp_span(1, "petsard run", 0, 100),
        otlp_span(2, "A", 10, 50, 1),
        otlp_span(3, "schema", 50, 50, 2),
        otlp_span(4, "B", 50, 100, 1),
    )

    assert shown.inside == {2: 1, 3: 2, 4: 1}


def test_a_span_that_ends_before_it_begins_is_a_moment() -> None:
    """Another's clock may be set back."""
    shown = drawn(otlp_span(1, "A", 50, 40))

    assert shown.slices == [Slice("1 run 3f2a1b9c", 0, "A", 50, 50)]


def test_the_trace_tells_the_time_of_day() -> None:
    """The trace's own clock and the wall clock are the same."""
    trace = Trace()
    trace.ParseFromString(b"".join(perfetto_trace(run_spans())))

    clocks = {clock.clock_id: clock.timestamp for clock in trace.packet[0].clock_snapshot.clocks}
    assert clocks == {6: NOW, 1: NOW}
    assert trace.packet[0].sequence_flags == 1


def test_foreign_spans_in_a_run_are_on_its_tracks_and_others_in_processes_of_their_own() -> None:
    """What called the run from another service is beside it; what the run called is in it."""
    airflow = {"service.name": "airflow"}
    shown = drawn(
        otlp_span(1, "job", 0, 100, run=None, resource=airflow),
        otlp_span(2, "petsard run", 10, 90, 1, petsard__run__name="adult"),
        otlp_span(3, "Loader[a]", 20, 80, 2),
        otlp_span(4, "GET", 30, 70, 3, run=None),
        otlp_span(5, "before", 0, 5, run=None),
    )

    assert shown.processes == ["airflow", "petsard", "adult"]
    assert shown.span_tracks == {
        1: "1 spans",
        5: "2 spans",
        2: "3 run 3f2a1b9c",
        3: "3 run 3f2a1b9c",
        4: "3 run 3f2a1b9c",
    }


def test_a_service_that_a_run_called_is_a_process_of_its_own() -> None:
    """What happened there is no part of the run's process, and no run."""
    store = {"service.name": "store"}
    shown = drawn(
        otlp_span(1, "petsard run", 0, 90),
        otlp_span(2, "SELECT", 10, 20, 1, run=None, resource=store),
    )

    assert shown.processes == ["petsard run", "store"]
    assert shown.span_tracks == {1: "1 run 3f2a1b9c", 2: "2 spans"}


def test_two_runs_are_two_processes() -> None:
    """Runs of one process are told apart; one without a name is called what it is."""
    shown = drawn(
        otlp_span(1, "petsard run", 0, 50, run="a" * 32, petsard__run__name="first"),
        otlp_span(2, "petsard run", 60, 90, run="b" * 32),
    )

    assert shown.processes == ["first", "petsard run"]
    assert shown.tracks == ["1 run aaaaaaaa", "2 run bbbbbbbb"]


def test_a_span_that_comes_twice_is_drawn_once() -> None:
    """As it ended: a repeated export may hold it as it began, too."""
    shown = drawn(otlp_span(1, "A", 0, None), otlp_span(1, "A", 0, 9), otlp_span(1, "A", 0, None))

    assert [slice_.end for slice_ in shown.slices] == [9]


def test_spans_that_are_each_others_parent_are_drawn() -> None:
    """Damage must not hang the export."""
    shown = drawn(otlp_span(1, "A", 0, 9, 2, run=None), otlp_span(2, "B", 1, 8, 1, run=None))

    assert [slice_.name for slice_ in shown.slices] == ["A", "B"]


def test_no_spans_make_no_trace() -> None:
    """There is nothing to draw."""
    assert list(perfetto_trace([])) == []
