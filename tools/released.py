"""`python -m tools.released`: what the authors' released predictions find, counted, as data/paper/released.csv.

The files are other people's; the counts are facts about them, and all that Fig. 2 needs.
"""

from __future__ import annotations

from nrsed_lib.evaluate.published import RELEASED_COUNTS, count_released
from nrsed_lib.store import write_table


def main() -> None:
    write_table(RELEASED_COUNTS, count_released())
    print(RELEASED_COUNTS)


if __name__ == "__main__":
    main()
