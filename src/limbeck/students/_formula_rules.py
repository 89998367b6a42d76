"""Rules that turn one part of a formula into another that is equal to it.

Each is a function from a part to the parts that may stand in its place; where a rule has nothing to say there are none.
What is equal but for where it is defined - ``log(x) + log(y)`` and ``log(x*y)`` - counts as equal here; `simplified`
checks it on rows.

Source
------
Own; school algebra.

Checked
-------
Every rule on a formula that it shortens, and all on random formulas (unit tests).

Cost
----
Linear to quadratic in the number of terms of a part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from limbeck.students._formula_algebra import Formula, add, apply, as_formula, constant, multiply, power, scale

__all__ = ["RULES", "Rule"]

SAME = 1e-12

Rule = Callable[[Formula], Iterator[Formula]]


def _product_of(part: Formula) -> tuple[float, tuple[tuple[Formula, float], ...]] | None:
    """``(coefficient, factors)`` of a part that is a single product; None for a sum."""
    if part[1] != 0.0 or len(part[2]) != 1:
        return None
    c, core = part[2][0]
    return c, core[1] if core[0] == "*" else ((core, 1.0),)


def _of(c: float, factors: Sequence[tuple[Formula, float]]) -> Formula:
    product = constant(c)
    for base, p in factors:
        product = multiply(product, power(as_formula(base), p))
    return product


def _term(c: float, core: Formula) -> Formula:
    return scale(as_formula(core), c)


def _rest(part: Formula, without: Sequence[int]) -> Formula:
    return ("+", part[1], tuple(term for i, term in enumerate(part[2]) if i not in without))


def common_factor(part: Formula) -> Iterator[Formula]:
    """``x*y + x*z = x*(y + z)``, for every base and exponent that terms share, and every two of them."""
    products = [_product_of(("+", 0.0, (term,))) for term in part[2]]
    shared: dict[tuple[Formula, float], list[int]] = {}
    for i, product in enumerate(products):
        for base, p in product[1] if product else ():
            shared.setdefault((base, math.copysign(1.0, p)), []).append(i)
    for (base, sign), places in shared.items():
        exponents = {p for i in places for b, p in products[i][1] if b == base}  # type: ignore[index]
        p = min((q for q in exponents if q * sign > 0), key=abs)
        groups = [places, *((a, b) for n, a in enumerate(places) for b in places[:n])] if len(places) > 2 else [places]
        for group in groups:
            if len(group) > 1:
                divisor = power(as_formula(base), -p)
                inside = add(*(multiply(("+", 0.0, (part[2][i],)), divisor) for i in group))
                yield add(_rest(part, group), multiply(power(as_formula(base), p), inside))


def multiplied_out(part: Formula) -> Iterator[Formula]:
    """``x*(y + z) + w = x*y + x*z + w``, and squares of sums."""
    for i, (c, core) in enumerate(part[2]):
        for k, (base, p) in enumerate(core[1] if core[0] == "*" else ()):
            if base[0] == "+" and p in (1.0, 2.0) and len(base[2]) <= 4:
                others = _of(c, [*core[1][:k], *core[1][k + 1 :]])
                terms = [constant(base[1]), *(_term(d, inner) for d, inner in base[2])]
                if p == 2.0:
                    terms = [multiply(a, b) for a in terms for b in terms]
                yield add(_rest(part, [i]), *(multiply(others, term) for term in terms))


def common_denominator(part: Formula) -> Iterator[Formula]:
    """``a/b + c = (a + b*c)/b``."""
    if len(part[2]) + (part[1] != 0.0) < 2:
        return
    divisors = dict.fromkeys((b, p) for _, core in part[2] if core[0] == "*" for b, p in core[1] if p < 0)
    for base, p in divisors:
        multiple = power(as_formula(base), -p)
        terms = [constant(part[1]), *(_term(c, core) for c, core in part[2])]
        yield multiply(add(*(multiply(term, multiple) for term in terms)), power(as_formula(base), p))


def squares(part: Formula) -> Iterator[Formula]:
    """``a*u**2 + 2*sqrt(a*b)*u*v + b*v**2 = (sqrt(a)*u + sqrt(b)*v)**2``, with a constant for ``v`` too."""
    terms = [(i, c, as_formula(core)) for i, (c, core) in enumerate(part[2])]
    roots = [(i, c, root) for i, c, term in terms if (root := _root(term)) is not None]
    if part[1] != 0.0:
        roots.append((-1, part[1], constant(1.0)))
    for n, (i, a, u) in enumerate(roots):
        for j, b, v in roots[:n]:
            if a * b <= 0:
                continue
            cross, sign = multiply(u, v), math.copysign(1.0, a)
            found = next((k for k, _, term in terms if k not in (i, j) and _is_same(term, cross)), None)
            if found is None or abs(part[2][found][0] ** 2 - 4.0 * a * b) > SAME * 4.0 * a * b:
                continue
            side = math.copysign(math.sqrt(abs(b)), part[2][found][0] * sign)
            whole = power(add(scale(u, math.sqrt(abs(a))), scale(v, side)), 2.0)
            rest = _rest(part, [i, j, found])
            rest = add(rest, constant(-part[1])) if -1 in (i, j) else rest
            yield add(rest, scale(whole, sign))


def _is_same(left: Formula, right: Formula) -> bool:
    """True for two products of the same factors, in any order."""
    one, other = _product_of(left), _product_of(right)
    return one is not None and other is not None and dict(one[1]) == dict(other[1])


def _root(term: Formula) -> Formula | None:
    product = _product_of(term)
    if product is None or any(p % 2.0 != 0.0 for _, p in product[1]):
        return None
    return _of(1.0, [(base, p / 2.0) for base, p in product[1]])


def joined_logarithms(part: Formula) -> Iterator[Formula]:
    """``c*log(u) + c*log(v) = c*log(u*v)``, and ``log(exp(u)*v) = u + log(v)``, and ``0.5*log(u) = log(sqrt(u))``."""
    logs = [(i, c, core[1]) for i, (c, core) in enumerate(part[2]) if core[0] == "log"]
    for n, (i, c, u) in enumerate(logs):
        for j, d, v in logs[:n]:
            if abs(abs(c) - abs(d)) <= SAME * abs(c):
                inside = multiply(v, power(u, math.copysign(1.0, c * d)))
                yield add(_rest(part, [i, j]), scale(apply("log", inside), d))
        if abs(c) == 0.5:
            yield add(_rest(part, [i]), scale(apply("log", power(u, 0.5)), 2.0 * c))
        product = _product_of(u)
        for k, (base, p) in enumerate(product[1] if product else ()):
            if base[0] == "exp" and product is not None:
                others = _of(product[0], [*product[1][:k], *product[1][k + 1 :]])
                yield add(_rest(part, [i]), scale(base[1], c * p), scale(apply("log", others), c))


def joined_factors(part: Formula) -> Iterator[Formula]:
    """``exp(u)*exp(v) = exp(u + v)``, ``sqrt(u)*sqrt(v) = sqrt(u*v)``, ``abs(u)*abs(v) = abs(u*v)``."""
    product = _product_of(part)
    if product is None:
        return
    c, factors = product
    for i, (base, p) in enumerate(factors):
        others = factors[:i] + factors[i + 1 :]
        if base[0] == "exp" and p != 1.0:
            yield multiply(_of(c, others), apply("exp", scale(base[1], p)))
        if base[0] == "abs" and p % 2.0 == 0.0:
            yield multiply(_of(c, others), power(base[1], p))
        for j in range(i):
            rest = _of(c, [factor for k, factor in enumerate(factors) if k not in (i, j)])
            other, q = factors[j]
            if base[0] == other[0] == "exp":
                yield multiply(rest, apply("exp", add(scale(other[1], q), scale(base[1], p))))
            if p % 1.0 != 0.0 and abs(p) == abs(q):
                inside = multiply(as_formula(other), power(as_formula(base), math.copysign(1.0, p * q)))
                yield multiply(rest, power(inside, q))
            if base[0] == other[0] == "abs" and p == q:
                yield multiply(rest, power(apply("abs", multiply(other[1], base[1])), p))


_EVEN, _ODD = frozenset({"cos", "abs"}), frozenset({"tanh", "sin"})


def fewer_signs(part: Formula) -> Iterator[Formula]:
    """``tanh(-u) = -tanh(u)``, ``cos(-u) = cos(u)``, ``(-u)**2 = u**2``."""
    product = _product_of(part)
    if product is None:
        return
    c, factors = product
    for i, (base, p) in enumerate(factors):
        others = _of(c, factors[:i] + factors[i + 1 :])
        flipped = None
        if base[0] == "+" and p % 1.0 == 0.0:
            flipped = scale(base, -1.0), 1.0 if p % 2.0 == 0.0 else -1.0
        elif base[0] in _EVEN | _ODD:
            odd = base[0] in _ODD and p % 2.0 != 0.0
            if p % 1.0 == 0.0 or base[0] in _EVEN:
                flipped = apply(base[0], scale(base[1], -1.0)), -1.0 if odd else 1.0
        if flipped is not None:
            yield scale(multiply(others, power(flipped[0], p)), flipped[1])


def logarithms_in_exponents(part: Formula) -> Iterator[Formula]:
    """``exp(a*log(u) + v) = u**a * exp(v)`` for whole and half ``a``."""
    product = _product_of(part)
    if product is None or len(product[1]) != 1 or product[1][0][0][0] != "exp":
        return
    (base, p), c = product[1][0], product[0]
    for i, (a, core) in enumerate(base[1][2]):
        if core[0] == "log" and (2.0 * a * p).is_integer() and abs(a * p) <= 3.0:
            rest = apply("exp", scale(_rest(base[1], [i]), p))
            yield scale(multiply(power(core[1], a * p), rest), c)


RULES: tuple[Rule, ...] = (
    common_factor,
    multiplied_out,
    common_denominator,
    squares,
    joined_logarithms,
    joined_factors,
    fewer_signs,
    logarithms_in_exponents,
)
