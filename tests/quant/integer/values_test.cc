#include "../../../quant/integer/values.h"

#include "../../../core/kernel/bits.h"
#include "../../../core/parallel.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::quant;

TEST_CASE("tensors are quantised as the contract says, each part by its scale") {
  for (const Rounding rounding : {Rounding::half_to_even, Rounding::half_up})
    for (const Shape& shape : {Shape{3, 5, 7}, Shape{2, 16}, Shape{1, 40000}, Shape{300, 257}}) {
      CAPTURE(to_string(shape));
      const Tensor x = test::normal(shape);
      std::vector<float> scales;
      for (int64_t r = 0; r < shape[0]; ++r) scales.push_back(0.01f + 0.001f * static_cast<float>(r % 7));
      const Bounds bounds{-100, 127};
      Tensor y = Tensor::empty(shape, DType::int8), again = Tensor::empty(shape, DType::int8), mask;
      quantize(x, scales, bounds, rounding, y, &mask);
      const int64_t row = x.elements() / shape[0];
      REQUIRE(mask.shape() == Shape{shape[0], kernel::bit_bytes(row)});
      int64_t wrong = 0, clamped = 0;
      for (int64_t i = 0; i < x.elements(); ++i) {
        const float v = x.data<float>()[i], inverse = 1.0f / scales[static_cast<size_t>(i / row)];
        wrong += y.data<int8_t>()[i] != quantize(v, inverse, bounds, rounding);
        const double r = round_as(rounding, static_cast<double>(v * inverse));
        const bool inside = r >= bounds.low && r <= bounds.high;
        wrong += (mask.at<uint8_t>({i / row, i % row / 8}) >> i % row % 8 & 1) != inside;
        clamped += !inside;
      }
      CHECK(wrong == 0);
      CHECK(clamped > 0);
      quantize(x, scales, bounds, rounding, again);
      CHECK_SAME(again, y);
    }
}

TEST_CASE("integers of other types than int8 and where their gradient passes agree with PyTorch") {
  int cases = 0;
  for (const auto& c : test::golden("fake_quant")) {
    if (c.inputs[0].first != "v") continue;
    CAPTURE(c.name);
    ++cases;
    const Tensor &v = c.input("v"), &dy = c.gradient("y");
    const auto scale = static_cast<float>(c.attribute<double>("scale"));
    const Bounds type{static_cast<int32_t>(c.attribute<int64_t>("qmin")),
                      static_cast<int32_t>(c.attribute<int64_t>("qmax"))};
    Tensor q = Tensor::empty(v.shape(), storage_of(type)), mask, y = Tensor::empty(v.shape()),
           dx = Tensor::empty(v.shape());
    quantize(v, {&scale, 1}, type, Rounding::half_to_even, q, &mask);
    for (int64_t i = 0; i < v.elements(); ++i) {
      const int integer = q.dtype() == DType::int16 ? int{q.at<int16_t>({i})} : int{q.at<int8_t>({i})};
      y.mutable_data<float>()[i] = static_cast<float>(integer) * scale;
      dx.mutable_data<float>()[i] = dy.at({i}) * static_cast<float>(mask.at<uint8_t>({0, i / 8}) >> i % 8 & 1);
    }
    CHECK_SAME(y, c.output("y"));
    CHECK_SAME(dx, c.gradient("v"));
  }
  CHECK(cases == 7);
}

TEST_CASE("quantised tensors and masks do not depend on threads") {
  const Tensor x = test::normal({33, 5001});
  const std::vector<float> scales(33, 0.02f);
  const int before = threads();
  std::vector<Tensor> values, masks;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    Tensor mask;
    values.push_back(Tensor::empty(x.shape(), DType::int8));
    quantize(x, scales, {}, Rounding::half_to_even, values.back(), &mask);
    masks.push_back(mask);
  }
  set_threads(before);
  for (size_t i = 1; i < values.size(); ++i) {
    CHECK_SAME(values[i], values[0]);
    CHECK_SAME(masks[i], masks[0]);
  }
}

TEST_CASE("an empty tensor is quantised to an empty one") {
  Tensor y = Tensor::empty({0, 4}, DType::int8), mask;
  const float scale = 1;
  quantize(Tensor::zeros({0, 4}), {&scale, 1}, {}, Rounding::half_to_even, y, &mask);
  CHECK(mask.shape() == Shape{1, 0});
}

TEST_CASE("channels of any type, and where their gradient passes, agree with PyTorch, ties and infinities included") {
  int cases = 0;
  for (const auto& c : test::golden("fake_quant")) {
    if (c.inputs[0].first != "channels") continue;
    CAPTURE(c.name);
    ++cases;
    const Tensor &x = c.input("channels"), &dy = c.gradient("y"), &scales = c.input("scales");
    const Bounds type{static_cast<int32_t>(c.attribute<int64_t>("qmin")),
                      static_cast<int32_t>(c.attribute<int64_t>("qmax"))};
    Tensor q = Tensor::empty(x.shape(), storage_of(type)), mask, y = Tensor::empty(x.shape()),
           dx = Tensor::empty(x.shape());
    quantize(x, scales.values<float>(), type, Rounding::half_to_even, q, &mask);
    for (int64_t o = 0; o < x.size(0); ++o)
      for (int64_t i = 0; i < x.size(1); ++i) {
        const int integer = q.dtype() == DType::int16 ? int{q.at<int16_t>({o, i})} : int{q.at<int8_t>({o, i})};
        const int64_t at = o * x.size(1) + i;
        y.mutable_data<float>()[at] = static_cast<float>(integer) * scales.at({o});
        dx.mutable_data<float>()[at] = dy.at({o, i}) * static_cast<float>(mask.at<uint8_t>({o, i / 8}) >> i % 8 & 1);
      }
    CHECK_SAME(y, c.output("y"));
    CHECK_SAME(dx, c.gradient("channels"));
  }
  CHECK(cases == 4);
}
