"""The engine: text to answer. Parse, preprocess, plan, optimize, build operators, evaluate."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.promql.accounting import Account, QueryLimits, QueryStats
from pythanos.promql.analysis import AnalyzingBuilder, OperatorUsage
from pythanos.promql.annotations import Annotations, Severity
from pythanos.promql.operators.build import OperatorBuilder
from pythanos.promql.operators.operator import (
    METADATA_LABELS,
    Block,
    Evaluation,
    EvaluationOptions,
    merged_duplicates,
)
from pythanos.promql.plan.build import build_plan
from pythanos.promql.plan.distribute import Distributed, distribute
from pythanos.promql.plan.explain import Explained, explain
from pythanos.promql.plan.nodes import Node, RangeSelect, StepInvariant, Subquery, Text
from pythanos.promql.plan.optimize import PlanOptions, optimize
from pythanos.promql.plan.times import subquery_steps
from pythanos.promql.queryable import Queryable
from pythanos.promql.range_vector import range_vector
from pythanos.promql.remote import Remotes
from pythanos.promql.sample_counts import Place
from pythanos.promql.syntax.ast import ValueType
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.preprocess import QueryTimes, preprocess
from pythanos.promql.values import Matrix, Scalar, Steps, String, Value, Vector
from pythanos.workers import Workers

# How many trees an engine remembers, of texts of how many characters at most: some megabytes, and room for the rules
# of a usual fleet.
TREES_KEPT, TREE_TEXT_MAX = 1024, 1024


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What holds for all queries. Durations in ms.

    ``delayed_names``: flag promql-delayed-name-removal; ``type_and_unit_labels``, ``use_start_timestamps`` likewise.
    ``subquery_step_ms`` is the step of subqueries that name none. ``optimize`` off evaluates plans as they are written.
    """

    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000
    limits: QueryLimits = field(default_factory=QueryLimits)
    parser: ParserOptions = field(default_factory=ParserOptions)
    delayed_names: bool = False
    type_and_unit_labels: bool = False
    use_start_timestamps: bool = False
    optimize: bool = True


@dataclass(frozen=True, slots=True)
class InstantQuery:
    """An expression at one time.

    ``lookback_ms`` 0: the engine's. ``analyze``: measure operators and stores. ``per_step``: count samples by step.
    """

    text: str
    time_ms: int
    lookback_ms: int = 0
    analyze: bool = False
    per_step: bool = False


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """An expression at ``start_ms``, ``start_ms + step_ms``, ... up to and including ``end_ms``."""

    text: str
    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int = 0
    analyze: bool = False
    per_step: bool = False


@dataclass(slots=True)
class QueryResult:
    """An answer. ``store_warnings`` come from the stores (partial response), ``annotations`` from the evaluation.

    ``analysis`` is there where the query asked for it. ``series`` were selected, each as often as it was read.
    """

    query: str
    value: Value
    stats: QueryStats
    store_warnings: list[str] = field(default_factory=list)
    annotations: Annotations = field(default_factory=Annotations)
    analysis: OperatorUsage | None = None
    series: int = 0

    def warnings(self, limit: int = 10) -> list[str]:
        """Store warnings, then the evaluation's with their positions.

        Of the latter at most ``limit`` (0: all), and a line that counts the rest.
        """
        return self.store_warnings + self.annotations.render(self.query, Severity.WARNING, limit)

    def infos(self, limit: int = 10) -> list[str]:
        return self.annotations.render(self.query, Severity.INFO, limit)


class Engine:
    """Evaluates queries over any Queryable; holds no state of a query but parsed texts, so threads may share it."""

    def __init__(self, options: EngineOptions, workers: Workers) -> None:
        self.options = options
        self.workers = workers
        # Dashboards and rules ask the same again and again; trees are not changed once they are parsed.
        self._remembered = lru_cache(TREES_KEPT)(partial(parse, options=options.parser))

    def instant(
        self, ctx: RequestContext, queryable: Queryable, query: InstantQuery, remotes: Remotes | None = None
    ) -> QueryResult:
        """The value at one time: any type. Parts of it are evaluated by ``remotes``, at a whole second then.

        Raises BadRequest (ParseError) for the text, NotSupported, QueryFailed for what the data does not allow,
        LimitExceeded, QueryTimeout, QueryCanceled, and what the queryable and remote engines raise.
        """
        times = query_times(QueryTimes(query.time_ms, query.time_ms), remotes)
        planned = self._planned(query.text, times, queryable.hidden_labels, remotes, query.lookback_ms)
        steps = steps_of(times)
        return self._answer(query, self._evaluation(ctx, queryable, query, steps), planned, steps)

    def range(
        self, ctx: RequestContext, queryable: Queryable, query: RangeQuery, remotes: Remotes | None = None
    ) -> QueryResult:
        """A Matrix in label order.

        Raises as ``instant`` does, and BadRequest for a step or a type that a range cannot have.
        """
        if query.step_ms <= 0:
            raise BadRequest("zero or negative query resolution step widths are not accepted. Try a positive integer")
        times = query_times(QueryTimes(query.start_ms, query.end_ms, query.step_ms), remotes)
        planned = self._planned(query.text, times, queryable.hidden_labels, remotes, query.lookback_ms)
        if planned.plan.type not in (ValueType.SCALAR, ValueType.VECTOR):
            kind = planned.plan.type.documented
            raise BadRequest(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
        steps = steps_of(times)
        return self._answer(query, self._evaluation(ctx, queryable, query, steps), planned, steps)

    def plan(self, text: str, times: QueryTimes, hidden_labels: frozenset[str] = frozenset()) -> Node:
        """The optimized plan of a text; ``hidden_labels`` are a Queryable's. Raises BadRequest, NotSupported."""
        return self._planned(text, times, hidden_labels, None, 0).plan

    def explain(
        self,
        text: str,
        times: QueryTimes | None = None,
        hidden_labels: frozenset[str] = frozenset(),
        remotes: Remotes | None = None,
        lookback_ms: int = 0,
    ) -> Explained:
        """The plan of a text as a tree of names."""
        times = query_times(times or QueryTimes(0, 0), remotes)
        return explain(self._planned(text, times, hidden_labels, remotes, lookback_ms).plan)

    def _planned(
        self, text: str, times: QueryTimes, hidden_labels: frozenset[str], remotes: Remotes | None, lookback_ms: int
    ) -> Distributed:
        parsed = self._remembered(text) if len(text) <= TREE_TEXT_MAX else parse(text, self.options.parser)
        tree = preprocess(parsed, times)
        planned = Distributed(build_plan(tree, self.options.subquery_step_ms))
        if remotes is not None:
            lookback_ms = lookback_ms if lookback_ms > 0 else self.options.lookback_ms
            planned = distribute(planned.plan, steps_of(times), remotes, lookback_ms)
        planned.plan = optimize(planned.plan, PlanOptions(hidden_labels, self.options.optimize))
        return planned

    def _evaluation(
        self, ctx: RequestContext, queryable: Queryable, query: InstantQuery | RangeQuery, steps: Steps
    ) -> Evaluation:
        options, place = self.options, Place(steps, query.per_step)
        chosen = EvaluationOptions(
            query.lookback_ms if query.lookback_ms > 0 else options.lookback_ms,
            options.delayed_names,
            options.type_and_unit_labels,
            options.use_start_timestamps,
        )
        return Evaluation(ctx, queryable, self.workers.compute, chosen, Account(options.limits, place), place)

    def _answer(
        self, query: InstantQuery | RangeQuery, evaluation: Evaluation, planned: Distributed, steps: Steps
    ) -> QueryResult:
        evaluation.ctx.check()
        plan = planned.plan
        builder = AnalyzingBuilder(evaluation) if query.analyze else OperatorBuilder(evaluation)
        evaluate = _instant_value if isinstance(query, InstantQuery) else _range_value
        try:
            value = evaluate(builder, plan, steps)
        finally:
            evaluation.close()
        return QueryResult(
            query.text,
            value,
            evaluation.account.stats(),
            list(dict.fromkeys([*planned.warnings, *(w for one in evaluation.selections for w in one.warnings)])),
            evaluation.annotations,
            builder.usage(plan) if isinstance(builder, AnalyzingBuilder) else None,
            sum(sum(selection.sizes) for selection in evaluation.selections),
        )


def query_times(times: QueryTimes, remotes: Remotes | None) -> QueryTimes:
    """The times of a query; where others take part of it, whole seconds, as Thanos makes them."""
    if remotes is None or not remotes.engines:
        return times
    return QueryTimes(times.start_ms // 1000 * 1000, times.end_ms // 1000 * 1000, times.step_ms)


def steps_of(times: QueryTimes) -> Steps:
    """The steps of a query."""
    if not times.step_ms:
        return Steps(times.start_ms, 1, 1)
    return Steps.between(times.start_ms, times.end_ms, times.step_ms)


def _instant_value(builder: OperatorBuilder, plan: Node, steps: Steps) -> Value:
    evaluation = builder.evaluation
    inner = plan.expr if isinstance(plan, StepInvariant) else plan
    if isinstance(inner, Text):
        return String(steps.start_ms, inner.value)
    if isinstance(inner, RangeSelect):
        return range_vector(evaluation, inner, steps)
    if isinstance(inner, Subquery):
        grid = subquery_steps(inner, steps)
        evaluation.require_room(grid)
        evaluation.place = evaluation.place.whole_subquery(grid)
        return _matrix(evaluation.collect(builder.vector(inner.expr, grid)), evaluation, grid)
    if plan.type is ValueType.SCALAR:
        return Scalar(steps.start_ms, float(builder.scalar(plan, steps).row()[0]))
    block = _with_names_removed(evaluation.collect(builder.vector(plan, steps)), evaluation)
    return Vector(steps.start_ms, block.labels, np.ascontiguousarray(block.values[:, 0]), block.histograms)


def _range_value(builder: OperatorBuilder, plan: Node, steps: Steps) -> Matrix:
    evaluation = builder.evaluation
    if plan.type is ValueType.SCALAR:
        row = builder.scalar(plan, steps).row()
        evaluation.account.hold(row.size, row.nbytes)
        labels = _labels.labels_from_dicts([{}] if steps.count else [])
        return Matrix(steps, labels, row.reshape(len(labels), steps.count))
    return _matrix(evaluation.collect(builder.vector(plan, steps)), evaluation, steps)


def _matrix(block: Block, evaluation: Evaluation, steps: Steps) -> Matrix:
    block = _with_names_removed(block, evaluation)
    order = _labels.sort_order(block.labels)
    if not (order[1:] > order[:-1]).all():
        block = block.take(order)
    return Matrix(steps, block.labels, block.values, block.histograms)


def _with_names_removed(block: Block, evaluation: Evaluation) -> Block:
    """With delayed name removal, the names go here; label sets that become equal are merged, or fail the query."""
    if not evaluation.options.delayed_names:
        return block
    drop = block.drop_name
    if drop is not None and drop.any():
        index = np.where(drop, 0, 1)
        for name in METADATA_LABELS:
            block.labels = _labels.set_label(block.labels, name, ["", None], index)
    return merged_duplicates(block)
