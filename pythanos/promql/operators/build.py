"""From plan nodes to operators: the one place that knows which operator evaluates what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from pythanos import _rows
from pythanos.errors import NotSupported
from pythanos.model.matchers import Matcher
from pythanos.promql.annotations import warning
from pythanos.promql.functions.elements import DATE_FUNCTIONS, MATH_FUNCTIONS
from pythanos.promql.functions.extended import X_FUNCTIONS
from pythanos.promql.functions.ranges import RANGE_FUNCTIONS
from pythanos.promql.operators.aggregate import KINDS, Aggregation
from pythanos.promql.operators.binary import VectorOperation
from pythanos.promql.operators.buckets import BucketFunction
from pythanos.promql.operators.elementwise import (
    Elementwise,
    Repeat,
    apply_function,
    negate,
    put_scalar,
    scalar_operation,
)
from pythanos.promql.operators.extended.ranges import ExtendedRangeScan
from pythanos.promql.operators.extended.smoothed import SmoothedScan
from pythanos.promql.operators.histograms.figures import FIGURES, HistogramFigures
from pythanos.promql.operators.operator import Evaluation, ScalarOperator, VectorOperator
from pythanos.promql.operators.ranges import RangeOperator, RangeScan, SubqueryRange
from pythanos.promql.operators.rank import RANKS, CountValues, Quantile, Ranking
from pythanos.promql.operators.relabel import LabelJoin, LabelReplace, Relabel, Sorted, SortedByLabel
from pythanos.promql.operators.scalar import (
    Absent,
    Constant,
    ScalarArithmetic,
    ScalarExtreme,
    ScalarNegation,
    ScalarOfVector,
    ScalarRepeat,
    Time,
    VectorOfScalar,
    absent_labels,
)
from pythanos.promql.operators.scan import InstantScan, Timestamps
from pythanos.promql.operators.sets import SetOperation
from pythanos.promql.operators.vectors.chain import Chained, Operand
from pythanos.promql.operators.vectors.info import InfoJoin, InfoScan
from pythanos.promql.operators.vectors.remote import RemoteScan
from pythanos.promql.operators.vectors.sampling import LimitRatio
from pythanos.promql.operators.vectors.start_times import Nothing, StartTimes
from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Chain,
    Negate,
    Node,
    Number,
    RangeCall,
    RangeSelect,
    RemoteUnion,
    Select,
    StepInvariant,
    Text,
)
from pythanos.promql.plan.times import first_selected_time, subquery_ends, subquery_steps
from pythanos.promql.sample_counts import Place
from pythanos.promql.syntax.ast import SET_OPERATORS, ValueType
from pythanos.promql.values import Steps

_PI = 3.141592653589793


class OperatorBuilder:
    """Makes the operators of one evaluation; selectors ask their stores while they are made."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation

    def vector(self, node: Node, steps: Steps) -> VectorOperator:
        """The operator of a node that gives an instant vector. Raises NotSupported, QueryFailed."""
        match node:
            case Select():
                scan = SmoothedScan if node.modifier == "smoothed" else InstantScan
                return scan(self.evaluation, node, steps)
            case RangeCall():
                return self._range_call(node, steps)
            case Call():
                return self._call(node, steps)
            case Aggregate():
                return self._aggregate(node, steps)
            case Binary():
                operands = self._operand(node.lhs, steps), self._operand(node.rhs, steps)
                return cast(VectorOperator, self._operation(node, *operands))
            case Chain():
                return self._chain(node, steps)
            case Negate():
                operand = self.vector(node.expr, steps)
                return Elementwise(self.evaluation, operand, negate)
            case StepInvariant():
                with self._placed(self.evaluation.place.once(steps)):
                    return Repeat(self.vector(node.expr, _first(steps)), steps)
            case RemoteUnion():
                return RemoteScan(self.evaluation, node, steps)
        raise NotSupported(f"{type(node).__name__} is not supported here yet")

    def scalar(self, node: Node, steps: Steps) -> ScalarOperator:
        """The operator of a node that gives a scalar."""
        match node:
            case Number():
                return Constant(node.value, steps)
            case Negate():
                return ScalarNegation(self.scalar(node.expr, steps))
            case Binary():
                return ScalarArithmetic(node.op, self.scalar(node.lhs, steps), self.scalar(node.rhs, steps))
            case Chain():
                return self._chain(node, steps)
            case StepInvariant():
                with self._placed(self.evaluation.place.once(steps)):
                    return ScalarRepeat(self.scalar(node.expr, _first(steps)), steps)
            case Call(function="scalar"):
                return ScalarOfVector(self.evaluation, self.vector(node.args[0], steps))
            case Call(function="time"):
                return Time(steps)
            case Call(function="pi"):
                return Constant(_PI, steps)
            case Call(function="max_of" | "min_of"):
                lhs, rhs = (self.scalar(arg, steps) for arg in node.args)
                return ScalarExtreme(node.function == "max_of", lhs, rhs)
        raise NotSupported(f"the function {getattr(node, 'function', node)} is not supported yet")

    @contextmanager
    def _placed(self, place: Place) -> Iterator[None]:
        """What is made meanwhile stands there."""
        before = self.evaluation.place
        self.evaluation.place = place
        try:
            yield
        finally:
            self.evaluation.place = before

    def _range_call(self, node: RangeCall, steps: Steps) -> VectorOperator:
        if isinstance(node.source, RangeSelect) and (node.source.select.modifier or node.function in X_FUNCTIONS):
            return ExtendedRangeScan(self.evaluation, node.function, node.source, steps)
        function = RANGE_FUNCTIONS.get(node.function)
        if function is None:
            raise NotSupported(f"the function {node.function} does not take a subquery")
        scalars = tuple(self.scalar(scalar, steps) for scalar in node.scalars)
        source = node.source
        if isinstance(source, RangeSelect):
            call: RangeScan | SubqueryRange = RangeScan(self.evaluation, function, source, steps, scalars)
        else:
            grid, ends = subquery_steps(source, steps), subquery_ends(source, steps)
            self.evaluation.require_room(grid)
            with self._placed(self.evaluation.place.subquery(ends, source.range_ms, grid)):
                inner = self.vector(source.expr, grid)
            call = SubqueryRange(self.evaluation, function, source, steps, inner, scalars)
        if node.scalars:
            call.scalar_position = node.scalars[0].start
        if node.function != "absent_over_time":
            return call
        matchers = source.select.matchers if isinstance(source, RangeSelect) else ()
        return Absent(self.evaluation, call, absent_labels(matchers))

    def _call(self, node: Call, steps: Steps) -> VectorOperator:
        name, args = node.function, node.args
        if name in MATH_FUNCTIONS:
            return Elementwise(self.evaluation, self.vector(args[0], steps), apply_function(MATH_FUNCTIONS[name]))
        if name in DATE_FUNCTIONS:
            return self._date(node, steps)
        if name in ("clamp", "clamp_min", "clamp_max", "round"):
            return self._adjust(node, steps)
        if name.startswith(("label_", "sort")):
            return self._relabel(node, steps)
        if name in FIGURES:
            return HistogramFigures(self.evaluation, self.vector(args[0], steps), name)
        if name.startswith("histogram_"):
            return self._buckets(node, steps)
        if name == "vector":
            return VectorOfScalar(self.scalar(args[0], steps))
        if name == "absent":
            matchers = args[0].matchers if isinstance(args[0], Select) else ()
            return Absent(self.evaluation, self.vector(args[0], steps), absent_labels(matchers))
        if name == "timestamp":
            return self._timestamp(args[0], steps)
        if name == "start_timestamp":
            if isinstance(args[0], Select) and self.evaluation.options.use_start_timestamps:
                return StartTimes(self.evaluation, args[0], steps)
            return Nothing(self.vector(args[0], steps))
        if name == "info":
            return self._info(node, steps)
        raise NotSupported(f"the function {name} is not supported yet")

    def _info(self, node: Call, steps: Steps) -> VectorOperator:
        """The second argument is no vector, but matchers; times are those of the first selector."""
        at_ms, offset_ms = first_selected_time(node.args[0])
        place = self.evaluation.place
        matchers = node.args[1].matchers if len(node.args) > 1 and isinstance(node.args[1], Select) else ()

        def scan(wanted: tuple[Matcher, ...]) -> VectorOperator:
            with self._placed(place):
                return InfoScan(self.evaluation, Select(wanted, offset_ms, at_ms, func="info"), steps)

        return InfoJoin(self.evaluation, self.vector(node.args[0], steps), matchers, scan)

    def _date(self, node: Call, steps: Steps) -> VectorOperator:
        if not node.args:
            operand: VectorOperator = VectorOfScalar(Time(steps))
        else:
            operand = self.vector(node.args[0], steps)
        return Elementwise(self.evaluation, operand, apply_function(DATE_FUNCTIONS[node.function]))

    def _adjust(self, node: Call, steps: Steps) -> VectorOperator:
        operand = self.vector(node.args[0], steps)
        scalars = tuple(self.scalar(arg, steps) for arg in node.args[1:])
        if node.function == "round":
            change = apply_function(_rows.Function.ROUND)
            return Elementwise(self.evaluation, operand, change, scalars or (Constant(1.0, steps),))
        if node.function == "clamp_min":
            scalars = (*scalars, Constant(float("inf"), steps))
        elif node.function == "clamp_max":
            scalars = (Constant(float("-inf"), steps), *scalars)
        return Elementwise(self.evaluation, operand, apply_function(_rows.Function.CLAMP), scalars)

    def _relabel(self, node: Call, steps: Steps) -> VectorOperator:
        operand = self.vector(node.args[0], steps)
        texts = [arg.value for arg in node.args[1:] if isinstance(arg, Text)]
        if node.function == "label_replace":
            label, replacement, source, pattern = texts
            return Relabel(self.evaluation, operand, LabelReplace(label, replacement, source, pattern))
        if node.function == "label_join":
            label, separator, *sources = texts
            return Relabel(self.evaluation, operand, LabelJoin(label, separator, tuple(sources)))
        if steps.count > 1:
            text = "sort is ineffective for range queries since results are always ordered by labels"
            self.evaluation.annotations.add(warning(text, node.start))
        descending = node.function.endswith("_desc")
        if node.function.startswith("sort_by_label"):
            return SortedByLabel(self.evaluation, operand, tuple(texts), descending=descending)
        return Sorted(self.evaluation, operand, descending=descending)

    def _buckets(self, node: Call, steps: Steps) -> VectorOperator:
        args, name = node.args, node.function
        if name == "histogram_quantile":
            quantiles = ((self.scalar(args[0], steps), args[0].start),)
            vector = args[1]
            return BucketFunction(self.evaluation, self.vector(vector, steps), quantiles, (), vector.start)
        if name == "histogram_fraction":
            limits = (self.scalar(args[0], steps), self.scalar(args[1], steps))
            return BucketFunction(self.evaluation, self.vector(args[2], steps), (), limits, args[2].start)
        if name == "histogram_quantiles" and isinstance(args[1], Text):
            several = tuple((self.scalar(arg, steps), arg.start) for arg in args[2:])
            operand = self.vector(args[0], steps)
            return BucketFunction(self.evaluation, operand, several, (), args[0].start, label=args[1].value)
        raise NotSupported(f"the function {name} is not supported yet")

    def _timestamp(self, operand: Node, steps: Steps) -> VectorOperator:
        if isinstance(operand, Select):
            return Timestamps(InstantScan(self.evaluation, operand, steps, times=True))
        return Elementwise(self.evaluation, self.vector(operand, steps), put_scalar, (Time(steps),))

    def _aggregate(self, node: Aggregate, steps: Steps) -> VectorOperator:
        operand = self.vector(node.expr, steps)
        if node.op in ("sum", "avg") and isinstance(operand, RangeOperator):
            operand.growing = True
        if node.op in KINDS:
            return Aggregation(self.evaluation, node, operand)
        if node.op == "count_values" and isinstance(node.param, Text):
            return CountValues(self.evaluation, node, operand, node.param.value)
        if node.param is None:
            raise AssertionError(node)
        param = self.scalar(node.param, steps)
        if node.op == "limit_ratio":
            return LimitRatio(self.evaluation, operand, param, node.param.start)
        if node.op in RANKS:
            return Ranking(self.evaluation, node, operand, param)
        return Quantile(self.evaluation, node, operand, param, node.param.start)

    def _operand(self, node: Node, steps: Steps) -> Operand:
        return self.scalar(node, steps) if node.type is ValueType.SCALAR else self.vector(node, steps)

    def _chain(self, node: Chain, steps: Steps) -> Chained:
        first = self._operand(node.first, steps)
        operations = [(operation, self._operand(operation.rhs, steps)) for operation in node.operations]
        return Chained(self.evaluation, steps, first, operations, self._operation)

    def _operation(self, node: Binary, lhs: Operand, rhs: Operand) -> Operand:
        """The operator of an operation, from those of its operands."""
        left, right = node.lhs.type, node.rhs.type
        if left is ValueType.SCALAR and right is ValueType.SCALAR:
            return ScalarArithmetic(node.op, cast(ScalarOperator, lhs), cast(ScalarOperator, rhs))
        if left is ValueType.SCALAR or right is ValueType.SCALAR:
            scalar_left = left is ValueType.SCALAR
            vector, scalar = (rhs, lhs) if scalar_left else (lhs, rhs)
            return scalar_operation(
                self.evaluation,
                node.op,
                cast(VectorOperator, vector),
                cast(ScalarOperator, scalar),
                node.start,
                scalar_left=scalar_left,
                return_bool=node.return_bool,
            )
        operation = SetOperation if node.op in SET_OPERATORS else VectorOperation
        return operation(self.evaluation, node, cast(VectorOperator, lhs), cast(VectorOperator, rhs))


def _first(steps: Steps) -> Steps:
    return Steps(steps.start_ms, steps.step_ms, 1)
