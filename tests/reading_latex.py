"""A reader of the LaTeX that limbeck writes: it computes the equations on rows, to show that they say what is meant.

It reads exactly the constructs of the export and stops at any other, so it is also a check of the text's grammar.
"""

from __future__ import annotations

import re

import numpy as np

TOKEN = re.compile(
    r"\\text\{`([a-z ]+)'\}|\\text\{[a-z]+(?:\\_[a-z]+)+\}|"
    r"\\mathrm\{([A-Za-z]+)\}|t_\{(\d+)\}|\d+(?:\.\d+)?|\\\\|\\[A-Za-z]+|\\.|\S"
)
FUNCTIONS = {"\\ln": np.log, "\\sin": np.sin, "\\cos": np.cos, "\\tan": np.tan, "\\tanh": np.tanh}
RELATIONS = {"\\leq": np.less_equal, "<": np.less, "\\geq": np.greater_equal, ">": np.greater, "=": np.equal}
RELATIONS["\\neq"] = np.not_equal
OPERATORS = {"floor": np.floor}


class Reader:
    def __init__(self, text, columns, values):
        self.tokens = [match[0] for match in TOKEN.finditer(text)]
        self.place, self.columns, self.values = 0, columns, values

    @property
    def next(self):
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, *expected):
        for token in expected:
            if self.next != token:
                raise ValueError(f"expected {token} at {self.tokens[self.place : self.place + 6]}")
            self.place += 1

    def accept(self, token):
        if self.next == token:
            self.place += 1
            return True
        return False

    def sum(self):
        total = -self.product() if self.accept("-") else (self.accept("+"), self.product())[1]
        while self.next in ("+", "-"):
            total = total + self.product() if self.accept("+") else (self.take("-"), total - self.product())[1]
        return total

    def product(self):
        value = self.power()
        while self.accept("\\cdot") or self.accept("\\,") or self.accept("\\times"):
            value = value * self.power()
        return value

    def power(self):
        base = self.atom()
        return np.power(base, self.braced()) if self.accept("^") else base

    def braced(self):
        self.take("{")
        value = self.sum()
        self.take("}")
        return value

    def arguments(self):
        self.take("\\left", "(")
        found = [self.sum()]
        while self.accept(","):
            found.append(self.sum())
        self.take("\\right", ")")
        return found

    def atom(self):
        token = self.next
        self.place += 1
        if re.fullmatch(r"\d+(\.\d+)?", token):
            return np.float64(token)
        if token.startswith(("\\mathrm", "\\text{", "t_{")):
            return self.values[token]
        if token == "e":
            return np.float64(np.e) if self.next != "^" else (self.take("^"), np.exp(self.braced()))[1]
        if token == "\\pi":
            return np.float64(np.pi)
        if token == "\\frac":
            return self.braced() / self.braced()
        if token == "\\sqrt":
            return np.sqrt(self.braced())
        if token in FUNCTIONS:
            return FUNCTIONS[token](*self.arguments())
        if token in ("\\max", "\\min"):
            return (np.maximum if token == "\\max" else np.minimum).reduce(np.broadcast_arrays(*self.arguments()))
        if token == "\\operatorname":
            return self.operator()
        if token == "\\left":
            return self.fenced()
        if token == "\\begin":
            return self.cases()
        raise ValueError(f"{token} is not known")

    def operator(self):
        self.take("{")
        start = self.place
        while self.next != "}":
            self.place += 1
        name = "".join(self.tokens[start : self.place])
        self.take("}")
        if name == "position":
            self.take("\\left", "(")
            column = self.next
            self.place += 1
            self.take("\\right", ")")
            return self.values[f"position {column}"]
        return OPERATORS[name](*self.arguments())

    def fenced(self):
        bracket = self.next
        self.place += 1
        value = self.any() * 1.0 if bracket == "[" else self.sum()
        self.take("\\right", {"(": ")", "[": "]", "|": "|"}[bracket])
        return np.abs(value) if bracket == "|" else value

    def cases(self):
        self.take("{", *"cases", "}")
        pairs = []
        while True:
            value = self.sum()
            self.take("&", "\\text", "{")
            if self.accept("o"):
                self.take(*"therwise", "}", "\\end", "{", *"cases", "}")
                for branch, condition in reversed(pairs):
                    value = np.where(condition, branch, value)
                return value
            self.take("i", "f", "}")
            pairs.append((value, self.any()))
            self.take("\\\\")

    def any(self):
        found = self.all()
        while self.accept("\\lor"):
            found = found | self.all()
        return found

    def all(self):
        found = self.condition()
        while self.accept("\\land"):
            found = found & self.condition()
        return found

    def condition(self):
        if self.accept("\\lnot"):
            return ~self.condition()
        start = self.place
        if self.tokens[start : start + 2] == ["\\left", "("]:
            try:  # brackets around a condition; where they belong to a number, read again as one
                self.place += 2
                found = self.any()
                self.take("\\right", ")")
                if self.next not in (*RELATIONS, "+", "-", "\\cdot", "\\,", "^"):
                    return found
            except (ValueError, KeyError):
                pass
            self.place = start
        if self.next in self.columns and self.columns[self.next] is not None:
            return self.level()
        left = self.sum()
        relation = RELATIONS[self.next]
        self.place += 1
        return relation(left, self.sum())

    def level(self):
        column = self.next
        names, self.place = self.columns[column], self.place + 1
        if self.accept("="):
            wanted = [self.constant()]
        else:
            self.take("\\in", "\\left", "\\{")
            wanted = [self.constant()]
            while self.accept(","):
                wanted.append(self.constant())
            self.take("\\right", "\\}")
        return np.isin(self.values[column], [names.index(level) for level in wanted])

    def constant(self):
        token = self.next
        self.place += 1
        return token[len("\\text{`") : -2] if token.startswith("\\text") else token


def evaluate_latex(text, schema, Z):
    """The outputs ``(n, k)`` of the equations on encoded rows: the last k lines, by their left sides."""
    columns, values = {}, {}
    for j, column in enumerate(schema.columns):
        escaped = column.name.replace("_", "\\_")
        name = f"\\text{{{escaped}}}" if "_" in column.name else f"\\mathrm{{{column.name}}}"
        columns[name] = list(column.level_names) or None
        values[name] = Z[:, j]
    body = re.search(r"\\begin\{align\*\}\n(.*)\n\\end\{align\*\}", text, re.S)[1]
    outputs = []
    with np.errstate(all="ignore"):
        for line in re.sub(r" \\\\\n  &\\quad ", " ", body).split(" \\\\\n"):
            left, right = line.split(" &= ", 1)
            reader = Reader(right, columns, values)
            value = np.broadcast_to(reader.sum(), (len(Z),))
            assert reader.next == "", reader.tokens[reader.place :]
            position = re.fullmatch(r"\\operatorname\{position\} \\left\( (.*) \\right\)", left)
            if position:
                values[f"position {position[1]}"] = value
            elif re.fullmatch(r"t_\{\d+\}", left):
                values[left] = value
            else:
                outputs.append(value)
    return np.column_stack(outputs)
