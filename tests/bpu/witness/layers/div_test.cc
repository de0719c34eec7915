#include "../../../../core/ops/arithmetic.h"
#include "../../../../nn/layers/batch_norm2d.h"
#include "../../agreement.h"
#include "../../nets.h"
#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness multiplies with reciprocals, and rounds once") {
  // By 4 and -0.5, whose reciprocals are 1/4 and -2: integers 1 and -8 of 1/4.
  const TwinValue a{{1, 1, 2, 2}, 0.5, {2, 3, -5, 127}}, b{{1, 1, 1, 2}, 0.25, {1, -8}}, y{{1, 1, 2, 2}, 0.5};
  CHECK(twin_of(twin_step("div", ops::Div()), {a, b}, y) == Integers{0, -6, -1, -128});  // 0.5, -6, -1.25, -254
}

TEST_CASE("quotients have the same integers for all, from their file, too") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 6, .kernel = 3}};
    nn::BatchNorm2d norm{6};
    SINTER_CHILDREN(conv, norm)
    Tensor forward(const Tensor& x) const override {
      return (conv(x) / norm.weight) / Tensor::from({6}, {3, 1, 0.25f, -7, 2, 1});
    }
  };
  Net net;
  fill(net);
  net.norm.weight.tensor().copy_from(Tensor::from({6}, {1, -2, 0.5f, 0.75f, 3, -0.3f}));
  const Tensor x = formula_images({3, 6, 6, 3});
  for (const quant::March& march : {quant::March::bernoulli, quant::March::bayes, quant::March::nash})
    for (const char* dtype : {"int8", "int4"}) {
      CAPTURE(describe(march));
      auto model = calibrated(net, x, march, activations_of(dtype));
      check_agreement(model, x);
    }
}
