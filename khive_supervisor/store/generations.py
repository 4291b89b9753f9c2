"""The facet of a store for generations: which index file is to be trusted."""

from __future__ import annotations

from typing import Protocol

from khive_supervisor.store.model import Generation


class GenerationStore(Protocol):
    """The index generations' rows; the files are in `index/` beside the store."""

    def current(self, model_id: str) -> Generation | None:
        """Return the generation that serves the model, or None."""
        ...

    def all(self) -> list[Generation]:
        """Return all generations, oldest first."""
        ...

    def next_number(self) -> int:
        """Return the number that the next generation has to take.

        The builder's lock reserves it.
        """
        ...

    def publish(self, generation: Generation) -> None:
        """Make it the current one of its model, in one transaction; the one before retires.

        `StoreError` if the number is taken.
        """
        ...

    def retire_except(self, model_id: str) -> int:
        """Retire other models' generations, after a change of model; return how many."""
        ...

    def remove(self, generation: int) -> bool:
        """Forget a retired generation whose file is gone; return whether there was one."""
        ...
