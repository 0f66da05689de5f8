"""A run of PETsARD's modules out of its trace: all that is observed, with schemas of ours."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from petsard_otel import Executor, Schema, Status

from ..conftest import Recorded
from ..observed import answers

PIPELINE: dict[str, dict[str, dict[str, Any]]] = {
    "Loader": {"people": {"filepath": "people.csv"}},
    "Splitter": {"s": {"num_samples": 2, "train_split_ratio": 0.75}},
    "Preprocessor": {"default": {"method": "default"}},
    "Synthesizer": {"copula": {"method": "default"}},
    "Postprocessor": {"default": {"method": "default"}},
    "Constrainer": {"checked": {"method": "validate", "target_rows": 3}},
}


def is_same(answer: Any, expected: Any) -> bool:
    """Compare two answers; of errors, PETsARD's classes derive from ours."""
    match answer, expected:
        case (type() as kind, text), (type() as petsards, petsards_text):
            return issubclass(petsards, kind) and text == petsards_text
    return bool(answer == expected)


@pytest.mark.usefixtures("people")
def test_a_run_of_petsards_modules_answers_as_it_did() -> None:
    """Where the live Status gives PETsARD's schemas and its classes of errors, this gives ours."""
    recorded = Recorded()
    executor = Executor(PIPELINE, engine="petsard", tracer_provider=recorded.provider)
    executor.run()
    live = executor.status

    found = Status.from_otlp(encode_spans(recorded.exported).SerializeToString())

    theirs, expected = answers(found), answers(live)
    assert len(live.get_snapshots()) == 11
    described = ("Loader", "Splitter", "Preprocessor")
    differing = {name for name in expected if not is_same(theirs[name], expected[name])}
    assert differing == {f"schema of {module}" for module in described}
    for module in described:
        (lineage,) = live.get_schema_lineage(module)
        assert found.get_metadata(module) == lineage.schema
    assert isinstance(found.get_metadata(), Schema)
