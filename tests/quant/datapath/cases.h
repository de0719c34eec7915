#pragma once
// Cases of the independent witness in Python (shared/reference/datapath.py), and who computes them.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <istream>
#include <optional>
#include <sstream>

#include "../../../quant/datapath/datapath.h"
#include "../../support.h"

namespace sinter::test {

/// One row: what is asked, and what Python answers.
struct DatapathCase {
  std::string kind, march;  ///< kinds: rescale, narrow, conv, add, sub
  int bits = 8;             ///< of y
  double ratio = 0;         ///< of rescale and narrow
  float s_x = 0, s_w = 0, s_1 = 0, s_2 = 0, s_y = 1, s_skip = 0;
  int64_t a = 0, b = 0;  ///< what is rescaled: an accumulator with its bias and a residual, or two operands
  /// What is written in the file: of add and sub nothing.
  std::optional<int64_t> second, m, pre, post;
  int64_t y = 0;
};

/// The integers for a case, and an output by them.
struct DatapathAnswer {
  quant::Rescaling by;
  int64_t y = 0;
};

inline DatapathCase read_datapath_case(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream row(line);
  for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
  size_t next = 0;
  const auto real = [&] { return std::strtod(cells.at(next++).c_str(), nullptr); };
  const auto scale = [&] { return static_cast<float>(real()); };  // written exactly
  const auto integer = [&] { return std::strtoll(cells.at(next++).c_str(), nullptr, 10); };
  DatapathCase c;
  c.kind = cells.at(next++);
  c.march = cells.at(next++);
  c.bits = static_cast<int>(integer());
  const auto stages = [&] {
    c.m = integer();
    c.pre = integer();
    c.post = integer();
  };
  if (c.kind == "rescale" || c.kind == "narrow") {
    c.ratio = real();
    c.second = 0;
    stages();
    c.a = integer();
  } else if (c.kind == "conv") {
    c.s_x = scale();
    c.s_w = scale();
    c.s_y = scale();
    c.s_skip = scale();
    const int64_t acc = integer(), bias = integer();
    c.a = acc + bias;
    c.b = integer();
    const int64_t left = integer();
    c.second = integer() << left;
    stages();
  } else {
    check(c.kind == "add" || c.kind == "sub", "the kind of ", line, " is unknown");
    c.s_1 = scale();
    c.s_2 = scale();
    c.s_y = scale();
    c.a = integer();
    c.b = integer();
  }
  c.y = integer();
  check(next == cells.size(), "cells are left in ", line);
  return c;
}

/// By the integers of an accumulator those of 8 or 16 bits with the same ratio: without a first shift.
inline quant::Rescaling without_first_shift(quant::Rescaling by) {
  by.post = std::min(by.pre + by.post, 31);
  by.pre = 0;
  return by;
}

/// What is wrong with the answers to the first case that differs; empty where none does. `count` becomes the number of
/// cases.
inline std::string datapath_failure(std::istream& csv, int64_t& count,
                                    const std::function<DatapathAnswer(const DatapathCase&)>& answer) {
  std::string line;
  for (count = 0; std::getline(csv, line); ++count) {
    const DatapathCase c = read_datapath_case(line);
    const DatapathAnswer found = answer(c);
    const quant::Rescaling& by = found.by;
    const auto differs = [](const std::optional<int64_t>& expected, int64_t v) { return expected && *expected != v; };
    if (differs(c.second, by.second) || differs(c.m, by.m) || differs(c.pre, by.pre) || differs(c.post, by.post))
      return text(line, ": the integers are ", to_string(by));
    if (found.y != c.y) return text(line, ": the output is ", found.y, ", expected ", c.y);
  }
  return {};
}

/// The committed cases, which are few.
inline void check_golden_datapaths(const std::function<DatapathAnswer(const DatapathCase&)>& answer) {
  std::ifstream csv(golden_file("datapath.csv"));
  int64_t count = 0;
  CHECK(datapath_failure(csv, count, answer) == "");
  CHECK(count == 3000);
}

/// Three times about 100,000 cases that Python makes now; skipped where there is none, or its script is not beside the
/// repository.
inline void check_new_datapaths(const std::function<DatapathAnswer(const DatapathCase&)>& answer) {
  const std::filesystem::path root = std::filesystem::path(golden_file("")).parent_path().parent_path().parent_path();
  const std::filesystem::path script = root.parent_path() / "shared/reference/datapath.py";
  if (!std::filesystem::exists(script) || std::system("python3 -c '' > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: there is no python3, or no ", script.string());
    return;
  }
  for (const int seed : {101, 202, 303}) {
    CAPTURE(seed);
    FILE* python = popen(text("python3 '", script.string(), "' ", seed, " 100000").c_str(), "r");
    REQUIRE(python != nullptr);
    std::string rows;
    char part[1 << 16];
    for (size_t size = 0; (size = std::fread(part, 1, sizeof part, python)) > 0;) rows.append(part, size);
    REQUIRE(pclose(python) == 0);
    std::istringstream csv(rows);
    int64_t count = 0;
    CHECK(datapath_failure(csv, count, answer) == "");
    CHECK(count > 90000);  // those whose sums are too large are left out
  }
}

}  // namespace sinter::test
