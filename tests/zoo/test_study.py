"""The study of iterative estimation: verdicts follow the numbers, and the page follows the tables."""

import json

import pytest

from zoo import study
from zoo.iteration_claims import CLAIMS, FAILS, HOLDS, OPEN

LESIONS = """block,how,recalibrated,n,accuracy,low,high,difference
none,none,False,10,0.123456789,0.1,0.2,0.0
stage1_block1,identity,False,10,0.1,0.05,0.2,-0.02
"""
MEASURES = {claim.name: claim.measure for claim in CLAIMS}


def errors(*values, width=0.01):
    return [
        {
            "stage": 1.0,
            "block": f"stage1_block{i}",
            "normalized": v,
            "low": v - width if v else 0.0,
            "high": v + width if v else 0.0,
            "network": "model",
        }
        for i, v in enumerate(values, start=1)
    ]


def changes(*differences, width=0.005, **columns):
    return [
        {
            "block": f"stage1_block{i}",
            "how": "identity",
            "recalibrated": False,
            "accuracy": 0.9 + d,
            "difference": d,
            "low": 0.9 + d - width,
            "high": 0.9 + d + width,
            **columns,
        }
        for i, d in enumerate(differences, start=1)
    ]


@pytest.mark.parametrize(
    ("claim", "tables", "verdict", "text"),
    [
        (
            "error falls",
            {"estimation_error": errors(0.9, 0.5, 0.0)},
            HOLDS,
            "1 of 1 steps fall, by 0.40",
        ),
        ("error falls", {"estimation_error": errors(0.5, 0.9, 0.0)}, FAILS, "0 of 1"),
        ("error falls", {"estimation_error": errors(0.9, 0.89, 0.0)}, OPEN, "0 of 1"),
        ("first estimate", {"estimation_error": errors(0.9, 0.0)}, HOLDS, "0.90"),
        ("first estimate", {"estimation_error": errors(1.2, 0.0)}, FAILS, "1.20"),
        ("first estimate", {"estimation_error": errors(1.005, 0.0)}, OPEN, ""),
        ("lesions", {"lesion": changes(-0.001, 0.002)}, HOLDS, "-0.1 to +0.2 points"),
        ("lesions", {"lesion": changes(-0.3, 0.002)}, FAILS, "-30.0 to +0.2 points"),
        ("lesions", {"lesion": changes(-0.021, 0.0)}, OPEN, ""),
        ("lesions, recalibrated", {"lesion": changes(-0.3, recalibrated=True)}, FAILS, ""),
        ("repeats", {"repeat": changes(-0.3, 0.0, times=2.0)}, HOLDS, "+0.0 to +0.0"),
        (
            "swaps",
            {"shuffle": changes(-0.2, kind="swap", discordant=1.0)},
            FAILS,
            "-20.0 to -20.0 points",
        ),
        (
            "E[F] = 0",
            {"residual_mean": [{"of": "residual", "share": 0.3, "low": 0.2}]},
            FAILS,
            "30% to 30%",
        ),
        (
            "descent",
            {"geometry": [{"gradient_cosine": 0.1, "low": 0.05, "high": 0.15, "at": "input"}]},
            HOLDS,
            "+0.100",
        ),
        (
            "separation",
            {"separation": [{"r2": 0.95, "slope": -0.5}]},
            HOLDS,
            "0.61 a block, R² 0.95",
        ),
        (
            "optimal gates",
            {
                "optimal_gate": [
                    {"tautology": True, "correlation": 0.1, "trained": 0.5, "optimal": 0.9},
                    {"tautology": False, "correlation": 0.8, "trained": 0.5, "optimal": 0.4},
                ]
            },
            HOLDS,
            "0.80 to 0.80, means up to 0.10",
        ),
    ],
    ids=str,
)
def test_verdicts_follow_the_numbers(claim, tables, verdict, text):
    found = MEASURES[claim](tables)
    assert found[1] == verdict
    assert text in found[0]


def test_claims_that_were_not_measured_are_left_empty():
    assert {claim.measure({}) for claim in CLAIMS} == {None}
    table = study.make_results_table({"net": {}}, {"net": 7})
    assert table.splitlines()[-1] == "| `net` | 7 |" + "  |" * len(CLAIMS)


def test_report_is_adopted_with_short_numbers(tmp_path, monkeypatch, capsys):
    report = tmp_path / "report"
    report.mkdir()
    (report / "lesion.csv").write_text(LESIONS)
    (report / "gate_stats_position.csv").write_text("row\n1\n")
    facts = {"preset": "highway_bn_cifar10", "dataset": "cifar10", "split": "test", "n": 10}
    command = (
        "keras-unrolled analyze highway_bn_cifar10 --out /tmp/a --data-dir '/my data' --limit 9"
    )
    settings = {"seed": 0, "seconds": "1", "command": command}
    facts |= {"notes": [], "settings": settings, "seconds": 3}
    (report / "report.json").write_text(json.dumps(facts))
    page = tmp_path / "page.md"
    page.write_text(study.PAGE.read_text())
    monkeypatch.setattr(study, "STUDY", tmp_path / "analysis")
    monkeypatch.setattr(study, "PAGE", page)
    monkeypatch.setattr(study, "SHOWN", "highway_bn_cifar10")
    monkeypatch.setattr(study, "FIGURE", tmp_path / "lesions.png")
    assert study.main([str(report)]) == 0
    place = tmp_path / "analysis" / "highway_bn_cifar10"
    assert sorted(p.name for p in place.iterdir()) == ["lesion.csv", "report.json"]
    assert "none,none,False,10,0.123457," in (place / "lesion.csv").read_text()
    adopted = (place / "report.json").read_text()
    assert "seconds" not in adopted
    assert "--out reports/highway_bn_cifar10 --data-dir DIR --limit 9" in adopted
    assert "/tmp" not in adopted
    assert "| `highway_bn_cifar10` | 10 |" in page.read_text()
    facts["preset"] = "somebody's"
    (report / "report.json").write_text(json.dumps(facts))
    assert study.main([str(report)]) == 2
    assert "Expected the report of a preset" in capsys.readouterr().err


def test_gates_of_language_models_have_a_table_of_their_own():
    row = {"block": "layer1", "gate": "transform", "kind": "free", "mean": 0.25, "std": 0.1}
    row |= {"between_images": 0.05, "shut": 0.12, "open": 0.0, "low": 0.24, "high": 0.26}
    table = study.make_language_table({"lm": {"gate_stats": [row]}}, {"lm": 7})
    assert table.splitlines()[-1] == (
        "| `lm` | 7 | layer1 | T, free | 0.250 (0.240 to 0.260) | 0.100 | 0.050 | 12.0% | 0.0% |"
    )


def test_page_has_what_the_tables_say(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(study.PAGE.read_text())
    monkeypatch.setattr(study, "PAGE", page)
    monkeypatch.setattr(study, "FIGURE", tmp_path / "lesions.png")
    study.write_page()
    assert (tmp_path / "lesions.png").stat().st_size > 10_000
    assert page.read_text() == study.PAGE.read_text()
    assert page.read_text() == (study.ROOT / "docs/iterative_estimation.md").read_text()
