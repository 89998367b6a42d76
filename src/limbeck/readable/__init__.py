"""The frozen things a person reads, and the one language they share."""

from limbeck.readable._coefficients import CoefficientsReadable
from limbeck.readable._formula import FormulaReadable, NotFiniteWarning
from limbeck.readable._language import IsIn, Program, count_symbols, evaluate
from limbeck.readable._network import Embedding, Layer, NetworkReadable
from limbeck.readable._packing import pack, unpack
from limbeck.readable._policy_tree import Branch, PolicyTree
from limbeck.readable._program import Guard, ProgramPolicy
from limbeck.readable._program_acting import policy_schema
from limbeck.readable._program_comparison import Comparison
from limbeck.readable._readable import Readable, readable_from_dict
from limbeck.readable._rule_conditions import Condition, Rule
from limbeck.readable._rule_set import LinearTerm, RuleSetReadable
from limbeck.readable._rules import RuleListReadable
from limbeck.readable._soft_tree import Decision, Reading, SoftTreeReadable
from limbeck.readable._tree import Node, TreeReadable
from limbeck.readable._wavelet import LevelTerm, WaveletReadable, WaveletTerm

__all__ = [
    "Branch",
    "CoefficientsReadable",
    "Comparison",
    "Condition",
    "Decision",
    "Embedding",
    "FormulaReadable",
    "Guard",
    "IsIn",
    "Layer",
    "LevelTerm",
    "LinearTerm",
    "NetworkReadable",
    "Node",
    "NotFiniteWarning",
    "PolicyTree",
    "Program",
    "ProgramPolicy",
    "Readable",
    "Reading",
    "Rule",
    "RuleListReadable",
    "RuleSetReadable",
    "SoftTreeReadable",
    "TreeReadable",
    "WaveletReadable",
    "WaveletTerm",
    "count_symbols",
    "evaluate",
    "pack",
    "policy_schema",
    "readable_from_dict",
    "unpack",
]
