"""The frozen things a person reads, and the one language they share."""

from limbeck.readable._formula import FormulaReadable
from limbeck.readable._language import IsIn, Program, count_symbols, evaluate
from limbeck.readable._network import Layer, NetworkReadable
from limbeck.readable._readable import Readable, readable_from_dict
from limbeck.readable._tree import Node, TreeReadable

__all__ = [
    "FormulaReadable",
    "IsIn",
    "Layer",
    "NetworkReadable",
    "Node",
    "Program",
    "Readable",
    "TreeReadable",
    "count_symbols",
    "evaluate",
    "readable_from_dict",
]
