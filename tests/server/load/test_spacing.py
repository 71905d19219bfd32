"""Where checkpoints stand: before saved files, before files edited lately, where enough was loaded; not more than are worth it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devserver.messages import Plan
from devserver.server.load import spacing
from devserver.server.load.spacing import Spacing
from devserver.signatures import module_path


def never() -> bool:
    return False


def always() -> bool:
    return True


def test_a_saved_file_gets_a_checkpoint_right_before_it() -> None:
    choice = Spacing(Plan(saved=("/app/shop/views.py", "/app/shop/__init__.py")))
    assert choice.is_due("/app/shop/views", 3, 40, never)
    assert choice.is_due("/app/shop", 3, 40, never)
    assert not choice.is_due("/app/shop/models", 3, 40, never)
    assert not choice.is_due("/app/shop/views", 0.1, 0, never)  # the last checkpoint is as good


def test_little_is_loaded_again_rather_than_frozen() -> None:
    choice = Spacing(Plan())
    assert not choice.is_due("/app/a", spacing.MIN_DISTANCE_MS - 1, 0.1, never)
    assert choice.is_due("/app/a", spacing.MIN_DISTANCE_MS, 0.1, never)


def test_dear_forks_are_rare() -> None:
    choice = Spacing(Plan())
    assert not choice.is_due("/app/a", 100, 6, always)
    assert choice.is_due("/app/a", 120, 6, never)


def test_a_file_edited_lately_is_worth_one_sooner_but_not_all_of_a_fresh_checkout() -> None:
    choice = Spacing(Plan(load_ms=4000))
    for number in range(spacing.MAX_RECENT):
        assert choice.is_due(f"/app/a{number}", spacing.RECENT_DISTANCE_MS, 0.1, always)
        choice.made(f"/app/a{number}", recent=True)
    assert not choice.is_due("/app/b", spacing.RECENT_DISTANCE_MS, 0.1, always)


def test_a_load_of_known_length_is_cut_into_even_parts() -> None:
    choice = Spacing(Plan(load_ms=4000))
    assert not choice.is_due("/app/a", 4000 / spacing.SHARES - 1, 0.1, never)
    assert choice.is_due("/app/a", 4000 / spacing.SHARES, 0.1, never)


def test_the_next_load_has_a_plan_of_its_own() -> None:
    choice = Spacing(Plan(saved=("/app/a.py",)))
    choice.follow(Plan(saved=("/app/b.py",)))
    assert not choice.is_saved("/app/a")
    assert choice.is_saved("/app/b")


@given(st.lists(st.floats(0, 500), max_size=400), st.floats(0, 50), st.sampled_from([0.0, 200.0, 20_000.0]))
def test_checkpoints_are_few_and_their_forks_a_small_part_of_the_load(
    steps: list[float], fork_ms: float, load_ms: float
) -> None:
    choice = Spacing(Plan(load_ms=load_ms))
    since = total = 0.0
    made = 0
    for number, step in enumerate(steps):
        since += step
        total += step
        if choice.is_due(f"/app/m{number}", since, fork_ms, always):
            choice.made(f"/app/m{number}", recent=False)
            made += 1
            since = 0.0
    assert made <= spacing.MAX_CHECKPOINTS
    assert made * fork_ms <= total * spacing.COST_SHARE + 1e-6


def test_the_path_of_a_module() -> None:
    assert module_path("/app/shop/views.py") == "/app/shop/views"
    assert module_path("/app/shop/__init__.py") == "/app/shop"
    assert module_path("/app/speed.cpython-311-x86_64-linux-gnu.so") == "/app/speed"
