"""The one typed configuration of the project; `config.toml` holds these defaults, with these comments."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from paceline.config import CountOrAuto, Section
from paceline.tune.settings import Tune


def _day(text: str) -> str:
    """Return `text` if it is a day, or empty."""
    try:
        return text and date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("It should be a day, like 2025-12-31") from None


def _distinct(days: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(days)) < len(days):
        raise ValueError("Each should be there once")
    return days


Day = Annotated[str, AfterValidator(_day)]
Windows = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), AfterValidator(_distinct)]
Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class Columns(Section):
    """Where `data.source = "table"` finds each thing: the names of the columns in your file."""

    transaction_id: str = Field("transaction_id", description="unique; a repeated one is quarantined")
    datetime: str = Field("datetime", description="when the card was used; text is read as ISO 8601")
    customer_id: str = Field("customer_id", description="the card or the account")
    terminal_id: str = Field("terminal_id", description="the terminal or the merchant")
    amount: str = Field("amount", description="in one currency")
    fraud: str = Field("fraud", description="0 or 1, empty without a label yet; no column: in labels_path")
    labelled_at: str = Field("", description="when the label became known; empty: after label_delay_days")
    device_id: str = Field("", description="what an online payment was made with, empty in shops; empty: none")
    mcc: str = Field("", description="merchant category code, for slices of the scores; empty: none")
    channel: str = Field("", description="pos, online, atm or the like, for slices; empty: none")
    country: str = Field("", description="of the terminal, for slices; empty: none")
    portfolio: str = Field("", description="which cards, for slices; empty: none")


class Data(Section):
    """Which transactions, and how time divides them."""

    source: Literal["synthetic", "table", "handbook", "ulb", "ieee-cis", "paysim", "sparkov", "baf"] = Field(
        "synthetic", description="synthetic | table (any) | handbook | ulb | ieee-cis | paysim | sparkov | baf"
    )
    path: str = Field("", description="a CSV or Parquet file, or a folder of them; not for synthetic")
    labels_path: str = Field(
        "", description="label files of their own, where labels come late or change: see labels.py"
    )
    unstated_genuine: bool = Field(
        True, description="labels_path: what no statement names is genuine after label_delay_days; false: left out"
    )
    time_zone: str = Field("UTC", description="of times without a zone; one that clocks skip or repeat is quarantined")
    extra_numbers: tuple[str, ...] = Field((), description="table: columns taken as features, as they are")
    extra_categories: tuple[str, ...] = Field((), description="table: columns of texts taken as features, coded")
    simulator: Literal["portfolio", "handbook"] = Field(
        "portfolio", description="synthetic: portfolio | handbook (as the Handbook describes it)"
    )
    portfolio: Literal["A", "B"] = Field("A", description="synthetic: which of two card portfolios")
    customers: int = Field(2_300, ge=10, description="synthetic: cards; about 1.3 transactions each a day")
    terminals: int = Field(3_000, ge=10, description="synthetic: payment terminals")
    days: int = Field(105, ge=21, description="synthetic: length of the history")
    start_date: Day = Field(
        "2025-01-01",
        description="first day, UTC: of synthetic, and of formats that count from it",
    )
    seed: int = Field(0, ge=0, description="synthetic: the same seed makes the same transactions")
    unreported_share: float = Field(0.05, ge=0, lt=1, description="synthetic: frauds that are never reported")
    false_report_share: float = Field(0.0002, ge=0, lt=1, description="synthetic: genuine ones reported as fraud")
    label_delay_days: int = Field(7, ge=0, le=365, description="days until a transaction's label can be used")
    windows_days: Windows = Field((1, 7, 30), description="of the spending and risk features")
    test_start: Day = Field("", description="first day of the test; empty: latest")
    test_days: int | float = Field(
        14, gt=0, description="days of the test; parts of a day are possible, here and below"
    )
    train_days: int | float = Field(28, gt=0, description="days of training, ending label_delay_days before the test")
    validation_days: int | float = Field(
        14, gt=0, description="last days with known labels: rounds, calibration, threshold"
    )
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="more bad rows than this share stop the run")
    columns: Columns = Columns()


class Model(Section):
    """What is predicted, by what."""

    task: Literal["fraud"] = Field("fraud", description="the probability that a transaction is fraudulent")
    name: Literal["xgboost", "logistic_regression", "mlp"] = Field(
        "xgboost", description="xgboost | logistic_regression | mlp"
    )
    booster: Literal["gbtree", "dart"] = Field("gbtree", description="xgboost: dart drops trees while boosting, slower")
    max_depth: int = Field(4, ge=1, le=20, description="xgboost: depth of a tree")
    min_child_weight: float = Field(1.0, ge=0, description="xgboost: least sum of hessians in a leaf")
    max_bin: int = Field(1024, ge=2, description="xgboost: histogram bins; 256 lost average precision on real data")
    monotone: bool = Field(False, description="xgboost: a riskier terminal may only raise the score")
    hidden_units: Widths = Field((128, 64), description="mlp: widths of the hidden layers")
    dropout: float = Field(0.2, ge=0, lt=1, description="mlp: share of units dropped; xgboost: of trees, with dart")
    batch_normalisation: bool = Field(True, description="mlp: after each hidden layer's sum")


class Train(Section):
    """How it is trained."""

    seed: int = Field(0, ge=0, description="of every random choice in training")
    device: Literal["auto", "cpu", "gpu", "tpu"] = Field(
        "auto", description="auto | cpu | gpu | tpu; what is asked for is used or refused"
    )
    threads: int = Field(0, ge=0, description="xgboost: on the CPU; 0: as many as there are usable cores")
    rounds: CountOrAuto = Field(600, description="xgboost: trees at most; auto: as many as fit into --time-budget")
    learning_rate: float = Field(0.1, gt=0, description="xgboost: shrinkage of a tree")
    subsample: float = Field(0.8, gt=0, le=1, description="xgboost: share of the rows a tree sees")
    colsample_bytree: float = Field(0.8, gt=0, le=1, description="xgboost: share of the features a tree sees")
    l1: float = Field(0.0, ge=0, description="L1 penalty: xgboost alpha, mlp kernels")
    l2: float = Field(1.0, ge=0, description="L2 penalty: xgboost lambda; mlp, logistic regression: over the rows")
    early_stopping_rounds: int = Field(
        50, ge=0, description="xgboost: rounds without a better score; 0: never stop early"
    )
    epochs: CountOrAuto = Field(30, description="mlp: passes over the data at most; auto: as many as fit")
    batch_size: int = Field(2048, ge=1, description="mlp: transactions in a step")
    mlp_learning_rate: float = Field(1e-3, gt=0, description="mlp: of Adam, the highest that the schedule reaches")
    mlp_schedule: Literal["constant", "cosine", "one_cycle", "polynomial"] = Field(
        "constant", description="mlp: constant | cosine | one_cycle | polynomial, over all epochs"
    )
    mlp_clip_norm: float = Field(0.0, ge=0, description="mlp: largest global norm of the gradient; 0: not clipped")
    early_stopping_epochs: int = Field(5, ge=0, description="mlp: epochs without a better score; 0: never stop early")
    refit: bool = Field(True, description="train again on the latest days with known labels, as long as chosen")
    checkpoint_seconds: float = Field(30.0, ge=0, description="save this often; a network after each epoch")
    external_memory: bool = Field(False, description="xgboost: for more than memory holds; see shards.py")
    scheduler: str = Field("", description="xgboost: address of a Dask scheduler, tcp://host:8786; empty: train here")


class Transfer(Section):
    """What an earlier run passes on: to newer data of the same cards, or to another portfolio."""

    from_run: str = Field("", description="folder of an earlier run (xgboost) to go on from; empty: from scratch")
    way: Literal["compare", "continue", "refresh", "pooled", "scratch"] = Field(
        "compare", description="compare | continue (more trees) | refresh (new leaves) | pooled (old and new) | scratch"
    )


class Report(Section):
    """How scores become decisions, and what is reported of them."""

    threshold: Literal["cost", "alert_budget", "max_fpr"] = Field("cost", description="cost | alert_budget | max_fpr")
    alert_budget_per_day: int = Field(20, ge=1, description="cards a day that can be called; k of card precision at k")
    max_fpr: float = Field(0.005, gt=0, lt=1, description="share of genuine transactions that may be stopped")
    review_cost: float = Field(5.0, ge=0, description="cost of looking at one alert, in the currency of the amounts")
    resamples: int = Field(300, ge=0, description="of the bootstrap over customers; 0: no intervals")


class Config(Section):
    """Every key of the project with its default; unknown keys are refused.

    Override one for a single run: --set train.rounds=200
    """

    data: Data = Data()
    model: Model = Model()
    train: Train = Train()
    transfer: Transfer = Transfer()
    tune: Tune = Tune()
    report: Report = Report()

    @model_validator(mode="after")
    def _labels_come_from_somewhere(self) -> Config:
        if self.data.source == "table" and not self.data.columns.fraud and not self.data.labels_path:
            raise ValueError("data.columns.fraud is empty, and so is data.labels_path. Set either.")
        return self

    @model_validator(mode="after")
    def _only_trees_go_on(self) -> Config:
        if self.transfer.from_run and (self.model.name, self.model.booster) != ("xgboost", "gbtree"):
            raise ValueError(
                "transfer.from_run (train --from) wants boosted trees without dropout. "
                "Set model.name = 'xgboost' and model.booster = 'gbtree'."
            )
        return self

    @model_validator(mode="after")
    def _only_trees_learn_from_disk(self) -> Config:
        train, data = self.train, self.data
        if train.scheduler and not train.external_memory:
            raise ValueError("train.scheduler wants its rows on disk. Set train.external_memory = true.")
        if train.external_memory and self.model.name != "xgboost":
            raise ValueError(f"train.external_memory wants model.name = 'xgboost', not '{self.model.name}'.")
        if train.external_memory and (
            self.transfer.from_run
            or data.labels_path
            or data.source not in ("synthetic", "table", "handbook")
            or data.extra_numbers
            or data.extra_categories
        ):
            raise ValueError(
                "train.external_memory takes data.source = 'table', 'handbook' or 'synthetic' without further columns, "
                "label files or an earlier run. Unset those, or train in memory."
            )
        return self

    @model_validator(mode="after")
    def _dart_cannot_be_cut(self) -> Config:
        if self.model.name == "xgboost" and self.model.booster == "dart" and self.train.early_stopping_rounds:
            raise ValueError(
                "model.booster = 'dart' re-weights earlier trees, so no best round can be cut out. "
                "Set train.early_stopping_rounds = 0."
            )
        return self
