"""A run of PETsARD's own Executor, seen by our Status."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import yaml

from petsard_otel.config import EXECUTOR, content_hash
from petsard_otel.petsard.status import PetsardStatus, with_petsards_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from petsard_otel.adapter import Adapter
    from petsard_otel.passing import Passing
    from petsard_otel.settings import Settings


class Description(NamedTuple):
    """What a run's span says of PETsARD's configuration."""

    name: str | None
    source: str | None
    hash: str
    sequence: list[str]
    executor: Mapping[str, Any]
    experiment_count: int

    @classmethod
    def of(cls, given: str, config: Any) -> Description:
        """Describe what PETsARD's Executor was made of.

        Args:
            given: Path of a YAML file, or YAML text.
            config: PETsARD's Config, which it became.
        """
        path = Path(given) if "\n" not in given and os.path.isfile(given) else None  # noqa: PTH113
        text = given if path is None else path.read_text(encoding="utf-8")
        # As PETsARD has read it, or quicker; and without what its Config made of it.
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        section = content.get(EXECUTOR) if isinstance(content, dict) else None
        return cls(
            None if path is None else path.stem,
            None if path is None else str(path.absolute()),
            content_hash(content),
            list(config.sequence),
            section if isinstance(section, dict) else {},
            math.prod(len(experiments) for experiments in config.yaml.values()),
        )


class InstrumentedStatus(PetsardStatus):
    """Stands in for PETsARD's Status in PETsARD's Executor.

    That one does not say where a module execution begins: `begin` does, and `put` ends it.
    """

    providers: ClassVar[dict[str, Any]] = {}
    """What `instrument()` was given to record with."""

    settings: ClassVar[Settings | None] = None
    """What the PETSARD_OTEL_* variables said at `instrument()`; a later mistake fails no script."""

    def __init__(self, config: Any, *limits: int, **given: Any) -> None:
        super().__init__(config, *limits, **{**self.providers, **given})
        self.description = Description(None, None, "", self.sequence, {}, 0)
        self._plan: dict[int, tuple[str, str]] = {}
        self._module: Passing[None] | None = None
        self._subject: tuple[str, str] | None = None

    def _settings(self) -> Settings | None:
        return self.settings

    def describe(self, given: str) -> None:
        """Take note of what the run's configuration was made of."""
        with self.guard:
            self.description = Description.of(given, self.config)

    def plan(self, config: Any) -> list[Any]:
        """Take note of which execution each adapter is for, and return the adapters."""
        adapters = list(config.config.queue)
        subjects = zip(config.module_flow.queue, config.expt_flow.queue, strict=False)
        self._plan = {id(a): subject for a, subject in zip(adapters, subjects, strict=False)}
        return adapters

    def begin(self, adapter: Adapter) -> None:
        """Begin an adapter's execution, if one is planned."""
        subject = self._plan.pop(id(adapter), None)
        if subject is None:
            return
        self.close(None)
        with self.guard:
            module = self.executing(*subject, type(adapter).__name__)
            module.__enter__()
            self._module, self._subject = module, subject

    @with_petsards_names
    def put(self, module: str, experiment: str, adapter: Adapter) -> None:
        """Record an execution; where it is the one that was begun, it ends here."""
        is_begun = self._subject == (module, experiment)
        try:
            super().put(module, experiment, adapter)
        except BaseException as error:
            if is_begun:
                self.close(error)
            raise
        if is_begun:
            self.close(None)

    def close(self, error: BaseException | None) -> None:
        """End the execution that is under way, if one is."""
        module, self._module, self._subject = self._module, None, None
        with self.guard:
            if module is not None:
                kind = None if error is None else type(error)
                module.__exit__(kind, error, None if error is None else error.__traceback__)

    def finish(self) -> None:
        """Forget what was planned; nothing begins any more."""
        self._plan = {}
        self.close(None)
