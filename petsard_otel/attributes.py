"""Every key that this package puts on a span or a metric, and the names around them. A leaf."""

from __future__ import annotations

SCOPE_NAME = "petsard_otel"
"""Name of the instrumentation scope of every span and metric of ours."""

RUN_ID = "petsard.run.id"
"""On every span and log record: which run it belongs to, 32 hexadecimal digits."""

RUN_NAME = "petsard.run.name"
"""On the run span: the stem of the configuration's file, where there is one."""

RUN_RESULT = "petsard.run.result"
"""On the run span: `success`, `error` or `cancelled`."""

CONFIG_HASH = "petsard.config.hash"
"""On the run span: identity of the configuration; its values are never recorded."""

SEQUENCE = "petsard.sequence"
"""On the run span: the modules in their order."""

ENGINE = "petsard.engine"
"""On the run span and on metrics: `builtin` or `petsard`."""

EXPERIMENT_COUNT = "petsard.experiment.count"
"""On the run span: how many experiment paths the configuration has."""

MODULE_NAME = "petsard.module.name"
"""On module and step spans and on metrics: the module, such as `Synthesizer`."""

MODULE_POSITION = "petsard.module.position"
"""On module spans: the module's place in the sequence, from 0; -1 where it is not in it."""

EXPERIMENT_NAME = "petsard.experiment.name"
"""On module and step spans and on metrics: the experiment."""

EXPERIMENT_PATH = "petsard.experiment.path"
"""On module and step spans: modules and experiments up to this one, `Loader[a]_Splitter[b]`."""

OPERATOR_TYPE = "petsard.operator.type"
"""On module spans: the class that did the work."""

SNAPSHOT_ID = "petsard.snapshot.id"
"""On module spans: the id of the execution's snapshot."""

SCHEMA_INPUT_ID = "petsard.schema.input.id"
"""On module spans: the id of the schema that the module received."""

SCHEMA_INPUT_HASH = "petsard.schema.input.hash"
"""On module spans: the identity of the structure that the module received."""

SCHEMA_OUTPUT_ID = "petsard.schema.output.id"
"""On module spans: the id of the schema that the module produced."""

SCHEMA_OUTPUT_HASH = "petsard.schema.output.hash"
"""On module spans: the identity of the structure that the module produced."""

SCHEMA_OUTPUT_FIELD_COUNT = "petsard.schema.output.field_count"
"""On module spans: how many columns the schema that the module produced has."""

SCHEMA_OUTPUT_JSON = "petsard.schema.output.json"
"""On module spans: the structure produced, as canonical JSON, where it fits the size budget."""

SCHEMA_ADDED = "petsard.schema.added"
"""On module spans: names of columns that the output has and the input lacks."""

SCHEMA_ADDED_COUNT = "petsard.schema.added.count"
"""On module spans: how many columns were added; the names may be cut at the size budget."""

SCHEMA_REMOVED = "petsard.schema.removed"
"""On module spans: names of columns that the input has and the output lacks."""

SCHEMA_REMOVED_COUNT = "petsard.schema.removed.count"
"""On module spans: how many columns were removed."""

SCHEMA_RETYPED = "petsard.schema.retyped"
"""On module spans: columns whose type changed, as `name: before -> after`."""

SCHEMA_RETYPED_COUNT = "petsard.schema.retyped.count"
"""On module spans: how many columns changed their type."""

SCHEMA_INFERRED_HASH = "petsard.schema.inferred.hash"
"""On module spans: the structure predicted before the module ran, where it can be predicted."""

SCHEMA_INFERRED_MATCHES = "petsard.schema.inferred.matches"
"""On module spans: whether the prediction came true."""

OUTPUT_ROWS = "petsard.output.rows"
"""On module spans: rows of the result, where it is a table."""

OUTPUT_COLUMNS = "petsard.output.columns"
"""On module spans: columns of the result, where it is a table."""

OUTPUT_STATISTICS = "petsard.output.statistics"
"""On module spans, only where PETSARD_OTEL_CAPTURE=statistics: numeric columns, one JSON each."""

OUTPUT_STATISTICS_COUNT = "petsard.output.statistics.count"
"""On module spans, with the statistics: how many numeric columns there are; the list may be cut."""

PROCESS_MEMORY = "petsard.process.memory"
"""On spans of a killed run that never ended: the process's last known resident memory, in bytes."""

STEP_NAME = "petsard.step.name"
"""On step spans: the step, such as `fit`."""

STEP_SOURCE = "petsard.step.source"
"""On step spans: `step` for one inside a module, `user` for one that the user timed."""

STEP_CONTEXT_PREFIX = "petsard.step.context."
"""On step spans: prefix of the numbers and booleans that the user gave with a timing."""

SCHEMA_HASH = "petsard.schema.hash"
"""On schema spans: identity of the structure."""

SCHEMA_PART = "petsard.schema.part"
"""On schema spans: which part of the structure's JSON this is, from 1."""

SCHEMA_PARTS = "petsard.schema.parts"
"""On schema spans: how many parts there are."""

SCHEMA_JSON = "petsard.schema.json"
"""On schema spans: this part of the structure's canonical JSON."""

ERROR_TYPE = "error.type"
"""On any span and on metrics: the class of the exception that ended it."""

EXCEPTION_MESSAGE = "exception.message"
"""On any span, only where PETSARD_OTEL_CAPTURE_EXCEPTION_MESSAGES=true: what the exception says."""

CODE_FUNCTION_NAME = "code.function.name"
"""On log records: the function that made it, without its file."""

CODE_LINE_NUMBER = "code.line.number"
"""On log records: the line that made it."""

METRIC_MODULE_DURATION = "petsard.module.duration"
"""Histogram, seconds: how long module executions took."""

METRIC_RUN_DURATION = "petsard.run.duration"
"""Histogram, seconds: how long runs took."""

METRIC_MODULE_ROWS = "petsard.module.rows"
"""Histogram, rows: the size of the tables that modules produced."""

METRIC_RUN_ACTIVE = "petsard.run.active"
"""Up-down counter, runs: how many are under way."""

METRIC_SCHEMA_CHANGES = "petsard.schema.changes"
"""Counter, changes: how often a module's output had another schema than its input."""
