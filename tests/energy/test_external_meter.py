"""The file of an external meter: what it is, is found; what is wrong with it, is said and repaired, or refused in one line."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flopbench.energy import clocks, csv_file, external, series
from flopbench.energy.external import Reading
from flopbench.errors import BadInput

START = 1_762_052_645.0  # 2025-11-02T03:04:05Z


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def write(tmp_path, text: str | bytes, name="meter.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(values, header="time,power_w", step=1.0, start=START):
    return "\n".join([header, *(f"{iso(start + i * step)},{value}" for i, value in enumerate(values))]) + "\n"


def load(tmp_path, text, **how):
    return external.load([write(tmp_path, text)], Reading(**how))


def watts(meters):
    """Mean power from the first reading to the last."""
    return external.power(meters, meters.series[0].times[0], meters.series[0].times[-1]).watts


def refusal(tmp_path, text, **how) -> str:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("time,power_w", [500] * 20, 500),
        ("time,Power (kW)", [0.5] * 20, 500),
        ("timestamp,watts", [500] * 20, 500),
        ("time,p [mW]", [500e3] * 20, 500),
        ("time,energy_wh", [1000 + i * 0.5 for i in range(20)], 1800),
        ("time,Energy [kWh]", [1 + i * 0.001 for i in range(20)], 3600),
        ("time,joules", [100 + i * 250 for i in range(20)], 250),
    ],
)
def test_the_unit_is_read_from_the_name_of_the_column(tmp_path, header, values, expected):
    assert watts(load(tmp_path, rows(values, header))) == pytest.approx(expected)


def test_a_column_without_a_unit_asks_for_it(tmp_path):
    assert "--unit" in refusal(tmp_path, rows([500] * 5, "time,value"))
    assert watts(load(tmp_path, rows([0.5] * 5, "time,value"), unit="kW")) == pytest.approx(500)


def test_milli_and_mega_are_not_guessed(tmp_path):
    assert "mW or MW" in refusal(tmp_path, rows([500] * 5, "time,power_mw"))


def test_columns_and_named_meters_are_summed(tmp_path):
    wide = "time;a W;b W;temperature\n" + "".join(f"{START + i:.0f};100;200,5;21\n" for i in range(10))
    meters = load(tmp_path, wide)
    assert watts(meters) == pytest.approx(300.5)
    assert any("not read: temperature" in note for note in meters.notes)
    assert any("decimal comma" in note for note in meters.notes)
    long = "time,meter,power_w\n" + "".join(
        f"{START + i:.0f},{m},{p}\n" for i in range(10) for m, p in (("a", 1), ("b", 2))
    )
    assert watts(load(tmp_path, long)) == pytest.approx(3)


def test_energy_is_taken_where_a_file_has_power_too(tmp_path):
    text = "time,power_w,energy_j\n" + "".join(f"{START + i:.0f},999,{i * 50}\n" for i in range(10))
    meters = load(tmp_path, text)
    assert watts(meters) == pytest.approx(50)
    assert any("power_w" in note for note in meters.notes)


def test_thousands_or_a_decimal_comma_are_asked_where_both_are_possible(tmp_path):
    text = "time;energy_j\n" + "".join(f"{START + i:.0f};1,{100 + i}\n" for i in range(5))
    assert "--decimal" in refusal(tmp_path, text)
    assert watts(load(tmp_path, text, decimal=",")) == pytest.approx(0.001)
    assert watts(load(tmp_path, text, decimal=".")) == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_unix_time_is_read_in_seconds_to_nanoseconds(tmp_path, factor):
    text = "time,power_w\n" + "".join(f"{int(START + i) * factor},7\n" for i in range(10))
    (meter,) = load(tmp_path, text).series
    assert meter.times[0] == pytest.approx(START)


def test_times_without_a_zone_are_refused_until_it_is_given(tmp_path):
    text = "time,power_w\n2025-11-02 04:04:05,5\n2025-11-02 04:04:06,5\n"
    assert "--timezone" in refusal(tmp_path, text)
    (meter,) = load(tmp_path, text, zone=clocks.zone("+01:00")).series
    assert meter.times[0] == START
    (meter,) = load(tmp_path, text.replace("2025-11-02", "02.11.2025"), zone=clocks.zone("+01:00")).series
    assert meter.times[0] == START


def test_an_hour_that_summer_time_repeats_is_refused(tmp_path):
    text = "time,power_w\n2024-10-27 02:30:00,5\n2024-10-27 02:30:01,5\n"
    assert "summer time" in refusal(tmp_path, text, zone=clocks.zone("Europe/Berlin"))


def test_an_unknown_zone_is_refused():
    with pytest.raises(BadInput, match="allowed: UTC"):
        clocks.zone("Mars/Olympus")


def test_gzip_byte_order_mark_and_other_encodings_are_read(tmp_path):
    text = rows([500] * 10)
    assert watts(load(tmp_path, gzip.compress(text.encode()))) == pytest.approx(500)
    assert watts(load(tmp_path, b"\xef\xbb\xbf" + text.encode())) == pytest.approx(500)
    assert watts(load(tmp_path, text.encode("utf-16"))) == pytest.approx(500)


def test_a_damaged_gzip_file_is_refused(tmp_path):
    assert "cut off" in refusal(tmp_path, gzip.compress(rows(range(100, 400)).encode())[:-40])


def test_a_last_line_that_is_cut_off_is_left_out_and_said(tmp_path):
    meters = load(tmp_path, rows([500] * 10)[:-4].rsplit(",", 1)[0])
    assert watts(meters) == pytest.approx(500)
    assert any("cut off" in note for note in meters.notes)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("abc", "line 7: 'abc' is no number"),
        ("-5", "negative power"),
        ("inf", "no finite number"),
        ("1e400", "no finite number"),
        ("1e12", "which no meter sees"),
        ("5,6", "3 columns"),
    ],
)
def test_a_reading_that_cannot_be_is_refused_with_its_place(tmp_path, bad, said):
    assert said in refusal(tmp_path, rows([5, 5, 5, 5, 5, bad, 5]))


def test_a_time_that_is_none_is_refused_with_its_line(tmp_path):
    assert "line 3: 'yesterday' is no time" in refusal(tmp_path, f"time,power_w\n{iso(START)},5\nyesterday,5\n")


@pytest.mark.parametrize("text", ["", "\n\n", "time,power_w\n", "power_w\n5\n", "a,power_w\n5,5\n", "\0\1,\2\n"])
def test_a_file_without_readings_is_refused(tmp_path, text):
    refusal(tmp_path, text)


def test_absent_readings_are_left_out_and_said(tmp_path):
    meters = load(tmp_path, rows([500, "", "NaN", 500, "n/a", 500]))
    assert watts(meters) == pytest.approx(500)
    assert any("3 readings are absent" in note for note in meters.notes)


def test_unsorted_rows_are_sorted_and_said(tmp_path):
    lines = rows([i * 100 for i in range(10)], "time,energy_j").splitlines()
    lines[3], lines[7] = lines[7], lines[3]
    meters = load(tmp_path, "\n".join(lines) + "\n")
    assert watts(meters) == pytest.approx(100)
    assert any("sorted" in note for note in meters.notes)


def test_repeated_times_are_merged_and_said(tmp_path):
    lines = rows([100, 200, 300]).splitlines()
    meters = load(tmp_path, "\n".join([*lines, lines[2].replace("200", "400")]) + "\n")
    assert meters.series[0].values.tolist() == [100, 300, 300]
    assert any("different values: their mean" in note for note in meters.notes)


def test_a_counter_that_wraps_around_goes_on(tmp_path):
    values = [(2**32 - 450 + i * 100) % 2**32 for i in range(10)]
    meters = load(tmp_path, rows(values, "time,energy_j"))
    assert watts(meters) == pytest.approx(100)
    assert any("wrapped around at 4.29497e+09" in note for note in meters.notes)
    odd = [(5000 + i * 100) % 5432 for i in range(10)]
    assert watts(load(tmp_path, rows(odd, "time,energy_j"), counter_max=5432)) == pytest.approx(100)


def test_a_counter_that_is_reset_is_bridged_and_said(tmp_path):
    values = [7000, 7100, 7200, 7300, 0, 100, 200, 300]
    meters = load(tmp_path, rows(values, "time,energy_j"))
    assert watts(meters) == pytest.approx(100)
    assert any("was reset before" in note for note in meters.notes)


@pytest.mark.parametrize("stray", [0, 10**6])
def test_one_reading_off_the_counters_course_is_left_out_and_said(tmp_path, stray):
    values = [1000 + 100 * i for i in range(10)]
    values[4] = stray
    meters = load(tmp_path, rows(values, "time,energy_j"))
    assert watts(meters) == pytest.approx(100)
    assert any("off the counter's course" in note for note in meters.notes)


def test_gaps_over_ten_seconds_and_dead_meters_are_said(tmp_path):
    text = "time,meter,energy_j\n" + "".join(
        f"{START + t},{m},{p * t}\n" for t in [*range(20), *range(40, 60)] for m, p in (("a", 10), ("dead", 0))
    )
    meters = load(tmp_path, text)
    power = external.power(meters, START, START + 59)
    assert power.watts == pytest.approx(10)
    notes = external.gap_notes(meters, [power])
    assert "the longest 21 s" in notes[0] and "dead" in notes[1]


def test_only_readings_wholly_inside_count():
    """A counter read every 10 s: between 15 and 45 s the readings at 20, 30 and 40 s count."""
    column = csv_file.Column("m", "energy", "J", [0, 10, 20, 30, 40, 50], [0, 10, 30, 130, 330, 999])
    one, _ = series.ordered(column, "f", 1.0)
    mean = series.mean_power(one, 15, 45)
    assert (mean.first, mean.last, mean.readings) == (20, 40, 3)
    assert mean.watts == pytest.approx((330 - 30) / 20)


def test_power_samples_are_integrated_by_the_trapezoid_rule():
    one, _ = series.ordered(csv_file.Column("m", "power", "W", [0, 1, 5, 6], [10, 10, 30, 30]), "f", 1.0)
    assert series.mean_power(one, 0, 6).watts == pytest.approx((10 + 4 * 20 + 30) / 6)


def test_a_meter_without_readings_in_the_run_is_refused(tmp_path):
    meters = load(tmp_path, rows([500] * 10))
    with pytest.raises(BadInput, match="--timezone"):
        external.power(meters, START + 3600, START + 3700)
    with pytest.raises(BadInput, match="covers 9%"):
        external.power(meters, START, START + 100)


def test_the_same_file_twice_is_refused(tmp_path):
    paths = [write(tmp_path, rows([5] * 5), name) for name in ("a.csv", "b.csv")]
    with pytest.raises(BadInput, match="count twice"):
        external.load(paths, Reading())


def test_files_that_follow_each_other_are_one_meter(tmp_path):
    head = "time,meter,energy_j"
    a = write(tmp_path, "\n".join([head, *(f"{START + i},m,{i * 10}" for i in range(5))]) + "\n", "a.csv")
    b = write(tmp_path, "\n".join([head, *(f"{START + i},m,{i * 10}" for i in range(5, 9))]) + "\n", "b.csv")
    meters = external.load([b, a], Reading())
    assert len(meters.series) == 1
    assert external.power(meters, START, START + 8).watts == pytest.approx(10)
    c = write(tmp_path, "\n".join([head, *(f"{START + i + 0.5},m,{i * 30}" for i in range(9))]) + "\n", "c.csv")
    assert len(external.load([a, c], Reading()).series) == 2


@pytest.mark.parametrize("late", [15, -15, 3600])
def test_a_meters_clock_that_is_off_is_suspected_and_can_be_corrected(tmp_path, late):
    """Idle 100 W, the run 500 W from 4000 s to 4100 s; the meter's clock is `late` s ahead."""
    times = range(0, 9000, 5)
    text = "time,power_w\n" + "".join(f"{START + t + late},{500 if 4000 <= t <= 4100 else 100}\n" for t in times)
    begin, end = START + 4000, START + 4100
    doubt = external.suspicion(load(tmp_path, text), begin, end)
    assert doubt is not None and "--clock-offset" in doubt
    assert float(doubt.rsplit(" ", 1)[1]) == pytest.approx(late, abs=5)
    right = load(tmp_path, text, clock_offset_s=late)
    assert external.suspicion(right, begin, end) is None
    assert external.power(right, begin, end).watts == pytest.approx(500)


@given(
    st.binary(max_size=300) | st.text(alphabet='time,;\n"0123456789.-+:TZWkh \t\ufeffe', max_size=300).map(str.encode)
)
@example(b'";\n\x01')
def test_whatever_the_bytes_are_the_answer_is_readings_or_one_line(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(raw)
    try:
        meters = external.load([path], Reading(unit="W"))
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert all(len(one.times) > 1 for one in meters.series)


@given(
    st.lists(st.integers(0, 250), min_size=3, max_size=40),
    st.sampled_from(["W", "kW", "J", "Wh", "kWh"]),
    st.sampled_from([(",", "."), (";", ","), ("\t", ".")]),
    st.randoms(use_true_random=False),
)
def test_what_was_written_is_read_in_any_order_and_form(tmp_path_factory, steps, unit, form, random):
    separator, decimal = form
    kind, factor = csv_file.UNITS[unit]
    values = [sum(steps[: i + 1]) / 4 for i in range(len(steps))] if kind == "energy" else [s / 4 for s in steps]
    moments = [START + i for i in range(len(values))]
    lines = [f"{iso(t)}{separator}{value:.2f}".replace(".", decimal) for t, value in zip(moments, values, strict=True)]
    random.shuffle(lines)
    path = tmp_path_factory.getbasetemp() / "form.csv"
    path.write_text("\n".join([f"time{separator}x ({unit})", *lines]) + "\n")
    (one,) = external.load([path], Reading()).series
    assert one.times.tolist() == moments
    assert one.values.tolist() == pytest.approx([value * factor for value in values])


def test_zone_offsets_are_read():
    assert clocks.zone("-03:30").utcoffset(None) == -timedelta(hours=3, minutes=30)
