"""The runs of an audit: the pipeline itself once, then replays of it under every exporter."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opentelemetry import context as context_api
from opentelemetry.context import Context

from petsard_otel.audit.evidence import REPRS, Evidence, captured_logs
from petsard_otel.audit.kept import KeptRun, KeptRuns
from petsard_otel.audit.payloads import PROTOCOLS
from petsard_otel.audit.pipeline import PlantedExecutor, Recording
from petsard_otel.audit.planting import CATEGORIES, EVERY_TEXT, NOTHING, SOME_CELLS, Planter
from petsard_otel.audit.quoting import PLANTED_ERRORS
from petsard_otel.audit.receivers import receiver
from petsard_otel.audit.replay import WAYS_TO_FAIL, ReplayExecutor, Scene, Stage, secret_content
from petsard_otel.config import EXECUTOR
from petsard_otel.exceptions import ConfigError
from petsard_otel.settings import HISTORY
from petsard_otel.telemetry.setup import configure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from petsard_otel.audit.pipeline import AdapterFactory
    from petsard_otel.audit.sentinels import Mint
    from petsard_otel.audit.workspace import Workspace
    from petsard_otel.executor import Progress

SHUTDOWN_SECONDS = 30
"""How long is waited for what is still to be sent."""

KEPT_VARIABLES = ("OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_COMPRESSION")
"""What stays in force of the OTEL_* variables: the others say where to send, or how much."""

MISTYPED_KEY = "pasword"
"""A parameter that no module has."""

THE_RUN = "the run itself"


class Passes:
    """Everything that is run in one audit.

    Attributes:
        evidence: What left meanwhile, or could have.
        kept: What was kept on disk.
        recording: What the pipeline's modules did.
        failure: What the pipeline failed with on its own data, and in which module.
        planted: What could be planted into the tables that are read.
        brittle: Where the pipeline failed on what could not.
        problems: Why the audit proves nothing, where it does not.
        count: How many runs there were.
    """

    def __init__(
        self,
        space: Workspace,
        adapters: Mapping[str, AdapterFactory],
        mint: Mint,
        tell: Callable[[str], None],
    ) -> None:
        self.evidence = Evidence()
        self.kept = KeptRuns(space.private)
        self.recording = Recording()
        self.planter = Planter(mint)
        self.failure: tuple[str, BaseException] | None = None
        self.planted = EVERY_TEXT
        self.brittle = ""
        self.problems: list[str] = []
        self.count = 0
        self._space = space
        self._adapters = adapters
        self._mint = mint
        self._tell = tell
        self._protocol = ""

    def run(self) -> None:
        """Run them all. Telemetry that `configure()` set up before is replaced."""
        with _quiet_environment(self._mint), _no_context(), captured_logs(self.evidence):
            # What was set up before sends the rest, and may note that in a history of its own.
            configure().shutdown()
            with self.kept.in_force():
                with self._exporting("http/protobuf", THE_RUN):
                    self._run_pipeline()
                self._replay_everything(Stage(self._mint, self.recording))
            self._mistype_keys()

    def _replay_everything(self, stage: Stage) -> None:
        for protocol in PROTOCOLS:
            for field_names in (None, "hashed"):
                name = f"a replay over {protocol}" + (", names hashed" if field_names else "")
                with self._exporting(protocol, name, field_names):
                    self._replay_all(stage, is_renamed=field_names is not None)

    def _run_pipeline(self) -> None:
        """Run the pipeline with all that can be planted; with less where it fails of that."""
        before = len(self._mint.sentinels)
        for what in (EVERY_TEXT, SOME_CELLS, CATEGORIES, NOTHING):
            self.planted = what
            executor = PlantedExecutor(
                self._space.config, self._adapters, self.planter, self.recording, what
            )
            run = KeptRun(executor.status.run_id, THE_RUN)
            executor.meanwhile = self._copying(executor.sequence[-1], run)
            self.failure = self._failure_of(executor)
            self.kept.took(run)
            self.recording.take_steps(executor.status)
            self.evidence.take_run(executor)
            if self.failure is None or len(self._mint.sentinels) == before:
                return
            self.brittle = f"{self.failure[0]}: {type(self.failure[1]).__name__}"

    def _failure_of(self, executor: PlantedExecutor) -> tuple[str, BaseException] | None:
        """Run the pipeline; return what a module raised, if any, and where that was."""
        running: str | None = None

        def take(progress: Progress) -> None:
            nonlocal running
            if progress.module is not None:
                running = f"{progress.module}[{progress.experiment}]"
                self._tell(f"running {running} ({progress.number} of {progress.total})")

        self.count += 1
        try:
            executor.run(take)
        except BaseException as error:
            if running is None or not isinstance(error, Exception):
                # No module's doing: a mistake of ours, or somebody who wants to stop.
                raise
            return running, error
        return None

    def _replay_all(self, stage: Stage, *, is_renamed: bool) -> None:
        whole = secret_content(self._space.content, self._mint, narrow=False)
        narrow = secret_content(self._space.content, self._mint, narrow=True)
        self._replay(whole, stage, Scene(renamed=is_renamed))
        self._replay(narrow, stage, Scene(renamed=is_renamed, every_type=True))
        for module in narrow:
            for way in WAYS_TO_FAIL:
                scene = Scene(renamed=is_renamed, failing=module, way=way)
                self._replay(narrow, stage, scene)

    def _replay(self, content: dict[str, Any], stage: Stage, scene: Scene) -> None:
        self._tell(f"{self.evidence.during}: {scene}")
        self.count += 1
        executor = ReplayExecutor(content, stage, scene)
        run = KeptRun(executor.status.run_id, self.evidence.during, scene)
        if scene.is_uneventful and self._protocol == PROTOCOLS[0]:
            stage.meanwhile = self._copying(executor.sequence[-1], run)
        has_failed = False
        try:
            executor.run()
        except PLANTED_ERRORS:
            has_failed = True
        stage.meanwhile = _nothing
        self.kept.took(run)
        if has_failed != (scene.failing is not None):
            self.problems.append(f"{self.evidence.during}: {scene} did not go as planned")
        # What is local is the same whatever the protocol.
        if self._protocol == PROTOCOLS[0]:
            self.evidence.take_run(executor)

    @contextmanager
    def _exporting(
        self, protocol: str, name: str, field_names: str | None = None
    ) -> Iterator[None]:
        """Send traces, metrics and logs to a receiver that keeps them while the block runs."""
        self.evidence.during, self._protocol = name, protocol
        with receiver(protocol, self.evidence.take_payload) as endpoint:
            configuration = configure(
                endpoint,
                protocol=protocol,
                sample_ratio=1.0,
                field_names=field_names,
                logs=True,
                history=self.kept.path,
            )
            try:
                yield
            finally:
                configuration.shutdown(timeout_seconds=SHUTDOWN_SECONDS)
        delivery = configuration.delivery
        if delivery is None or delivery.delivered < delivery.sampled:
            self.problems.append(f"{name}: not every span reached the receiver")

    def _copying(self, module: str, run: KeptRun) -> Callable[[str], None]:
        """Return what copies the history the first time that this module is at work."""
        is_copied = False

        def copy(name: str) -> None:
            nonlocal is_copied
            if name == module and not is_copied:
                is_copied = True
                self.kept.copy(run)

        return copy

    def _mistype_keys(self) -> None:
        """Take what a ConfigError says of a key that is unknown, beside a secret."""
        self.evidence.during = "a mistyped key"
        for module, experiments in self._space.content.items():
            if module in {EXECUTOR, *self._adapters}:
                continue
            for experiment, parameters in experiments.items():
                secret = self._mint.said("secret", f"the configuration, {module}.{MISTYPED_KEY}")
                mistyped = {**parameters, MISTYPED_KEY: secret}
                config = {**self._space.content, module: {**experiments, experiment: mistyped}}
                try:
                    PlantedExecutor(config, self._adapters)
                except ConfigError as error:
                    self.evidence.take_text(REPRS, "a ConfigError", f"{error!r}\n{error}")
                break


@contextmanager
def _no_context() -> Iterator[None]:
    """Leave the span that is current, if any: it could keep ours from being sampled."""
    token = context_api.attach(Context())
    try:
        yield
    finally:
        context_api.detach(token)


@contextmanager
def _quiet_environment(mint: Mint) -> Iterator[None]:
    """Have nothing but the audit say where telemetry goes; let baggage carry a sentinel."""
    is_ours = ("OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")
    former = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(is_ours) and name not in KEPT_VARIABLES
    } | {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy", HISTORY)}
    changed = dict.fromkeys((*former, "BAGGAGE")) | {
        "BAGGAGE": f"cell={quote(mint.said('baggage', 'the environment'))}",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "no_grpc_proxy": "127.0.0.1",
    }
    _set_variables(changed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _set_variables({"BAGGAGE": None, **former})


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _nothing(_: str) -> None:
    """Do nothing."""
