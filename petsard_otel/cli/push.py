"""`petsard-otel push`: what no collector has accepted yet, sent now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from petsard_otel.cli.consoles import console_on
from petsard_otel.cli.exit_codes import BAD_USAGE, FAILED, SUCCESS
from petsard_otel.cli.notices import Notices
from petsard_otel.exceptions import ConfigError, HistoryError

if TYPE_CHECKING:
    from argparse import Namespace

    from petsard_otel.cli.interrupts import Interrupts
    from petsard_otel.history.reading import History
    from petsard_otel.history.unsent import Unsent
    from petsard_otel.records import RunSummary
    from petsard_otel.telemetry.sending.delivery import Delivery
    from petsard_otel.telemetry.sending.targets import Target


def push(options: Namespace, interrupts: Interrupts) -> int:
    """Send, say what arrived, and return the exit code."""
    notices = Notices(console_on(sys.stderr))
    with notices.installed():
        try:
            return _push(options, notices, interrupts)
        except (ConfigError, HistoryError) as error:
            notices.error(str(error))
            return BAD_USAGE


def _push(options: Namespace, notices: Notices, interrupts: Interrupts) -> int:
    from petsard_otel.telemetry.sending.environment import check_sdk_variables

    check_sdk_variables()
    from petsard_otel.history.reading import open_history
    from petsard_otel.history.unsent import Acceptances, request_of, runs_with_unsent
    from petsard_otel.telemetry.sending.delivery import Delivery
    from petsard_otel.telemetry.sending.report import Report
    from petsard_otel.telemetry.sending.trace_url import trace_url_template

    target = _target(options)
    url_template = trace_url_template()
    report = Report()
    report.claim()
    with open_history(options.history) as history:
        if options.run:
            runs, under_way = [history.find(name) for name in options.run], 0
        else:
            found = runs_with_unsent(history)
            # Those that are under way send for themselves.
            runs = [run for run in found if run.ended_ns is not None]
            under_way = len(found) - len(runs)
        acceptances = Acceptances(history.path)
        delivery: Delivery[Unsent] = Delivery(target, request_of, report, acceptances.note)
        try:
            sent = _send(history, runs, delivery, interrupts, is_named=bool(options.run))
        finally:
            delivery.stop()
            acceptances.close()
    if not delivery.sampled:
        what = "every span of it is there" if options.run else "no run has a span to send"
        if under_way:
            what = f"no run that is over has a span to send, and {under_way} under way may still"
        notices.info(f"nothing to send to {delivery.endpoint}: {what}")
        return SUCCESS
    lack = report.sentence(aside="what is lacking can be pushed again")
    if lack is not None:
        notices.warning(lack)
        return FAILED
    spans = "1 span" if delivery.delivered == 1 else f"{delivery.delivered} spans"
    of = "1 run" if len(sent) == 1 else f"{len(sent)} runs"
    notices.info(f"{spans} of {of} sent to {delivery.endpoint}")
    _say_where(sent, delivery.endpoint, url_template, notices)
    return SUCCESS


def _target(options: Namespace) -> Target:
    from petsard_otel.telemetry.sending.targets import route_of

    target = route_of("traces", options.endpoint, options.protocol).target
    if target is None:
        raise ConfigError(
            "there is nowhere to send to: add --endpoint URL, such as "
            "http://localhost:4317, or set OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    return target


def _send(
    history: History,
    runs: list[RunSummary],
    delivery: Delivery[Unsent],
    interrupts: Interrupts,
    *,
    is_named: bool,
) -> list[RunSummary]:
    """Send run by run, and return those of which something was sent; stop where it is no use."""
    from petsard_otel.history.unsent import in_requests, unsent
    from petsard_otel.telemetry.sending.problems import Remedy

    sent = []
    has_stopped = False
    for run in runs:
        interrupts.check()
        spans = unsent(history, run, delivery.endpoint if is_named else None)
        delivery.expect(len(spans))
        before = delivery.delivered
        for part in in_requests(spans):
            if has_stopped:
                break
            if not delivery.send(part) and delivery.problem is not None:
                # What is refused by itself, such as spans that are too old, keeps no other back.
                has_stopped = delivery.problem.remedy not in {Remedy.SPLIT, Remedy.SKIP}
        if delivery.delivered > before:
            sent.append(run)
    return sent


def _say_where(
    runs: list[RunSummary], endpoint: str, url_template: str | None, notices: Notices
) -> None:
    from petsard_otel.telemetry.sending.trace_url import trace_url

    if len(runs) != 1 or runs[0].trace_id is None:
        return
    url = trace_url(runs[0].trace_id, endpoint, url_template)
    if url is not None:
        notices.info(url)
