"""What the benchmark programs measured, from Google Benchmark's JSON. Used by run and compare."""
import json
import statistics
import sys

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


class Measurement:
    """One benchmark, section/row/column, with all its repetitions."""

    def __init__(self, name):
        self.name = name.removesuffix("/real_time").removesuffix("/process_time")
        self.section, self.row, self.column = (["", ""] + self.name.split("/"))[-3:]
        self.baseline = False
        self.error = None
        self.real, self.cpu = [], []  # nanoseconds a call
        self.counters = {}  # bytes_per_second, items_per_second, percent: of each repetition

    def add(self, entry):
        if entry.get("error_occurred"):
            self.error = entry.get("error_message", "failed")
            return
        unit = NANOSECONDS[entry["time_unit"]]
        self.real.append(float(entry["real_time"]) * unit)
        self.cpu.append(float(entry["cpu_time"]) * unit)
        self.baseline = self.baseline or entry.get("label") == "baseline"
        for name in ("bytes_per_second", "items_per_second", "percent"):
            if name in entry:
                self.counters.setdefault(name, []).append(float(entry[name]))

    def times(self, cpu):
        return self.cpu if cpu else self.real

    def rates(self, name, cpu):
        """Google Benchmark's are by the clock."""
        rates = self.counters[name]
        return [r * real / c for r, real, c in zip(rates, self.real, self.cpu)] if cpu else rates


def measurements(data):
    """By name, in the order in which they first appear. KeyError and the like where data is something else."""
    found = {}
    for entry in data["benchmarks"]:
        if entry.get("run_type", "iteration") == "iteration":  # not the aggregates, which are ours to make
            found.setdefault(entry["name"], Measurement(entry["name"])).add(entry)
    return {m.name: m for m in found.values()}


def load(path, program):
    """The measurements of a file, or the end of the program with a line that says what is wrong with it."""
    try:
        with open(path) as file:
            found = measurements(json.load(file))
    except OSError as error:
        problem = error.strerror
    except (ValueError, KeyError, TypeError, AttributeError):  # of JSON, or of what it holds
        problem = "not JSON as Google Benchmark and bench/run write it"
    else:
        if found:
            return found
        problem = "holds no benchmark"
    print(f"{program}: {path}: {problem}", file=sys.stderr)
    sys.exit(2)


def spread(values):
    """The width of the middle half, as a part of the median."""
    if len(values) < 2:
        return 0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / (statistics.median(values) or 1)


def number(value):
    """Three digits."""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"
