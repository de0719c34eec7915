#pragma once
// Cases of the independent witness in Python (shared/reference/datapath.py), and what the library makes of them.

#include <cstdlib>
#include <fstream>
#include <istream>
#include <map>
#include <sstream>

#include "../../../quant/datapath/two_stage.h"
#include "../../support.h"

namespace sinter::test {

inline std::map<std::string, quant::TwoStage> two_stage_marches() {
  return {{"bayes", {}}, {"bayes_e", {}}, {"bernoulli2", {{.max_pre = 31, .shifted_sums = false}}}};
}

/// What is wrong with the library's integers for the first case that differs; empty where none does. `count` becomes
/// the number of cases.
inline std::string datapath_failure(std::istream& csv, int64_t& count) {
  using quant::Grid;
  const auto marches = two_stage_marches();
  std::string line;
  for (count = 0; std::getline(csv, line); ++count) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    size_t next = 0;
    const auto real = [&] { return std::strtod(cells.at(next++).c_str(), nullptr); };
    const auto integer = [&] { return std::strtoll(cells.at(next++).c_str(), nullptr, 10); };
    const std::string kind = cells.at(next++);
    const quant::TwoStage& path = marches.at(cells.at(next++));
    const int bits = static_cast<int>(integer());
    const auto grid = [&](double scale, int of) {
      return Grid{static_cast<float>(scale), quant::type_bounds(of), of > 8 ? DType::int16 : DType::int8, of};
    };
    quant::Rescaling by;
    int64_t a = 0, b = 0, y = 0;
    const quant::Bounds bounds = quant::type_bounds(bits);
    std::string wrong;
    const auto expect_integers = [&](const quant::Rescaling& wanted) {
      if (!(by == wanted)) wrong = text("the integers are ", to_string(by), ", expected ", to_string(wanted));
    };
    const auto stage = [&](quant::Rescaling wanted) {
      wanted.m = static_cast<int32_t>(integer());
      wanted.pre = static_cast<int32_t>(integer());
      wanted.post = static_cast<int32_t>(integer());
      expect_integers(wanted);
    };
    if (kind == "rescale" || kind == "narrow") {
      const double ratio = real();
      // A ratio is one of a unit and a scale of 1; a grid's scale is a float.
      if (kind == "rescale") {
        by = path.accumulator(ratio, grid(1, bits));
      } else {
        by = path.accumulator(ratio, grid(1, bits));
        by.post = std::min(by.pre + by.post, 31);
        by.pre = 0;
      }
      stage({});
      a = integer();
    } else if (kind == "conv") {
      const double s_x = real(), s_w = real(), s_y = real(), s_skip = real();
      const int64_t acc = integer(), bias = integer();
      b = integer();
      a = acc + bias;
      by = path.residual(s_x * s_w, grid(s_skip, 8), grid(s_y, bits));
      const int64_t left = integer(), multiplier = integer();
      quant::Rescaling wanted;
      wanted.second = multiplier << left;
      stage(wanted);
    } else {
      const double first = real(), second = real(), s_y = real();
      a = integer();
      b = integer();
      by = path.sum(first, kind == "sub" ? -second : second, 8, grid(s_y, bits));
    }
    y = integer();
    const int32_t found = path.rescale(a, b, by, bounds);
    if (wrong.empty() && found != y) wrong = text("the output is ", found, ", expected ", y);
    // The kernel, where the output is of 8 bits.
    if (wrong.empty() && a >= INT32_MIN && a <= INT32_MAX) {
      const auto acc = static_cast<int32_t>(a);
      const auto skip = static_cast<int8_t>(b);
      int16_t wide = 0;
      int8_t narrow = 0;
      path.rescaler({{0}, {by}, bounds})
          ->run({.count = 1,
                 .acc = &acc,
                 .b = &skip,
                 .y = bits > 8 ? static_cast<void*>(&wide) : &narrow,
                 .y_type = bits > 8 ? DType::int16 : DType::int8});
      const int made = bits > 8 ? wide : narrow;
      if (made != y) wrong = text("the kernel gives ", made, ", expected ", y);
    }
    if (!wrong.empty()) return text(line, ": ", wrong);
  }
  return {};
}

}  // namespace sinter::test
