"""PETsARD observed without a change to the scripts that use it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from petsard_otel.petsard.package import _instruments
from petsard_otel.petsard.patches import Patches, provider_of
from petsard_otel.settings import Settings
from petsard_otel.telemetry.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

EXECUTOR_MODULE = "petsard.executor"
"""The module of PETsARD's that, once imported, has imported all that is wrapped."""

_logger = logging.getLogger(__name__)


class PETsARDInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Has every run of PETsARD's Executor recorded, and `executor.status` be our Status.

    `instrument(tracer_provider=None, meter_provider=None)` imports nothing of PETsARD; it works
    before and after PETsARD is imported, for every Executor that is made from then on.
    `uninstrument()` gives PETsARD's functions back as they were. There is one for the process.
    """

    _patches = Patches()
    _is_active = False
    _is_waiting = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return which PETsARD this works with."""
        return _instruments

    def _instrument(self, **kwargs: Any) -> None:
        try:
            settings = Settings.from_environment()
        except ValueError as error:
            # The host is not to fail for it, and nothing is sent that was not meant to be.
            _logger.error("PETsARD is not instrumented: %s", error)  # noqa: TRY400
            return
        from petsard_otel.petsard.instrumented import InstrumentedStatus

        InstrumentedStatus.providers = {
            name: kwargs.get(name) for name in ("tracer_provider", "meter_provider")
        }
        InstrumentedStatus.settings = settings
        self._is_active = True
        if EXECUTOR_MODULE in sys.modules:
            self._patch(sys.modules[EXECUTOR_MODULE])
        elif not self._is_waiting:
            self._is_waiting = True
            wrapt.register_post_import_hook(self._patch, EXECUTOR_MODULE)

    def _uninstrument(self, **kwargs: Any) -> None:
        from petsard_otel.petsard.instrumented import InstrumentedStatus

        self._is_active = False
        self._patches.undo()
        InstrumentedStatus.providers = {}

    def _patch(self, module: ModuleType) -> None:
        """Wrap what PETsARD's Executor does, if that is still wanted."""
        if not self._is_active:
            return
        from petsard_otel.petsard.host_logging import keep_handlers
        from petsard_otel.petsard.instrumented import InstrumentedStatus

        # Called while the host imports PETsARD, which may be another than we know.
        is_whole = False
        with Guard():
            executor = module.Executor
            self._patches.wrap(executor, "__init__", _init)
            self._patches.wrap(executor, "_setup_logger", keep_handlers)
            self._patches.wrap(executor, "run", self._run)
            self._patches.replace(module, "Status", InstrumentedStatus)
            self._patches.replace(sys.modules["petsard.status"], "Status", InstrumentedStatus)
            is_whole = True
        if not is_whole:
            self._patches.undo()

    def _run(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Stand around `Executor.run`."""
        from petsard_otel.petsard.instrumented import InstrumentedStatus
        from petsard_otel.petsard.observing import logs_timing, observed

        status = getattr(instance, "status", None)
        if not isinstance(status, InstrumentedStatus):
            _logger.warning(
                "this Executor was made before PETsARD was instrumented; its run is not recorded"
            )
            return wrapped(*args, **kwargs)
        if instance.config.config.empty():
            # It has run: PETsARD's Executor runs once.
            return wrapped(*args, **kwargs)
        listens = False
        adapters: list[Any] = []
        with status.guard:
            adapters = status.plan(instance.config)
            listens = any(map(logs_timing, adapters))
        for adapter in adapters:
            with status.guard:
                owner = provider_of("set_input", type(adapter))
                if owner is not None and self._is_active:
                    self._patches.wrap(owner, "set_input", _set_input)
        with (
            observed(status, listens=listens),
            status.running(status.description, "petsard"),
        ):
            try:
                return wrapped(*args, **kwargs)
            except BaseException as error:
                status.close(error)
                raise
            finally:
                status.finish()


def _init(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Stand around `Executor.__init__`, which does not keep what it is given."""
    from petsard_otel.petsard.instrumented import InstrumentedStatus

    made = wrapped(*args, **kwargs)
    status = getattr(instance, "status", None)
    if isinstance(status, InstrumentedStatus):
        status.describe(kwargs["config"] if "config" in kwargs else args[0])
    return made


def _set_input(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Stand around an adapter's `set_input`, with which its execution begins."""
    from petsard_otel.petsard.instrumented import InstrumentedStatus

    status = kwargs["status"] if "status" in kwargs else next(iter(args), None)
    if isinstance(status, InstrumentedStatus):
        status.begin(instance)
    return wrapped(*args, **kwargs)
