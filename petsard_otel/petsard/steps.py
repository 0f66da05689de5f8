"""The calls inside PETsARD's modules that are steps, and their spans while a run is under way."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from petsard_otel.passing import passing
from petsard_otel.petsard.patches import Patches, WrappedFunction, provider_of
from petsard_otel.telemetry.guard import Guard
from petsard_otel.telemetry.spans import step_span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from petsard_otel.petsard.patches import Wrapper

STEPS = {
    "petsard.loader.loader:Loader": ("load",),
    "petsard.loader.splitter:Splitter": ("split",),
    "petsard.processor.base:Processor": ("fit", "transform", "inverse_transform"),
    "petsard.synthesizer.synthesizer:Synthesizer": ("create", "fit", "sample", "fit_sample"),
    "petsard.constrainer.constrainer:Constrainer": ("resample_until_satisfy", "validate"),
    "petsard.evaluator.evaluator:Evaluator": ("create", "eval"),
    "petsard.evaluator.describer:Describer": ("create", "eval"),
    "petsard.reporter.reporter_save_data:ReporterSaveData": ("create", "report"),
    "petsard.reporter.reporter_save_report:ReporterSaveReport": ("create", "report"),
    "petsard.reporter.reporter_save_schema:ReporterSaveSchema": ("create", "report"),
    "petsard.reporter.reporter_save_timing:ReporterSaveTiming": ("create", "report"),
    "petsard.reporter.reporter_save_validation:ReporterSaveValidation": ("create", "report"),
}
"""Classes that PETsARD's adapters import, and their methods; what there is not is left out."""


class StepPatches:
    """PETsARD's steps, wrapped while at least one holder wants them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._patches = Patches()

    def hold(self) -> None:
        """Wrap the steps, unless they are."""
        with self._lock:
            if self._holders == 0:
                try:
                    self._wrap()
                except BaseException:
                    self._patches.undo()
                    raise
            self._holders += 1

    def release(self) -> None:
        """Give the steps back where nobody else wants them."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._patches.undo()

    def _wrap(self) -> None:
        for place, names in STEPS.items():
            module, _, cls = place.partition(":")
            owner = getattr(sys.modules.get(module), cls, None)
            for name in names:
                if isinstance(owner, type) and hasattr(owner, name):
                    self._patches.wrap(owner, name, _as_step(owner, name))

    def renew_lock(self) -> None:
        """Free the child of a fork from a lock that a thread of its parent held."""
        self._lock = threading.Lock()


steps = StepPatches()
"""The process's own: there is one PETsARD."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=steps.renew_lock)


@passing
def stepped() -> Generator[None]:
    """Have PETsARD's steps recorded while the block runs; outside a module they are not."""
    guard = Guard()
    is_held = False
    with guard:
        steps.hold()
        is_held = True
    try:
        yield
    finally:
        with guard:
            if is_held:
                steps.release()


def _as_step(owner: type, name: str) -> Wrapper:
    def call(
        wrapped: Callable[..., Any],
        instance: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        provider = provider_of(name, type(instance))
        if provider not in {owner, None} and type(vars(provider)[name]) is WrappedFunction:
            # A class that is derived from this one calls on what it overrides: one step, not two.
            return wrapped(*args, **kwargs)
        with step_span(name):
            return wrapped(*args, **kwargs)

    return call
