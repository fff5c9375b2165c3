"""Jobs over processes of one machine: the same results as in one, and what goes wrong is said."""

import math

import pytest

from nrsed_lib.processes import each


@pytest.mark.parametrize("nb_processes", [1, 2])
def test_every_job_is_done_once_and_keeps_its_number(nb_processes):
    assert dict(each(math.factorial, range(5), nb_processes)) == {0: 1, 1: 1, 2: 2, 3: 6, 4: 24}


@pytest.mark.parametrize("nb_processes", [1, 2])
def test_what_a_job_raises_is_raised_here(nb_processes):
    with pytest.raises(ValueError, match="negative"):
        list(each(math.factorial, [3, -1], nb_processes))
