import pytest

from keras_unrolled import InputError
from keras_unrolled.analysis import plots


def test_logs_become_a_line_a_run_and_a_panel_a_column(tmp_path, drawn):
    (tmp_path / "a.csv").write_text("epoch,loss,accuracy\n1,9.0,0.1\n2,2.0,0.5\n3,1.0,0.75\n")
    (tmp_path / "b.csv").write_text("epoch,loss\n1,8.0\n2,4.0\n")
    panels = {
        "both": ("loss", {"a": tmp_path / "a.csv", "b": tmp_path / "b.csv"}),
        "one": ("accuracy", {"a": tmp_path / "a.csv"}),
    }
    path = plots.plot_logs(panels, tmp_path / "out.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    both, one = drawn[0].axes
    assert [axis.get_title() for axis in (both, one)] == ["both", "one"]
    assert [line.get_xydata().tolist() for line in both.lines] == [
        [[1, 9], [2, 2], [3, 1]],
        [[1, 8], [2, 4]],
    ]
    assert [text.get_text() for text in both.get_legend().get_texts()] == ["a", "b"]
    assert one.lines[0].get_ydata().tolist() == [0.1, 0.5, 0.75]


@pytest.mark.parametrize("sign", [1, -1])
def test_first_epochs_of_logs_do_not_squeeze_the_rest(tmp_path, drawn, sign):
    values = [sign * value for value in (1000, 900, *range(20, 4, -1))]
    rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values, start=1))
    (tmp_path / "log.csv").write_text("epoch,loss\n" + rows)
    plots.plot_logs({"one": ("loss", {"a": tmp_path / "log.csv"})}, tmp_path / "out.png")
    low, high = drawn[0].axes[0].get_ylim()
    assert high - low < 20
    assert low < 5 * sign < high


def test_names_are_shown_literally_or_numbered_where_no_font_has_them(tmp_path, drawn):
    plots.plot_confusion([0, 1], [0, 1], ["ca$$h", "$5 and $_10"], tmp_path / "a.png")
    labels = [text.get_text() for text in drawn[0].axes[0].get_xticklabels()]
    assert labels == [r"ca\$\$h", r"\$5 and \$_10"]
    shown, fonts = plots.readable_names(["\U0001f9ff\ue000", "b"])  # no font has this private one
    assert shown == ["class 0", "class 1"]
    assert fonts == ["DejaVu Sans"]
    plots.plot_confusion([0, 1], [0, 1], ["\ue000", "b"], tmp_path / "b.png")


def test_runs_of_one_gating_have_one_color_and_lines_of_their_own(tmp_path, drawn):
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("epoch,loss\n1,2.0\n2,1.0\n")
    panels = {"loss": ("loss", {name: tmp_path / f"{name}.csv" for name in "abc"})}
    plots.plot_logs(panels, tmp_path / "x.png", {"a": "full", "b": "plain", "c": "full"})
    styles = [(line.get_color(), line.get_linestyle()) for line in drawn[0].axes[0].lines]
    assert styles == [("tab:red", "-"), ("tab:gray", "-"), ("tab:red", "--")]
    assert len(set(plots.GATING_COLORS.values())) == 6
    assert drawn[0].axes[0].get_ylabel() == "loss"


def test_log_of_one_epoch_is_seen_and_one_of_none_rejected(tmp_path, drawn):
    (tmp_path / "one.csv").write_text("epoch,loss\n1,2.0\n")
    (tmp_path / "two.csv").write_text("epoch,loss\n1,2.0\n2,1.0\n")
    panels = {"x": ("loss", {name: tmp_path / f"{name}.csv" for name in ("one", "two")})}
    plots.plot_logs(panels, tmp_path / "x.png")
    assert [line.get_marker() for line in drawn[0].axes[0].lines] == ["o", "None"]
    (tmp_path / "none.csv").write_text("epoch,loss\n")
    for column, name in (("loss", "none"), ("accuracy", "one")):
        with pytest.raises(InputError, match=f"Expected the column {column} of one epoch"):
            plots.plot_logs({"x": (column, {"a": tmp_path / f"{name}.csv"})}, tmp_path / "x.png")
