"""The expressions that choose runs: ``val/acc > 0.7 and lr in 1e-4..3e-3 and tag:sweep-7``."""

from whirr.expression.matching import Question, matcher, question_of, value_of
from whirr.expression.parser import parse
from whirr.expression.tree import And, Between, Compare, Glob, Has, Literal, Node, Not, OneOf, Or, Word, leaves

__all__ = [
    "And",
    "Between",
    "Compare",
    "Glob",
    "Has",
    "Literal",
    "Node",
    "Not",
    "OneOf",
    "Or",
    "Question",
    "Word",
    "leaves",
    "matcher",
    "parse",
    "question_of",
    "value_of",
]
