"""The Splitter, through its adapter and through a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petsard_otel import Executor, Schema
from petsard_otel.exceptions import ConfigError, DataError, UnexecutedError
from petsard_otel.modules.splitter import SplitterAdapter

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"

TABLE = pd.DataFrame({"n": range(10), "text": list("abcdefghij")}, index=range(100, 110))
SCHEMA = Schema.from_dataframe(TABLE, "table")


class LoadedTable:
    """What a Splitter asks of a Status."""

    def __init__(self, data: pd.DataFrame, earlier: list[set[int]] | None = None) -> None:
        self.data = data
        self.earlier = earlier or []

    def get_result(self, module: str) -> pd.DataFrame:
        """Return the table."""
        assert module == "Loader"
        return self.data

    def get_metadata(self, module: str) -> Schema:
        """Return its schema."""
        assert module == "Loader"
        return SCHEMA

    def get_exist_train_indices(self) -> list[set[int]]:
        """Return the training rows of the splits before."""
        return self.earlier


def split(
    data: pd.DataFrame = TABLE, earlier: list[set[int]] | None = None, **parameters: Any
) -> SplitterAdapter:
    """Split a table after the splits of the same run before it."""
    adapter = SplitterAdapter("s_[1-1]", parameters)
    status: Any = LoadedTable(data, earlier)
    adapter.run(adapter.set_input(status))
    return adapter


def splits(count: int, **parameters: Any) -> list[set[int]]:
    """Return the training rows of several splits of one run."""
    earlier: list[set[int]] = []
    for _ in range(count):
        earlier += split(earlier=earlier, **parameters).get_train_indices()
    return earlier


def test_a_run_splits_the_cars_into_different_halves() -> None:
    """From the Executor on, each of `num_samples` is an experiment with a split of its own."""
    config = {
        "Loader": {"cars": {"filepath": str(CARS)}},
        "Splitter": {"s": {"num_samples": 3, "train_split_ratio": 0.5, "random_state": 1}},
    }
    executor = Executor(config)
    executor.run()
    results = executor.get_result()
    assert list(results) == [f"Loader[cars]_Splitter[s_[3-{n}]]" for n in (1, 2, 3)]
    assert [(len(each["train"]), len(each["validation"])) for each in results.values()] == [
        (203, 203)
    ] * 3
    drawn = [frozenset(rows) for rows in executor.status.get_exist_train_indices()]
    assert len(set(drawn)) == 3
    assert executor.status.get_metadata("Splitter") is executor.status.get_metadata("Loader")
    again = Executor(config)
    again.run()
    assert [frozenset(rows) for rows in again.status.get_exist_train_indices()] == drawn


def test_both_parts_hold_every_row_once_in_its_order() -> None:
    """A split loses, repeats and reorders no row, and leaves the Loader's table as it was."""
    before = TABLE.copy()
    adapter = split(train_split_ratio=0.7)
    result = adapter.get_result()
    train, validation = result["train"], result["validation"]
    assert list(result) == ["train", "validation"]
    assert (len(train), len(validation)) == (7, 3)
    assert train["n"].is_monotonic_increasing
    assert validation["n"].is_monotonic_increasing
    assert sorted([*train["n"], *validation["n"]]) == list(range(10))
    assert train.index.tolist() == list(range(7))
    assert validation.index.tolist() == list(range(3))
    assert (train["text"] == train["n"].map(lambda n: "abcdefghij"[n])).all()
    assert adapter.get_train_indices() == [set(train["n"])]
    pd.testing.assert_frame_equal(TABLE, before)


def test_the_schema_is_the_very_object_that_the_loader_gave() -> None:
    """Parting rows leaves the structure, so nothing is computed and nothing copied."""
    adapter = split()
    assert adapter.get_metadata() is SCHEMA
    assert adapter.get_metadata() is SCHEMA


@pytest.mark.parametrize("random_state", [0, 42, -1, 0.5, "exp_v1"])
def test_a_seed_repeats_the_split(random_state: Any) -> None:
    """The same seed gives the same rows, whether it is a number or a text."""
    first = splits(3, random_state=random_state, train_split_ratio=0.5)
    assert splits(3, random_state=random_state, train_split_ratio=0.5) == first
    assert len({frozenset(rows) for rows in first}) == 3


def test_a_seed_gives_these_rows() -> None:
    """A seed gives the same rows everywhere; who changes them changes every user's splits."""
    assert splits(2, random_state=42, train_split_ratio=0.3) == [{2, 5, 8}, {2, 4, 8}]


def test_seeds_differ_and_no_seed_differs_each_time() -> None:
    """Another seed draws other rows; without one no two runs are alike."""
    wide = pd.DataFrame({"n": range(1000)})
    drawn = [
        frozenset(split(wide, train_split_ratio=0.5, random_state=seed).get_train_indices()[0])
        for seed in (1, 2, "1", None, None)
    ]
    assert len(set(drawn)) == 5


def test_more_splits_than_attempts_are_no_problem() -> None:
    """With a fixed seed every split is a draw of its own, and uses up no attempt of the next."""
    drawn = splits(40, random_state=1, train_split_ratio=0.5, max_attempts=3)
    assert len({frozenset(rows) for rows in drawn}) == 40


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    ratio=st.sampled_from([0.1, 0.3, 0.5]),
    overlap=st.sampled_from([0.5, 0.7, 1.0]),
)
def test_no_split_shares_more_than_is_allowed(seed: int, ratio: float, overlap: float) -> None:
    """Whatever is drawn, two training sets differ and share at most the ratio allowed."""
    drawn = splits(
        3,
        random_state=seed,
        train_split_ratio=ratio,
        max_overlap_ratio=overlap,
        max_attempts=1000,
    )
    for position, rows in enumerate(drawn):
        for other in drawn[:position]:
            assert rows != other
            assert len(rows & other) / len(rows) <= overlap


def test_what_cannot_be_drawn_says_what_to_change() -> None:
    """Two sets of 8 of 10 rows share 6 at least, and no number of attempts changes that."""
    with pytest.raises(DataError) as caught:
        splits(2, max_overlap_ratio=0.5, max_attempts=10**9)
    assert "found no 8 of 10 rows to train on" in str(caught.value)
    assert "at most 50% with each of 1 earlier" in str(caught.value)
    assert "at least 75% are always shared" in str(caught.value)
    with pytest.raises(DataError, match="at least 100% are always shared"):
        splits(2, train_split_ratio=1.0)


def test_training_sets_of_another_table_do_no_harm() -> None:
    """Row numbers beyond this table share nothing with it."""
    rows = split(
        earlier=[{100, 101}], train_split_ratio=0.5, max_overlap_ratio=0.0, max_attempts=1
    ).get_train_indices()[0]
    assert len(rows) == 5


def test_every_row_can_be_for_training() -> None:
    """A ratio of 1 leaves an empty validation table with its columns."""
    result = split(train_split_ratio=1).get_result()
    assert len(result["train"]) == 10
    assert (len(result["validation"]), list(result["validation"])) == (0, ["n", "text"])


@pytest.mark.parametrize("ratio", [0, 0.04])
def test_no_row_for_training_is_an_error(ratio: float) -> None:
    """There is nothing to learn from no rows."""
    with pytest.raises(DataError, match="leaves none of 10 rows for training; raise it"):
        split(train_split_ratio=ratio)


def test_asking_before_the_run_is_an_error() -> None:
    """What is not there yet is not an empty table."""
    adapter = SplitterAdapter("s", {})
    for ask in (adapter.get_result, adapter.get_metadata, adapter.get_train_indices):
        with pytest.raises(UnexecutedError):
            ask()


def test_what_is_handed_out_can_be_changed_without_harm() -> None:
    """A caller who changes the answer does not change the next one."""
    adapter = split()
    adapter.get_train_indices()[0].clear()
    adapter.get_result().clear()
    assert len(adapter.get_train_indices()[0]) == 8
    assert list(adapter.get_result()) == ["train", "validation"]


# custom_data


def custom(folder: Path, **parameters: Any) -> dict[str, Any]:
    """Write two parted files and the parameters that load them."""
    (folder / "ori.csv").write_text("code,n\n007,1\n008,?\n")
    (folder / "control.csv").write_text("code,n\n009,3\n")
    filepath = {"ori": str(folder / "ori.csv"), "control": str(folder / "control.csv")}
    return {"method": "custom_data", "num_samples": 1, "filepath": filepath, **parameters}


def test_parted_files_are_loaded_without_a_loader(tmp_path: Path) -> None:
    """`ori` is for training, `control` for validation; other keys hold for both files."""
    schema = {"attributes": {"code": {"type": "str"}}}
    parameters = custom(tmp_path, schema=schema, na_values={"n": "?"})
    executor = Executor({"Splitter": {"s": parameters}})
    executor.run()
    result = executor.get_result()["Splitter[s_[1-1]]"]
    assert result["train"]["code"].tolist() == ["007", "008"]
    assert result["train"]["n"].isna().tolist() == [False, True]
    assert result["validation"].to_dict("list") == {"code": ["009"], "n": [3]}
    assert executor.status.get_metadata("Splitter").id == "ori"
    assert executor.status.get_exist_train_indices() == [{0, 1}]
    steps = executor.status.get_timing_report_data(steps=True)
    assert sorted(steps["step_name"]) == ["load", "load", "run", "split"]


def test_a_key_can_be_given_for_each_file(tmp_path: Path) -> None:
    """Under `ori` and `control` each file has its own value, or none."""
    parameters = custom(
        tmp_path,
        schema={"control": {"attributes": {"code": {"type": "str"}}}},
        nrows={"ori": 1},
    )
    adapter = SplitterAdapter("s", parameters)
    status: Any = None
    adapter.run(adapter.set_input(status))
    assert adapter.get_result()["train"].to_dict("list") == {"code": [7], "n": [1]}
    assert adapter.get_result()["validation"].to_dict("list") == {"code": ["009"], "n": [3]}


@pytest.mark.parametrize(
    ("parameters", "key", "text"),
    [
        ({"method": "custom"}, "method", "did you mean 'custom_data'?"),
        ({"train_ratio": 0.5}, "train_ratio", "did you mean 'train_split_ratio'?"),
        ({"filepath": "t.csv"}, "filepath", "unknown key 'filepath'"),
        ({"train_split_ratio": 80}, "train_split_ratio", "less than or equal to 1"),
        ({"train_split_ratio": "0.8"}, "train_split_ratio", "valid number"),
        ({"max_overlap_ratio": -0.1}, "max_overlap_ratio", "greater than or equal to 0"),
        ({"max_attempts": 0}, "max_attempts", "greater than or equal to 1"),
        ({"num_samples": 0}, "num_samples", "greater than or equal to 1"),
        ({"random_state": [1]}, "random_state", "expected a number or a text"),
        ({"random_state": True}, "random_state", "expected a number or a text"),
        ({"method": "custom_data"}, "filepath", "one under `ori` (training)"),
        (
            {"method": "custom_data", "filepath": {"ori": "a.csv"}},
            "filepath",
            "one under `control` (validation)",
        ),
        (
            {"method": "custom_data", "filepath": {"ori": "a.csv", "control": "b.txt"}},
            "filepath",
            "unknown file ending '.txt'",
        ),
        (
            {
                "method": "custom_data",
                "filepath": {"ori": "benchmark://adult-income_ori", "control": "b.csv"},
            },
            "filepath",
            "needs PETsARD itself",
        ),
        (
            {
                "method": "custom_data",
                "filepath": {"ori": "a.csv", "control": "b.csv"},
                "random_state": 1,
            },
            "random_state",
            "has no meaning with `method: custom_data`",
        ),
    ],
)
def test_a_mistake_is_found_before_anything_is_read(
    parameters: dict[str, Any], key: str, text: str
) -> None:
    """Each mistake names module, experiment and key, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        SplitterAdapter("s", parameters)
    assert (caught.value.module, caught.value.experiment) == ("Splitter", "s")
    assert caught.value.key == key
    assert text in str(caught.value)
