"""Makes a program that fails smaller, while it still fails in the same way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields

from .network import Weather
from .programs import Program

Change = Callable[[Program], None]
MOST_RUNS = 400


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The smallest program found that fails.

    Args:
        program: one that fails.
        fails: runs a program, and tells whether it fails in the same way.

    """
    runs = 0
    changed = True
    while changed:
        changed = False
        number = 0
        while True:
            changes = list(smaller(program))
            if number >= len(changes) or runs >= MOST_RUNS:
                break
            candidate = copy.deepcopy(program)
            changes[number](candidate)
            runs += 1
            if candidate != program and fails(candidate):
                program = candidate
                changed = True
            else:
                number += 1
    return program


def smaller(program: Program) -> Iterator[Change]:
    """Changes that may make a program smaller, the largest first."""
    for number in range(len(program.pairs)):
        if len(program.pairs) > 1:
            yield lambda one, number=number: one.pairs.pop(number)  # type: ignore[misc]
    yield lambda one: one.admin.clear()
    yield lambda one: setattr(one, "tls", False)
    for number, pair in enumerate(program.pairs):
        for name in ("client", "server"):
            yield from smaller_end(program, number, name)
        for index in range(len(pair.events)):
            yield lambda one, n=number, i=index: one.pairs[n].events.pop(i)  # type: ignore[misc]
        yield lambda one, n=number: setattr(one.pairs[n], "gives_up", -1)  # type: ignore[misc]
        yield lambda one, n=number: setattr(one.pairs[n], "again", False)  # type: ignore[misc]
        yield lambda one, n=number: setattr(one.pairs[n], "starts_at", 0)  # type: ignore[misc]
    for one in fields(Weather):
        yield lambda p, one=one: setattr(p.weather, one.name, one.default)  # type: ignore[misc]
    for options in "server_options", "client_options":
        for key in getattr(program, options):
            if key != "compression":
                yield lambda p, o=options, k=key: getattr(p, o).pop(k, None)  # type: ignore[misc]
        yield lambda p, o=options: getattr(p, o).update(compression=None)  # type: ignore[misc]


def smaller_end(program: Program, number: int, name: str) -> Iterator[Change]:
    """Changes to what one end does."""
    end = getattr(program.pairs[number], name)

    def of(one: Program, task: int) -> list[object]:
        actions: list[object] = getattr(one.pairs[number], name).tasks[task].actions
        return actions

    for task in reversed(range(1, len(end.tasks))):
        yield lambda one, t=task: getattr(one.pairs[number], name).tasks.pop(t)  # type: ignore[misc]
    for attribute in "on_close", "on_message":
        yield lambda one, a=attribute: setattr(  # type: ignore[misc]
            getattr(one.pairs[number], name), a, None
        )
    for task in range(len(end.tasks)):
        yield lambda one, t=task: setattr(  # type: ignore[misc]
            getattr(one.pairs[number], name).tasks[t], "stops", True
        )
        for index, action in enumerate(end.tasks[task].actions):
            yield lambda one, t=task, i=index: of(one, t).pop(i)  # type: ignore[misc]
            for place, value in enumerate(action):
                if action[0] == "close":
                    continue
                if isinstance(value, list) and len(value) > 1:
                    less: object = value[:-1]
                elif isinstance(value, (int, float)) and value > 1:
                    less = type(value)(value // 2)
                else:
                    continue
                changed = (*action[:place], less, *action[place + 1 :])
                yield lambda one, t=task, i=index, c=changed: of(one, t).__setitem__(
                    i, c
                )  # type: ignore[misc]
