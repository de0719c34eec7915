#include <cmath>
#include <limits>

#include "../../../core/ops/arithmetic.h"
#include "../../../core/ops/cross_entropy.h"
#include "../../../core/ops/pow.h"
#include "../../../core/ops/reduce.h"
#include "../../../nn/losses/bce_with_logits.h"
#include "../../../nn/losses/dice_loss.h"
#include "../../../nn/losses/distillation_loss.h"
#include "../../../nn/losses/focal_loss.h"
#include "../../../nn/losses/giou_loss.h"
#include "../../../nn/losses/huber_loss.h"
#include "../../../nn/losses/kl_div.h"
#include "../../../nn/losses/l1_loss.h"
#include "../../../nn/losses/loss.h"
#include "../../../nn/losses/mse_loss.h"
#include "../../../nn/losses/nll_loss.h"
#include "../../../nn/losses/smooth_l1_loss.h"
#include "../../support.h"

using namespace sinter;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor labels(const Shape& shape, const std::vector<int64_t>& values) { return Tensor::from(shape, values); }

// The case's loss by name, with its attributes and its inputs behind the target as options.
nn::Loss loss_of(const test::GoldenCase& c) {
  std::vector<nn::LossOption> options;
  for (const Field& field : c.attributes) {
    if (field.name == "loss") continue;
    nn::LossOption option{field.name, {}};
    if (const auto* flag = std::get_if<bool>(&field.value)) option.value = *flag;
    if (const auto* integer = std::get_if<int64_t>(&field.value)) option.value = *integer;
    if (const auto* number = std::get_if<double>(&field.value)) option.value = *number;
    if (const auto* word = std::get_if<std::string>(&field.value)) option.value = *word;
    options.push_back(option);
  }
  for (size_t i = 2; i < c.inputs.size(); ++i) options.push_back({c.inputs[i].first, c.inputs[i].second});
  return nn::loss(c.attribute<std::string>("loss"), options);
}

struct PowerOptions {
  double exponent = 2;
};
Tensor power_loss(const Tensor& output, const Tensor& target, const PowerOptions& options) {
  return mean(pow(output - target, options.exponent));
}
const nn::RegisteredLoss<PowerOptions> registered("power", power_loss, {{"exponent", &PowerOptions::exponent}});

}  // namespace

TEST_CASE("losses compute what PyTorch's compute, by name and with their options") {
  for (const auto& c : test::golden("losses")) {
    const nn::Loss loss = loss_of(c);
    CHECK_GOLDEN(c, [&](const std::vector<Tensor>& x) { return loss(x[0], x[1]); });
  }
}

TEST_CASE("losses' gradients are those of finite differences") {
  const Tensor x = test::distinct({3, 4}, 1, 0.2), t = test::normal({3, 4}, 2);
  const Tensor p = Tensor::from({3, 4}, {.1f, .9f, .3f, .6f, .2f, .7f, .5f, .4f, .8f, .35f, .15f, .65f});
  for (const char* name : {"mse", "l1", "smooth_l1", "huber"}) {
    CAPTURE(name);
    CHECK_GRADIENT([loss = nn::loss(name)](const Tensor& a, const Tensor& b) { return loss(a, b); },
                   {x, Tensor::full({3, 4}, 0.03)});
  }
  for (const char* name : {"bce_with_logits", "focal", "kl_div"}) {
    CAPTURE(name);
    CHECK_GRADIENT([loss = nn::loss(name)](const Tensor& a, const Tensor& b) { return loss(a, b); }, {t, p});
  }
  CHECK_GRADIENT([&](const Tensor& a) { return distillation_loss(a, x, {.temperature = 2}); }, {t});
  CHECK_GRADIENT([&](const Tensor& a) { return dice_loss(a, labels({3}, {0, 3, -100})); }, {t});
  CHECK_GRADIENT([&](const Tensor& a) { return nll_loss(a, labels({3}, {0, 3, -100})); }, {t});
  CHECK_GRADIENT([&](const Tensor& a, const Tensor& b) { return cross_entropy(a, b, {.label_smoothing = 0.2}); },
                 {t, p});
  CHECK_GRADIENT(
      [&](const Tensor& a) {
        return cross_entropy(a, labels({3}, {0, 3, -100}),
                             {.label_smoothing = 0.2, .reduction = "none", .weight = Tensor::from({4}, {1, 2, 3, 4})});
      },
      {t});
  const Tensor a = Tensor::from({3, 4}, {0, 0, 2, 2, 1, 1, 4, 3, 0, 0, 1, 1});
  const Tensor b = Tensor::from({3, 4}, {1, 1.5f, 3, 3.5f, 1.5f, 1.5f, 3, 2, 5, 5, 6, 7});
  CHECK_GRADIENT([](const Tensor& u, const Tensor& v) { return giou_loss(u, v); }, {a, b});
}

TEST_CASE("losses do not depend on the number of threads") {
  const Tensor x = test::normal({300, 60}, 1), p = test::normal({300, 60}, 2), t = Tensor::full({300, 60}, 0.25);
  for (const char* name : {"mse", "huber", "bce_with_logits", "focal", "kl_div", "distillation"})
    CHECK_THREADS([loss = nn::loss(name)](const Tensor& a, const Tensor& b) { return loss(a, b); },
                  {x, *name == 'm' ? p : t});
  std::vector<int64_t> target;
  for (int64_t i = 0; i < 300; ++i) target.push_back(i % 7 == 0 ? -100 : i % 60);
  const Tensor classes = labels({300}, target);
  CHECK_THREADS([&](const Tensor& a) { return cross_entropy(a, classes, {.weight = Tensor::full({60}, 0.3)}); }, {x});
}

TEST_CASE("losses of what is extreme are finite, and NaN stays NaN") {
  const Tensor far = Tensor::from({4}, {1e4f, -1e4f, 200, -200}), right = Tensor::from({4}, {1, 0, 1, 0});
  for (const char* name : {"bce_with_logits", "focal"})
    for (const Tensor& target : {right, 1 - right}) {
      CAPTURE(name);
      Tensor x = far.clone();
      x.set_requires_grad(true);
      const Tensor loss = nn::loss(name)(x, target);
      loss.backward();
      CHECK(all_finite(loss));
      CHECK(all_finite(x.grad()));
    }
  {
    Tensor x = far.clone();
    x.set_requires_grad(true);
    focal_loss(x, right, {.gamma = 0.5}).backward();
    CHECK(all_finite(x.grad()));
  }
  const Tensor bad = Tensor::from({1, 4}, {0, kNan, 1, 2}), fine = Tensor::from({1, 4}, {0, 0, 1, 1});
  for (const char* name : {"mse", "l1", "smooth_l1", "huber", "bce_with_logits", "focal", "kl_div", "distillation",
                           "giou", "dice", "cross_entropy"}) {
    CAPTURE(name);
    CHECK(std::isnan(nn::loss(name)(bad, fine).item()));
  }
  CHECK(std::isnan(nll_loss(bad, labels({1}, {1})).item()));
  // An ignored row says nothing, whatever is in it; a mean of no rows is none.
  const Tensor rows = Tensor::from({2, 2}, {kNan, kNan, 0, 0}), target = labels({2}, {-100, 0});
  CHECK_CLOSE(cross_entropy(rows, target), Tensor::full({}, std::log(2)));
  CHECK_CLOSE(nll_loss(rows, target), Tensor::zeros({}));
  CHECK(std::isnan(cross_entropy(rows, labels({2}, {-100, -100})).item()));
  CHECK(std::isnan(nll_loss(rows, labels({2}, {-100, -100})).item()));
  CHECK(giou_loss(Tensor::zeros({0, 4}), Tensor::zeros({0, 4})).item() == 0);
  CHECK(giou_loss(fine, fine).item() == doctest::Approx(0));
}

TEST_CASE("no gradient flows to a teacher") {
  Tensor student = test::normal({2, 3}, 1), teacher = test::normal({2, 3}, 2);
  student.set_requires_grad(true);
  teacher.set_requires_grad(true);
  distillation_loss(student, teacher, {.temperature = 3}).backward();
  CHECK(student.grad().defined());
  CHECK(!teacher.grad().defined());
}

TEST_CASE("a loss of one's own has a name, too") {
  const Tensor x = Tensor::from({2}, {3, 1}), y = Tensor::from({2}, {1, 0});
  CHECK(nn::loss("power")(x, y).item() == 2.5f);
  CHECK(nn::loss("power", {{"exponent", 3}})(x, y).item() == 4.5f);
}

TEST_CASE("losses say what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(nn::loss("mso"), "loss 'mso' is unknown, expected one of: bce_with_logits, cross_entropy, dice");
  CHECK_ERROR(nn::loss("mse", {{"beta", 1}}), "loss 'mse' has no option 'beta', expected one of: reduction");
  CHECK_ERROR(nn::loss("huber", {{"delta", "1"}}), "option delta of a loss is of another type, expected a number");
  CHECK_ERROR(nn::loss("cross_entropy", {{"ignore_index", 0.5}}),
              "ignore_index of a loss is of another type, expected an integer");
  CHECK_ERROR(mse_loss(x, Tensor::zeros({2})),
              "mse_loss: got float32 [2,3] and a target float32 [2], expected both float32 of one shape");
  CHECK_ERROR(l1_loss(x, Tensor::zeros({2, 3}, DType::int64)), "l1_loss: got float32 [2,3] and a target int64 [2,3]");
  CHECK_ERROR(mse_loss(x, x, {.reduction = "average"}), "mse_loss: reduction is 'average', expected mean, sum or none");
  CHECK_ERROR(kl_div(x, x, {.reduction = "average"}), "kl_div: reduction is 'average', expected mean, batchmean");
  CHECK_ERROR(huber_loss(x, x, {.delta = 0}), "huber_loss: delta is 0, expected above 0");
  CHECK_ERROR(smooth_l1_loss(x, x, {.beta = -1}), "smooth_l1_loss: beta is -1, expected 0 or more");
  CHECK_ERROR(focal_loss(x, x, {.alpha = 2}), "focal_loss: alpha is 2, expected at most 1");
  CHECK_ERROR(focal_loss(x, x, {.gamma = -1}), "focal_loss: gamma is -1, expected 0 or more");
  CHECK_ERROR(bce_with_logits(x, x, {.pos_weight = Tensor::zeros({2})}),
              "bce_with_logits: pos_weight is float32 [2], expected float32 that broadcasts to [2,3]");
  CHECK_ERROR(bce_with_logits(x, x, {.weight = Tensor::zeros({1, 2, 3})}), "weight is float32 [1,2,3]");
  CHECK_ERROR(nll_loss(x, labels({2}, {0, 3})), "nll_loss: label 3 of row 1, expected 0..2 (or ignore_index, -100)");
  CHECK_ERROR(nll_loss(x, labels({1}, {0})), "nll_loss: labels are int64 [1], expected int64 [2]");
  CHECK_ERROR(nll_loss(x, labels({2}, {0, 0}), {.weight = x}),
              "nll_loss: weight is float32 [2,3], expected float32 [3]");
  CHECK_ERROR(nll_loss(x, labels({2}, {0, 0}), {.reduction = "all"}), "nll_loss: reduction is 'all'");
  CHECK_ERROR(distillation_loss(x, x, {.temperature = 0}), "distillation_loss: temperature is 0, expected above 0");
  CHECK_ERROR(dice_loss(x, labels({2}, {0, 5})), "dice_loss: label 5 of place 1, expected 0..2");
  CHECK_ERROR(dice_loss(x, labels({3}, {0, 0, 0})), "dice_loss: labels are int64 [3], expected int64 [2]");
  CHECK_ERROR(dice_loss(x, x, {.activation = "relu"}), "dice_loss: activation is 'relu', expected softmax, sigmoid");
  CHECK_ERROR(dice_loss(Tensor::zeros({2, 1}), Tensor::zeros({2, 1})), "is for one class");
  CHECK_ERROR(dice_loss(x, x, {.smooth = 0}), "dice_loss: smooth is 0, expected above 0");
  CHECK_ERROR(giou_loss(x, x), "giou_loss: boxes are [2,3], expected [...,4] of x1, y1, x2, y2");
  CHECK_ERROR(cross_entropy(x, labels({2}, {0, 0}), {.weight = Tensor::zeros({2})}),
              "cross_entropy: weight is float32 [2], expected float32 [3], one for each class");
  CHECK_ERROR(cross_entropy(x, labels({2}, {0, 0}), {.reduction = "all"}),
              "cross_entropy: reduction is 'all', expected mean, sum or none");
}
