"""Evidence searched for sentinels, with a control that tells whether the search works at all."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from petsard_otel.audit.evidence import LOG_OUTPUT, REPORTS, REPRS
from petsard_otel.audit.payloads import PROTOCOLS, REQUESTS, Piece, taken_apart
from petsard_otel.audit.result import Artefact, Find
from petsard_otel.audit.search import Hit, Searcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from petsard_otel.audit.evidence import Evidence
    from petsard_otel.audit.payloads import Payload
    from petsard_otel.audit.sentinels import Sentinel

LOCAL = frozenset({REPORTS, REPRS})
"""Artefacts that stay in the process, where columns have their names."""

SEPARATOR = b"\n\x1e\n"
"""What stands between parts of an artefact's bytes."""


@dataclass(frozen=True)
class Exhibit:
    """One artefact, ready to be searched.

    Attributes:
        name: Its row's.
        items: How many requests or texts it has.
        raw: Their bytes, exactly as they were.
        pieces: Each text and number at its place.
        joined: Texts that belong together, one behind the other.
        expected: What must be in it.
        lacking: The protocols that it did not come over.
        bytes_place: What its bytes are called where something was found in them alone.
        controls: Further copies of its parts, each with a sentinel in it that must be found.
    """

    name: str
    items: int
    raw: bytes
    pieces: tuple[Piece, ...]
    joined: tuple[Piece, ...]
    expected: tuple[str, ...]
    lacking: tuple[str, ...] = ()
    bytes_place: str = "the bytes of a request, or its headers"
    controls: tuple[Piece, ...] = ()


class Examined(NamedTuple):
    """An artefact's row, what was found in it, and why it proves nothing, where it does not."""

    artefact: Artefact
    finds: tuple[Find, ...]
    problems: tuple[str, ...]


def exhibits(evidence: Evidence, expected: Sequence[str]) -> list[Exhibit]:
    """Sort evidence into artefacts.

    Args:
        evidence: What left.
        expected: Names that traces must hold, and logs and reports the first of.
    """
    payloads = evidence.payloads
    first = tuple(expected[:1])
    found = []
    for name, signal, protocols, names in (
        ("traces over gRPC", "traces", ("grpc",), tuple(expected)),
        ("traces over HTTP", "traces", ("http/protobuf",), tuple(expected)),
        ("metrics", "metrics", PROTOCOLS, ("petsard.module.duration", *first)),
        ("logs", "logs", PROTOCOLS, first),
    ):
        chosen = [p for p in payloads if p.signal == signal and p.protocol in protocols]
        lacking = {*protocols} - {p.protocol for p in chosen}
        found.append(replace(_of_payloads(name, chosen, names), lacking=tuple(sorted(lacking))))
    for name, names in ((REPORTS, first), (LOG_OUTPUT, first), (REPRS, ("Executor", "Status"))):
        texts = [text for text in evidence.texts if text.artefact == name]
        located = tuple(Piece(f"{text.place}, {text.during}", text.text) for text in texts)
        raw = SEPARATOR.join(piece.data for piece in located)
        found.append(Exhibit(name, len(texts), raw, located, (), names))
    return found


def _of_payloads(name: str, payloads: Sequence[Payload], expected: tuple[str, ...]) -> Exhibit:
    raw = SEPARATOR.join(part for p in payloads for part in (p.headers, p.body))
    messages = (message for p in payloads if (message := p.message) is not None)
    pieces, joined = taken_apart(messages)
    return Exhibit(name, len(payloads), raw, tuple(pieces), tuple(joined), expected)


def examine(exhibit: Exhibit, sentinels: Sequence[Sentinel], control: Sentinel) -> Examined:
    """Search an artefact, and a copy of it with a sentinel in it that must be found.

    Args:
        exhibit: What is searched.
        sentinels: What is searched for.
        control: A sentinel of text that was planted nowhere.
    """
    is_local = exhibit.name in LOCAL
    searcher = Searcher(s for s in (*sentinels, control) if not (is_local and s.is_local))
    located, problems = _search(exhibit, searcher, control)
    finds = [
        Find(str(hit.sentinel), exhibit.name, place, hit.encoding, count)
        for (place, hit), count in located.items()
    ]
    finds.sort(key=lambda find: (find.what, find.place))
    found = len({find.what for find in finds})
    row = Artefact(exhibit.name, exhibit.items, len(exhibit.raw), found)
    return Examined(row, tuple(finds), (*_missing(exhibit), *problems))


def _search(
    exhibit: Exhibit, searcher: Searcher, control: Sentinel
) -> tuple[Counter[tuple[str, Hit]], list[str]]:
    """Return what is found with its place: a piece where it is in one, else joined pieces.

    The bytes are searched with the control behind them, which is the one thing that must be found.
    """
    located: Counter[tuple[str, Hit]] = Counter()
    for piece in exhibit.pieces:
        if isinstance(piece.value, int | float):
            sentinel = searcher.of_number(piece.value)
            if sentinel is not None:
                located[piece.place, Hit(sentinel, "a number")] += 1
    raw = {hit.sentinel for hit in searcher.hits(_with_control(exhibit, control))}
    problems = []
    if control not in raw:
        problems.append(f"{exhibit.name}: a sentinel put into a copy of them was not found")
    problems += (
        f"{exhibit.name}: a sentinel put into {piece.place} was not found"
        for piece in exhibit.controls
        if control not in {hit.sentinel for hit in searcher.hits(piece.data)}
    )
    raw.discard(control)
    if raw:
        located += _located(exhibit.pieces, searcher)
    together = SEPARATOR.join(piece.data for piece in exhibit.joined)
    placed = {hit.sentinel for _, hit in located}
    rest = {hit.sentinel for hit in searcher.hits(together)} - placed
    if rest:
        cut = _located(exhibit.joined, searcher)
        located.update({key: count for key, count in cut.items() if key[1].sentinel in rest})
    placed = {hit.sentinel for _, hit in located}
    for sentinel in raw - placed:
        located[exhibit.bytes_place, Hit(sentinel, "bytes")] += 1
    return located, problems


def _located(pieces: Iterable[Piece], searcher: Searcher) -> Counter[tuple[str, Hit]]:
    known: dict[Any, set[Hit]] = {}
    located: Counter[tuple[str, Hit]] = Counter()
    for piece in pieces:
        if isinstance(piece.value, str | bytes):
            if piece.value not in known:
                known[piece.value] = searcher.hits(piece.data)
            for hit in known[piece.value]:
                located[piece.place, hit] += 1
    return located


def _missing(exhibit: Exhibit) -> Iterator[str]:
    """Yield what an artefact lacks that must be in it."""
    if not exhibit.items:
        yield f"{exhibit.name}: there are none, so nothing was searched"
        return
    for protocol in exhibit.lacking:
        yield f"{exhibit.name}: none came over {protocol}"
    for name in exhibit.expected:
        texts = (piece.value for piece in exhibit.pieces if isinstance(piece.value, str))
        if name.encode() not in exhibit.raw and not any(name in text for text in texts):
            yield f"{exhibit.name}: {name!r} is not in them, though it must be"


def _with_control(exhibit: Exhibit, control: Sentinel) -> bytes:
    """Return an artefact's bytes with a sentinel behind them that left in base64."""
    signal, text = exhibit.name.partition(" ")[0], str(control.value)
    leak = _leaky(signal, text) if signal in REQUESTS else base64.b64encode(text.encode())
    return SEPARATOR.join((exhibit.raw, leak))


def _leaky(signal: str, text: str) -> bytes:
    """Make a small request that holds a text in base64."""
    message = REQUESTS[signal]()
    field = message.DESCRIPTOR.fields[0].name
    resource = getattr(message, field).add().resource
    attribute = resource.attributes.add()
    attribute.key = "control"
    attribute.value.string_value = base64.b64encode(text.encode()).decode()
    return bytes(message.SerializeToString())
