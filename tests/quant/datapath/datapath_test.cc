#include "../../../quant/datapath/datapath.h"

#include "../../../bpu/compile.h"
#include "../../../bpu/simulator.h"
#include "../../../quant/march.h"
#include "../../support.h"
#include "../networks.h"
#include "../prepared.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

struct HalfNumbers {
  int64_t extra = 0;
};
SINTER_FIELDS(HalfNumbers, extra)

// A user's own: as `single`, but everything is rounded down.
class Floor final : public DatapathWith<HalfNumbers> {
 public:
  using DatapathWith::DatapathWith;
  std::string_view name() const override { return "floor"; }
  void validate() const override { check(numbers.extra >= 0, "datapath floor: extra is ", numbers.extra); }
  Rescaling accumulator(double unit, const Grid& y) const override {
    return ratio(unit / static_cast<double>(y.scale), 0);
  }
  Rescaling residual(double unit, const Grid& skip, const Grid& y) const override {
    return ratio(unit / static_cast<double>(y.scale), static_cast<double>(skip.scale) / static_cast<double>(y.scale));
  }
  double least_unit(const Grid&) const override { return 0; }
  Rescaling narrow(const Grid& x, const Grid& y) const override { return accumulator(x.scale, y); }
  Rescaling sum(double a, double b, int, const Grid& y) const override {
    return ratio(a / static_cast<double>(y.scale), b / static_cast<double>(y.scale));
  }
  Rescaling mean(double unit, int64_t count, const Grid& y) const override {
    return accumulator(unit / static_cast<double>(count), y);
  }
  int32_t rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const override {
    return static_cast<int32_t>(std::clamp<int64_t>((by.first * a + by.second * b) >> by.post, y.low, y.high));
  }
  int64_t limit() const override { return int64_t{1} << 60; }
  ShiftRounding shift_rounding() const override { return ShiftRounding::down; }

 protected:
  const char* fault(const Rescaling& by) const override { return by.post == 24 ? nullptr : "its shift is not 24"; }

 private:
  static Rescaling ratio(double a, double b) {
    return {static_cast<int64_t>(std::ldexp(a, 24)), static_cast<int64_t>(std::ldexp(b, 24)), 0, 1, 24};
  }
};

const RegisteredDatapath<Floor> registered("floor");

}  // namespace

TEST_CASE("datapaths are found by name, with their numbers") {
  CHECK(datapath_names() == std::vector<std::string>{"floor", "shift", "single", "two_stage"});
  CHECK(to_string(*make_datapath("two_stage")) == "two_stage (max_pre=17, shifted_sums=true, rounds=true)");
  CHECK(to_string(*make_datapath("single", std::vector<Field>{{"max_shift", int64_t{20}}})) ==
        "single (multiplier_bits=15, max_shift=20)");
  CHECK(*make_datapath("shift") == *make_datapath("shift"));
  CHECK_FALSE(*make_datapath("shift") == *make_datapath("single"));
  CHECK_FALSE(*make_datapath("two_stage") == *make_datapath("two_stage", std::vector<Field>{{"max_pre", int64_t{31}}}));
  CHECK_ERROR(make_datapath("twostage"),
              "datapath 'twostage' is unknown, expected one of: floor, shift, single, two_stage");
  CHECK_ERROR(make_datapath("two_stage", std::vector<Field>{{"max_pre", int64_t{32}}}),
              "datapath two_stage: max_pre is 32, expected 0 to 31");
}

TEST_CASE("the integers of a rescaling are printed as what is computed") {
  CHECK(to_string(Rescaling{}) == "a");
  CHECK(to_string(Rescaling{1, 0, 3, 20000, 12}) == "a >> 3 * 20000 >> 12");
  CHECK(to_string(Rescaling{4, 3, 0, 1, 8}) == "(4 a + 3 b) >> 8");
  CHECK(to_string(Rescaling{4, -3, 0, 1, 8}) == "(4 a - 3 b) >> 8");
}

TEST_CASE("sums that could leave what a datapath holds are refused") {
  for (const char* name : {"two_stage", "shift"}) {
    const DatapathValue path = make_datapath(name);
    path->check_rescaling({1, 0, 0, 1, 8}, INT32_MAX, 0);
    CHECK_ERROR(path->check_rescaling({2, 0, 0, 1, 8}, INT32_MAX, 0), "the sum may reach ");
    CHECK_ERROR(path->check_rescaling({1, 1, 0, 1, 8}, INT32_MAX, 1), ", which is what the datapath ");
    CHECK_ERROR(path->check_rescaling({1, int64_t{1} << 62, 0, 1, 8}, 1, 128), "the sum may reach ");
  }
  CHECK_ERROR(make_datapath("two_stage")->check_rescaling({1, 0, 18, 1, 8}, 1, 0), "its first shift is out");
  CHECK_ERROR(make_datapath("two_stage")->check_rescaling({1, 0, 0, 1 << 15, 8}, 1, 0), "does not fit 16 bits");
  CHECK_ERROR(make_datapath("two_stage")->check_rescaling({1, 0, 0, 1, 32}, 1, 0), "its second shift is out of 0..31");
  CHECK_ERROR(make_datapath("shift")->check_rescaling({1, 0, 1, 1, 8}, 1, 0), "it has a first shift");
}

TEST_CASE("a network runs on a datapath of the user's own, and its program loads again") {
  March march = March::bayes;
  march.name = "mine";
  march.datapath = make_datapath("floor", std::vector<Field>{{"extra", int64_t{3}}});
  const Tensor x = test::images({3, 8, 8, 3}, 1);
  PreparedModel model = test::calibrated({.march = march});
  set_fake_quantize(model, FakeQuantState::validation);
  const Tensor validated = model(x);
  const test::TemporaryDirectory directory;
  bpu::save(bpu::compile(model), directory / "program");
  const bpu::Program program = bpu::load_program(directory / "program");
  CHECK(to_string(*program.march.datapath) == "floor (extra=3)");
  CHECK_SAME(bpu::Simulator(program)(x), validated);
}
