"""The external field of a run: its sweep, its loop, its table."""

import numpy as np
import pytest

from nrp.simulation import CampaignSettings, ExternalField

TIMES = (0.0, 50.0, 150.0, 151.0, 300.0, 450.0, 700.0)
JUMP = ((0.0, 1.5), (150.0, 1.5), (150.0, 0.5), (300.0, -1.0))


@pytest.mark.parametrize(
    ("changes", "rate", "kinks", "values", "slopes"),
    [
        ({}, 0.01, (0, 150), (1.5, 1, 0, 0, 0, 0, 0), (-1, -1, 0, 0, 0, 0, 0)),
        ({"duration": 9}, 0.0, (0,), (1.5,) * 7, (0,) * 7),
        (
            {"field_final": -1.5},
            0.01,
            (0, 300),
            (1.5, 1, 0, -0.01, -1.5, -1.5, -1.5),
            (-1, -1, -1, -1, 0, 0, 0),
        ),
        (
            {"field_final": -1.5, "field_loop": True},
            0.01,
            (0, 300, 600),
            (1.5, 1, 0, -0.01, -1.5, 0, 1.5),
            (-1, -1, -1, -1, 1, 1, 0),
        ),
        ({"field_init": -1.0}, 0.01, (0, 100), (-1, -0.5, 0, 0, 0, 0, 0), (1, 1, 0, 0, 0, 0, 0)),
        (
            {"field_table": JUMP, "sweep_rate": (0.0,)},
            0.0,
            (0, 150, 300),
            (1.5, 1.5, 0.5, 0.49, -1, -1, -1),
            (0, 0, -1, -1, 0, 0, 0),
        ),
    ],
    ids=["sweep", "hold", "through zero", "loop", "from below", "table with a step"],
)
def test_the_field_follows_its_protocol(changes, rate, kinks, values, slopes):
    field = ExternalField.of(CampaignSettings.parse(changes), rate)
    assert field.kinks == kinks
    assert [field(t) for t in TIMES] == pytest.approx(values)
    np.testing.assert_allclose(field.at(np.array(TIMES)), values, atol=1e-12)
    assert [field.slope(t) for t in TIMES] == pytest.approx([0.01 * s for s in slopes])
    for t in TIMES[:4]:
        assert field.piece(t) is field.piece(t)  # or the multistep scheme would begin anew
    assert field.piece(149.0)(150.0) == pytest.approx(1.5 if field.kinks == (0, 150, 300) else field(150.0))
