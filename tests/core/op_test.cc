#include "../../core/op.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/conv2d.h"
#include "../../core/ops/relu.h"
#include "../support.h"

using namespace sinter;

namespace {

struct AllAttributes {
  bool flag = true;
  int64_t count = -3;
  double rate = 0.1;
  std::string mode = "same";
  std::vector<int64_t> axes{1, -2};
  std::vector<int64_t> none{};
};
SINTER_FIELDS(AllAttributes, flag, count, rate, mode, axes, none)

// 2 x; optionally with a result that no gradient fits, or none at all.
struct Twice : Op {
  std::string_view name() const override { return "twice"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context& context) const override {
    const float* in = x[0].data<float>();
    float* out = y[0].mutable_data<float>();
    for (int64_t i = 0; i < x[0].elements(); ++i) out[i] = 2 * in[i];
    recorded = context.recording();
    trained = context.training();
  }
  static inline bool recorded = false, trained = false;
};

struct WithAttributes final : OpWith<AllAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "with"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs, Outputs, Context&) const override {}
};

struct Overwriting final : Twice {
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

// The input's elements as one axis.
struct Flat final : Op {
  std::string_view name() const override { return "flat"; }
  Specs infer(std::span<const Spec> x) const override { return {{x[0].dtype, {x[0].shape.elements()}}}; }
  void forward(Inputs, Outputs, Context&) const override {}
  Aliasing aliasing() const override { return Aliasing::view; }
};

struct WrongGradient final : Twice {
  void backward(const Context&, Outputs, Gradients& dx) const override { dx.set(0, Tensor::ones({7})); }
};

struct NoGradient final : Twice {
  void backward(const Context&, Outputs, Gradients&) const override {}
};

struct Flow final : Twice {
  bool differentiable() const override { return false; }
};

}  // namespace

TEST_CASE("attributes are listed by name, in order, with their values") {
  const std::vector<Field> fields = WithAttributes{}.fields();
  std::string printed;
  for (const Field& field : fields) printed += to_string(field) + "\n";
  CHECK(printed == "flag=true\ncount=-3\nrate=0.1\nmode=same\naxes=[1,-2]\nnone=[]\n");
  CHECK(fields == WithAttributes{}.fields());
  CHECK(fields != WithAttributes({.count = 4}).fields());
  CHECK(std::get<int64_t>(WithAttributes({.count = 4}).fields()[1].value) == 4);
  CHECK(Twice{}.fields().empty());
}

TEST_CASE("fields differ in name, value and type") {
  CHECK(Field{"a", int64_t{1}} == Field{"a", int64_t{1}});
  CHECK(Field{"a", int64_t{1}} != Field{"b", int64_t{1}});
  CHECK(Field{"a", int64_t{1}} != Field{"a", 1.0});
  CHECK(Field{"a", int64_t{1}} != Field{"a", true});
}

TEST_CASE("names of members are cut off one by one") {
  std::string_view names = "a,  bc ,d";
  CHECK(detail::next_name(names) == "a");
  CHECK(detail::next_name(names) == "bc");
  CHECK(detail::next_name(names) == "d");
  CHECK(detail::next_name(names) == "");
}

TEST_CASE("an undefined input is an error that names the operation") {
  CHECK_ERROR(call(Twice{}, Tensor()), "twice: input 0 is an undefined tensor");
  CHECK_ERROR(Tensor::ones({1}) + Tensor(), "add: input 1 is an undefined tensor");
}

TEST_CASE("an operation sees the mode, and whether a gradient may be asked for") {
  const Tensor x = Tensor::ones({2});
  Tensor leaf = Tensor::ones({2}).set_requires_grad(true);
  call(Twice{}, x);
  CHECK(!Twice::recorded);
  CHECK(!Twice::trained);
  call(Twice{}, leaf);
  CHECK(Twice::recorded);
  {
    const NoGrad no_grad;
    const TrainingMode training(true);
    CHECK(!call(Twice{}, leaf).requires_grad());
    CHECK(!Twice::recorded);
    CHECK(Twice::trained);
  }
  CHECK(!call(Flow{}, leaf).requires_grad());
  CHECK(!Twice::recorded);
}

TEST_CASE("an operation without a gradient, or with a wrong one, is named when it is asked for") {
  Tensor leaf = Tensor::ones({1}).set_requires_grad(true);
  CHECK_ERROR(call(Twice{}, leaf).backward(), "twice: a gradient was asked for, but this operation defines none");
  CHECK_ERROR(call(WrongGradient{}, leaf).backward(),
              "twice: gradient of input 0 is float32 [7], expected float32 [1]");
  CHECK_ERROR(call(NoGradient{}, leaf).backward(), "twice: backward set no gradient for input 0");
}

TEST_CASE("an input that is given away is overwritten") {
  Tensor x = Tensor::from({2}, {1, 2});
  const float* before = x.data<float>();
  const Tensor y = call(Overwriting{}, std::move(x));
  CHECK(y.data<float>() == before);
  CHECK(y.at({1}) == 4);

  Tensor z = Tensor::from({2}, {1, 2});
  before = z.data<float>();
  CHECK(call(Twice{}, std::move(z)).data<float>() != before);
}

TEST_CASE("an input that somebody else holds is never overwritten") {
  const auto safe = [](Tensor x, const Tensor& holder) {
    const Tensor before = holder.clone();
    const Tensor y = call(Overwriting{}, std::move(x));
    return test::difference(holder, before, 0, 0).empty() && y.at({0}) == 2;
  };
  const Tensor x = Tensor::from({2}, {1, 2});
  CHECK(safe(x, x));
  CHECK(safe(x.detach(), x));
  Tensor once = x.clone();
  const Tensor view = call(Flat{}, once);
  CHECK(safe(std::move(once), view));

  // The same elements twice.
  Tensor both = x.clone();
  const Tensor sum = both + both;
  CHECK(both.at({1}) == 2);
  CHECK(sum.at({1}) == 4);

  // What the tape keeps.
  Tensor leaf = Tensor::from({2}, {-1, 3}).set_requires_grad(true);
  Tensor product = leaf * leaf;
  Tensor square = product * product;
  call(Overwriting{}, std::move(product));
  CHECK_NOTHROW(square.backward(Tensor::ones({2})));
  CHECK_SAME(leaf.grad(), Tensor::from({2}, {-4, 108}));
}

TEST_CASE("a result of another shape or a broadcast operand gets its own memory") {
  Tensor small = Tensor::ones({1, 2});
  const float* before = small.data<float>();
  const Tensor y = std::move(small) + Tensor::ones({3, 2});
  CHECK(y.shape() == Shape{3, 2});
  CHECK(y.data<float>() != before);
  CHECK(y.at({2, 1}) == 2);
}

TEST_CASE("a view is its input's memory") {
  const Tensor x = Tensor::from({2, 2}, {1, 2, 3, 4});
  const Tensor y = call(Flat{}, x);
  CHECK(y.data<float>() == x.data<float>());
  CHECK(y.shape() == Shape{4});
}

TEST_CASE("elements are reused for what a backward computes, when nobody else has them") {
  const Tensor x = Tensor::ones({3});
  CHECK(reuse_or_empty(x).data<float>() == x.data<float>());
  const Tensor held = x;
  CHECK(reuse_or_empty(x).data<float>() != x.data<float>());
  const Tensor integers = Tensor::ones({3}, DType::int32);
  CHECK(reuse_or_empty(integers).dtype() == DType::float32);
}

TEST_CASE("multiply-accumulates are zero unless an operation says more") {
  const Specs one{{DType::float32, {1}}};
  CHECK(Twice{}.macs(one) == 0);
  const Specs conv{{DType::float32, {2, 8, 8, 4}}, {DType::float32, {6, 3, 3, 4}}};
  CHECK(ops::Conv2d{{.padding = 1}}.macs(conv) == 2 * 8 * 8 * 6 * 3 * 3 * 4);
}
