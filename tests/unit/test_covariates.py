"""Formulas over participants' columns: which columns they are about, what counts as a category, and new people."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.fit.covariates import covariates_of, design_at, design_like, design_of
from humansoft.fit.formulas import names_in
from humansoft.temperature import ByFormula, PerGroup, Temperature

BANDIT = hs.Task.table(
    pd.DataFrame(
        {
            "state": np.repeat(["s0", "s1"], 2),
            "action": ["a0", "a1"] * 2,
            "next_state": "end",
            "x": [0.0, 1.0, 0.5, -0.7],
        }
    ),
    features=["x"],
    discount=0.9,
)
REWARD = hs.LinearReward(fixed={"x": 1.0})
AGE = np.array([61.0, 25.0, 38.0, 44.0, 19.0, 52.0, 33.0, 47.0, 29.0])
GROUP = ["a", "z", "m"] * 3


def people_of(columns: dict[str, object], first: int = 0, decisions: int = 20) -> hs.BehaviorLog:
    """Return people with some columns, who differ in how noisily they decide."""
    table = pd.DataFrame(columns)
    table.insert(0, "subject", [f"p{first + i}" for i in range(len(table))])
    generator = np.random.default_rng(5)
    rows = []
    for place, name in enumerate(table["subject"]):
        temperature = 0.6 + 0.4 * (place % 3) + 0.1 * (place % 2)
        for episode in range(decisions):
            state, gap = (("s0", 1.0), ("s1", -1.2))[episode % 2]
            action = "a1" if generator.random() < 1 / (1 + np.exp(-gap / temperature)) else "a0"
            rows.append((name, episode, 0, state, action))
    frame = pd.DataFrame(rows, columns=["subject", "episode", "step", "state", "action"])
    return hs.read(frame, participants=table)


def design(formula: str | Temperature, columns: dict[str, object]) -> pd.DataFrame:
    log = people_of(columns, decisions=1)
    temperature = ByFormula(formula) if isinstance(formula, str) else formula
    return design_of(temperature, covariates_of(temperature, log, list(log.subjects)))


def fitted(formula: str, columns: dict[str, object]) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(BANDIT, REWARD, formula), people_of(columns), method="hierarchical")


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("~ center(age)", {"age"}),
        ("~ scale(age) + poly(iq, 2, raw=True) + bs(score, df=4)", {"age", "iq", "score"}),
        ("~ C(group, contr.treatment(base='b')) * center(age)", {"age", "group"}),
        ("~ np.log(`my age`) + {iq - 100}", {"my age", "iq"}),
        ("~ Q('my age') + C(group, Sum) + age.clip(0, 3)", {"my age", "group", "age"}),
        ("~ log + abs(age)", {"log", "age"}),
        ("~ 1", set()),
    ],
)
def test_the_columns_of_a_formula_are_found_inside_of_transformations(formula: str, columns: set[str]) -> None:
    assert names_in(formula).columns == columns


@pytest.mark.parametrize(
    ("formula", "centred"),
    [
        ("~ center(age)", AGE - AGE.mean()),
        ("~ scale(age)", (AGE - AGE.mean()) / AGE.std(ddof=1)),
        ("~ poly(age, 1)", (AGE - AGE.mean()) / np.linalg.norm(AGE - AGE.mean())),
    ],
)
def test_transformed_columns_explain(formula: str, centred: np.ndarray) -> None:
    found = design(formula, {"age": AGE})
    assert found.shape == (9, 2)
    np.testing.assert_allclose(found.iloc[:, 1], centred)


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("~ foo(age)", r"calls 'foo', which is no known function\..*np\.sqrt"),
        ("~ centre(age)", r"calls 'centre'.*Did you mean 'center'"),
        ("~ center(agee)", r"no column 'agee'.*Did you mean 'age'"),
        ("~ 0", "has no terms"),
    ],
)
def test_names_that_nobody_knows_are_named(formula: str, sentence: str) -> None:
    with pytest.raises(hs.errors.HumansoftError, match=sentence):
        design(formula, {"age": AGE})


def test_new_people_are_centred_where_the_fit_was() -> None:
    known, others = pd.DataFrame({"age": AGE}), pd.DataFrame({"age": [80.0, 20.0]})
    centred = design_like(ByFormula("~ center(age)"), known, others)["center(age)"]
    np.testing.assert_allclose(centred, [80 - AGE.mean(), 20 - AGE.mean()])
    spline = ByFormula("~ bs(age, df=4)")
    middle = pd.DataFrame({"age": AGE[:3]})
    np.testing.assert_allclose(design_like(spline, known, middle), design_of(spline, known)[:3])
    with pytest.raises(hs.errors.LogError, match=r"cannot be worked out for people.*beyond upper and/or lower bounds"):
        design_like(spline, known, others)


@pytest.mark.parametrize("order", [["a", "m", "z"], ["a", "z", "m"], ["z", "a", "m"]])
def test_codings_follow_the_order_of_the_fit(order: list[str]) -> None:
    """The dummies written by hand; new people bring an order of their own."""
    known = pd.DataFrame({"group": pd.Categorical(GROUP, order)})
    others = pd.DataFrame({"group": pd.Categorical(["m", "z"], ["m", "z"])})
    for formula in ("~ group", "~ C(group)"):
        found = design_like(ByFormula(formula), known, others).to_numpy()
        by_hand = [[1.0, *(float(value == level) for level in order[1:])] for value in ("m", "z")]
        np.testing.assert_array_equal(found, by_hand)
    one = design_at(PerGroup("group"), known, others, "group", "z")
    np.testing.assert_array_equal(one, [[0.0, 0.0, 1.0]] * 2)


def test_categories_that_nobody_has_are_left_out() -> None:
    columns = {"group": pd.Categorical(GROUP, ["q", "z", "nobody", "a", "m"])}
    assert list(design("~ group", columns)) == ["Intercept", "group[T.a]", "group[T.m]"]


@pytest.mark.parametrize(
    ("values", "terms"),
    [
        (pd.Series(GROUP, dtype="string"), ["column[T.m]", "column[T.z]"]),
        (pd.Series(GROUP, dtype="category"), ["column[T.m]", "column[T.z]"]),
        (["1", "2", "1"] * 3, ["column[T.2]"]),
        ([True, False, True] * 3, ["column"]),
        (pd.array([True, False, True] * 3, dtype="boolean"), ["column"]),
        (pd.array([1, 2, 4] * 3, dtype="Int64"), ["column"]),
    ],
)
def test_columns_of_every_type_explain(values: object, terms: list[str]) -> None:
    assert list(design("~ column", {"column": values})) == ["Intercept", *terms]


def test_dates_and_numbers_as_text_are_refused_with_the_way_out() -> None:
    born = pd.Timestamp("1980-01-01") + pd.to_timedelta(np.arange(9), "D")
    with pytest.raises(hs.errors.LogError, match=r"'born' holds dates.*turn it into a number.*dt\.year"):
        design("~ born", {"born": born})
    text = [f"{value:.1f}" for value in AGE[:-1]] + ["?"]
    with pytest.raises(
        hs.errors.LogError, match=r"'age' holds numbers as text.*no numbers are '\?'.*pandas\.to_numeric"
    ):
        design("~ age", {"age": text})
    assert design("~ C(site)", {"site": ["10", "20", "30"] * 3}).shape == (9, 3)
    assert design(PerGroup("site"), {"site": ["10", "20", "30"] * 3}).shape == (9, 3)


@pytest.mark.parametrize("temperature", [ByFormula("~ group + age"), ByFormula("~ C(group) + age")])
def test_levels_that_the_fit_does_not_know_are_named_with_the_person(temperature: Temperature) -> None:
    known = pd.DataFrame({"group": [1, 2, 3] * 3 if "C(" in temperature.formula else GROUP, "age": AGE})  # type: ignore[union-attr]
    others = pd.DataFrame({"group": ["zzz", known["group"][0], "zzz"], "age": ["old"] * 3}, index=["ann", "bob", "cy"])
    with pytest.raises(hs.errors.LogError) as caught:
        design_like(temperature, known, others)
    said = str(caught.value)
    assert (
        "group is 'zzz' of 'ann', 'cy'; its levels in the fit are " + ", ".join(map(repr, sorted(set(known["group"]))))
        in said
    )
    assert "age is a number in the fit, but here 'old' of ann" in said


def test_an_unseen_value_of_a_computed_category_is_not_the_reference() -> None:
    with pytest.raises(hs.errors.LogError, match="cannot be worked out"):
        design_like(
            ByFormula("~ C(np.round(age))"), pd.DataFrame({"age": [1.0, 2.0, 1.0]}), pd.DataFrame({"age": [3.0]})
        )


@pytest.mark.slow
@pytest.mark.parametrize("order", [["a", "z", "m"], ["z", "a", "m"]])
def test_contrasts_do_not_depend_on_the_order_of_levels(order: list[str], tmp_path: Path) -> None:
    plain = hs.compare(fitted("~ group", {"group": GROUP}), by="group")
    fit = fitted("~ group", {"group": pd.Categorical(GROUP, order)})
    pd.testing.assert_frame_equal(hs.compare(fit, by="group"), plain, rtol=1e-4)
    hs.save(fit, tmp_path / "run")
    again = hs.load(tmp_path / "run")
    assert again.population == fit.population
    assert again.population is not None
    assert again.population.covariates["group"].cat.categories.tolist() == order
    pd.testing.assert_frame_equal(hs.compare(again, by="group"), hs.compare(fit, by="group"))


@pytest.mark.slow
def test_people_are_adapted_to_one_after_the_other_as_the_first_fit_says() -> None:
    """A fit of newcomers sees the next ones through the first fit's people, not through its own."""
    fit = fitted("~ center(age) + group", {"age": AGE, "group": GROUP})
    first = hs.adapt(fit, people_of({"age": [70.0], "group": ["m"]}, first=20))
    last = people_of({"age": [22.0], "group": ["z"]}, first=30)
    pd.testing.assert_frame_equal(hs.adapt(first, last).params, hs.adapt(fit, last).params)


@pytest.mark.slow
def test_a_centred_column_gives_newcomers_what_the_column_itself_does() -> None:
    new = people_of({"age": [75.0]}, first=20, decisions=3)
    raw, centred = (hs.adapt(fitted(formula, {"age": AGE}), new) for formula in ("~ age", "~ center(age)"))
    pd.testing.assert_frame_equal(raw.params, centred.params, rtol=1e-3)
