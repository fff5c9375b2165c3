"""Counts against what can be counted by hand."""

from test_front_end import SMALL, TRAIN

from nrsed_lib.lass.separator import Separator
from nrsed_lib.lass.sizes import block_table, network_costs
from nrsed_lib.profile import Lass


def test_every_parameter_is_in_a_row_or_a_front_layer() -> None:
    separator = Separator(SMALL)
    table = block_table(separator, SMALL, 16000)
    base = separator.net.base
    elsewhere = sum(p.numel() for layer in (base.bn0, base.pre_conv) for p in layer.parameters())
    total = sum(p.numel() for p in separator.net.parameters())
    assert abs(1000 * table["parameters / k"].sum() + elsewhere - total) < 50 * len(table)  # shown to 0.1 k


def test_published_sizes() -> None:
    row = network_costs({"published": Lass(dprnn_layers=6, dprnn_hidden=256, train=TRAIN)}, 16000).iloc[0]
    assert row["parameters / M"] == 54.99  # 58.14 with the kernels of the STFT
    assert 225 < row["GFLOP for 10 s, without DPRNN"] < 245  # measured elsewhere: 240
