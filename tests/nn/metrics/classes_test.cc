// Metrics of classes, beside plain loops: accuracy, confusion matrix, per class, mean IoU, dice.
#include <cmath>

#include "../../../core/random.h"
#include "../../../nn/metrics/accuracy.h"
#include "../../../nn/metrics/confusion_matrix.h"
#include "../../../nn/metrics/dice.h"
#include "../../../nn/metrics/mean_iou.h"
#include "../../../nn/metrics/per_class.h"
#include "../../support.h"

using namespace sinter;
using doctest::Approx;

namespace {

// Masks [n,3,4] of `classes` classes with some pixels ignored, and logits for them.
struct Scene {
  nn::Outputs outputs{std::vector<Tensor>{}};
  data::Batch batch;
};

Scene scene(int64_t n, int64_t classes, uint64_t seed, int64_t used) {
  Random random(seed);
  Scene s;
  Tensor logits = Tensor::normal({n, 3, 4, classes}, random), mask = Tensor::empty({n, 3, 4}, DType::int64);
  for (int64_t i = 0; i < mask.elements(); ++i)
    mask.mutable_data<int64_t>()[i] = random.below(8) == 0 ? 255 : random.below(used);
  // Class 3, if there is one that is not used, is never predicted either.
  for (int64_t i = 0; i < mask.elements() && classes > used; ++i)
    logits.mutable_data<float>()[i * classes + used] = -99;
  s.outputs = nn::Outputs({logits});
  s.batch.images = Tensor::zeros({n, 3, 4, 1});
  s.batch.targets["mask"] = mask;
  return s;
}

nn::ClassMetricOptions masks() { return {.ignore_index = 255, .target = "mask"}; }

}  // namespace

TEST_CASE("metrics of classes are those of plain loops, over several batches, with ignored pixels and absent classes") {
  const int64_t classes = 4, used = 3;
  nn::Metrics all{nn::MeanIoU{masks()},
                  nn::Dice{masks()},
                  nn::PerClass{masks()},
                  nn::ConfusionMatrix{masks()},
                  nn::Accuracy{{.ignore_index = 255, .target = "mask"}},
                  nn::Accuracy{{.k = 2, .ignore_index = 255, .target = "mask"}}};
  double counts[4][4] = {};
  double right = 0, right2 = 0, rows = 0;
  for (uint64_t b = 0; b < 3; ++b) {
    const Scene s = scene(b == 2 ? 1 : 2, classes, b, used);
    for (nn::AnyMetric& metric : all) metric->add(s.outputs, s.batch);
    const float* x = s.outputs[0].data<float>();
    for (const int64_t label : s.batch["mask"].values<int64_t>()) {
      if (label != 255) {
        int64_t best = 0, larger = 0;
        for (int64_t c = 0; c < classes; ++c) {
          if (x[c] > x[best]) best = c;
          larger += x[c] > x[label];
        }
        ++counts[label][best];
        right += best == label;
        right2 += larger < 2;
        ++rows;
      }
      x += classes;
    }
  }
  double iou = 0, dice = 0, precision = 0, recall = 0, accuracy = 0;
  for (int64_t c = 0; c < used; ++c) {
    double row = 0, column = 0;
    for (int64_t o = 0; o < classes; ++o) {
      row += counts[c][o];
      column += counts[o][c];
    }
    const double hit = counts[c][c];
    iou += hit / (row + column - hit) / used;
    dice += 2 * hit / (row + column) / used;
    precision += hit / column / used;
    recall += hit / row / used;
    accuracy += (rows - row - column + 2 * hit) / rows / used;
  }
  const nn::Measured m = nn::measured(all);
  CHECK(m.numbers.at("miou") == Approx(iou));
  CHECK(m.numbers.at("dice") == Approx(dice));
  CHECK(m.numbers.at("precision") == Approx(precision));
  CHECK(m.numbers.at("recall") == Approx(recall));
  CHECK(m.numbers.at("class_accuracy") == Approx(accuracy));
  CHECK(m.numbers.at("accuracy") == Approx(100 * right / rows));
  CHECK(m.numbers.at("top2") == Approx(100 * right2 / rows));
  const Tensor& table = m.tables.at("confusion");
  for (int64_t i = 0; i < 16; ++i) CHECK(static_cast<double>(table.data<int64_t>()[i]) == counts[i / 4][i % 4]);
  CHECK(std::isnan(m.tables.at("miou_per_class").at({3})));
  CHECK(m.tables.at("recall_per_class").at({0}) > 0);
}

TEST_CASE("a class that occurs but is never predicted has a precision and IoU of 0") {
  nn::Metrics all{nn::MeanIoU{}, nn::PerClass{}};
  data::Batch batch;
  batch.labels = Tensor::from<int64_t>({2}, {0, 1});
  for (nn::AnyMetric& metric : all) metric->add(nn::Outputs({Tensor::from({2, 3}, {5, 0, 0, 5, 0, 0})}), batch);
  const nn::Measured m = nn::measured(all);
  CHECK(m.numbers.at("precision") == Approx(0.25));
  CHECK(m.numbers.at("recall") == Approx(0.5));
  CHECK(m.numbers.at("miou") == Approx(0.25));
}

TEST_CASE("one logit is a mask of two classes") {
  nn::MeanIoU metric{{.target = "mask"}};
  data::Batch batch;
  batch.targets["mask"] = Tensor::from<int64_t>({1, 2, 2}, {1, 1, 0, 0});
  metric.add(nn::Outputs({Tensor::from({1, 2, 2, 1}, {1, -1, -1, 2})}), batch);
  CHECK(metric.measured().numbers.at("miou") == Approx(1.0 / 3));
}

TEST_CASE("where nothing was seen, numbers are NaN and tables are empty; what is reset is forgotten") {
  nn::Metrics all{nn::MeanIoU{}, nn::Dice{}, nn::PerClass{}, nn::ConfusionMatrix{}, nn::Accuracy{}};
  data::Batch batch;
  batch.labels = Tensor::from<int64_t>({1}, {0});
  for (nn::AnyMetric& metric : all) metric->add(nn::Outputs({Tensor::from({1, 2}, {1, 0})}), batch);
  CHECK(nn::measured(all).numbers.at("miou") == 1);
  nn::Metrics copies = all;
  for (nn::AnyMetric& metric : all) metric->reset();
  for (const auto& number : nn::measured(all).numbers) CHECK(std::isnan(number.second));
  CHECK(nn::measured(all).tables.at("confusion").elements() == 0);
  CHECK(nn::measured(copies).numbers.at("miou") == 1);
}

TEST_CASE("metrics refuse what they are not made for, and names that two have") {
  data::Batch batch;
  batch.labels = Tensor::from<int64_t>({1}, {7});
  const nn::Outputs outputs({Tensor::zeros({1, 3})});
  nn::MeanIoU iou;
  CHECK_ERROR(iou.add(outputs, batch), "miou: label 7 is not in 0..2");
  nn::Accuracy second{{.output = 1}};
  CHECK_ERROR(second.add(outputs, batch), "output 1 (the first is 0) was asked for, but it gave 1 output");
  nn::Dice mask{{.target = "mask"}};
  CHECK_ERROR(mask.add(outputs, batch), "mask");
  batch.labels = Tensor::zeros({1});
  CHECK_ERROR(iou.add(outputs, batch), "miou: labels are float32 [1], expected int64 [1]");
  CHECK_ERROR(nn::measured({nn::MeanIoU{}, nn::MeanIoU{}}), "metrics: two give a number named miou");
  CHECK(nn::measured({nn::MeanIoU{}, nn::MeanIoU{{.name = "other"}}}).numbers.size() == 2);
}
