#include "expected.h"

#include <algorithm>

namespace sinter::bpu::witness {

namespace {

std::string wrong_bounds(const Site& site, const Twin* twin) {
  const Value& y = site.y();
  if (!y.is_integer()) return {};
  // Of the type; from 0 where narrow values are never negative; and one less below where both ends are to be alike.
  const int64_t half = int64_t{1} << (y.bits - 1);
  const bool from_zero = y.bits < 8 && y.low == 0;
  int64_t low = from_zero ? 0 : -half, high = from_zero ? 2 * half - 1 : half - 1;
  if (y.low == 1 - half) low = 1 - half;
  if (twin != nullptr && twin->passes()) {
    low = site.x().low;
    high = site.x().high;
  }
  if (twin != nullptr) twin->bound(site, low, high);
  if (y.low == low && y.high == high) return {};
  return text("\n  ", y.name, ": its bounds are ", y.low, "..", y.high, ", expected ", low, "..", high);
}

std::string wrong_rescalings(const Site& site, const Twin& twin) {
  const std::vector<quant::Rescaling>& found = site.step.rescale;
  const std::string& name = site.y().name;
  if (site.y().dtype == DType::int32) return {};  // accumulators
  const std::vector<quant::Rescaling> expected = twin.rescalings(site);
  if (expected.size() != found.size())
    return text("\n  ", name, ": it has ", found.size(), " rescalings, expected ", expected.size());
  std::string wrong;
  for (size_t c = 0; c < expected.size(); ++c)
    if (!(found[c] == expected[c]))
      wrong += text("\n  ", name, ", ", twin.place(), " ", c, ": ", to_string(found[c]), ", expected ",
                    to_string(expected[c]));
  return wrong;
}

std::string wrong_scale(const Site& site, const Twin& twin) {
  const Value &x = site.x(), &y = site.y();
  if (!twin.passes() || x.scale == y.scale) return {};
  return text("\n  ", y.name, ": its scale is ", y.scale, ", expected that of ", x.name, ", ", x.scale);
}

}  // namespace

std::string wrong_integers(const Program& program, const Instruction& step) {
  const Site site{program, step};
  const Twin* twin = step.on_bpu() ? &twin_of(step) : nullptr;
  std::string wrong = wrong_bounds(site, twin);
  if (twin != nullptr) wrong += wrong_rescalings(site, *twin) + wrong_scale(site, *twin) + twin->wrong(site);
  return wrong;
}

Plain run_layer(const Program& program, const Instruction& step, const std::vector<const Plain*>& in) {
  const Value& value = program.values[static_cast<size_t>(step.output)];
  Plain y = twin_of(step).run({program, step}, in, value.shape.with(0, images(in)));
  if (value.is_integer())
    for (int64_t& v : y.values) v = std::clamp<int64_t>(v, value.low, value.high);
  return y;
}

}  // namespace sinter::bpu::witness
