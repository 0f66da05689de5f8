"""What is held around a run of PETsARD's modules, so that what is inside them is recorded."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from petsard_otel.logs import overheard
from petsard_otel.passing import passing
from petsard_otel.petsard.convention import is_own
from petsard_otel.petsard.steps import stepped
from petsard_otel.petsard.timing_lines import TimingLines

if TYPE_CHECKING:
    from collections.abc import Generator

    from petsard_otel.petsard.status import PetsardStatus


def logs_timing(adapter: Any) -> bool:
    """Tell whether code that is not PETsARD's may log its timing: PETsARD's own has spans."""
    parameters = getattr(adapter, "config", None)
    method = parameters.get("method") if isinstance(parameters, dict) else None
    return not is_own(adapter) or method == "custom_method"


@passing
def observed(status: PetsardStatus, *, listens: bool) -> Generator[None]:
    """Have steps recorded while the block runs, by PETsARD's calls and by its log lines.

    Args:
        status: Whose run it is.
        listens: Whether there are log lines to listen for.
    """
    lines = None
    with ExitStack() as stack:
        with status.guard:
            stack.enter_context(stepped())
            if listens:
                adapter_file = str(sys.modules["petsard.adapter"].__file__)
                lines = TimingLines(status.run_id, adapter_file, status.guard)
                stack.enter_context(overheard(lines))
        try:
            yield
        except BaseException as error:
            with status.guard:
                if lines is not None:
                    lines.fail(error)
            raise
