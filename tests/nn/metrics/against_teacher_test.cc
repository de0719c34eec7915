#include "../../../nn/metrics/against_teacher.h"

#include <cmath>

#include "../../../nn/metrics/worst_images.h"
#include "../../support.h"

using namespace sinter;
using doctest::Approx;

TEST_CASE("SQNR, cosine and agreement with a teacher are those of the definition") {
  const Tensor x = Tensor::from({2, 2}, {1, 2, 4, 3}), y = Tensor::from({2, 2}, {1, 2.5, 3, 3.5});
  nn::AgainstTeacher metric{
      nn::AgainstTeacher::Teacher([&](std::span<const Tensor>) { return std::vector<Tensor>{x}; })};
  data::Batch batch;
  batch.images = Tensor::zeros({2, 1, 1, 1});
  for (int i = 0; i < 2; ++i) metric.add(nn::Outputs({y}), batch);
  const auto numbers = metric.measured().numbers;
  CHECK(numbers.at("sqnr") == Approx(10 * std::log10(30 / (0.25 + 1 + 0.25))));
  CHECK(numbers.at("cosine") == Approx((1 + 5 + 12 + 10.5) / std::sqrt(30 * (1 + 6.25 + 9 + 12.25))));
  CHECK(numbers.at("agreement") == 50);
  metric.reset();
  CHECK(std::isnan(metric.measured().numbers.at("sqnr")));
  metric.add(nn::Outputs({x}), batch);
  CHECK(std::isinf(metric.measured().numbers.at("sqnr")));
  CHECK(metric.measured().numbers.at("agreement") == 100);
  CHECK_ERROR(metric.add(nn::Outputs({x, y}), batch), "against teacher: the network has 2 outputs, the teacher 1");
}

TEST_CASE("the worst images are shown, the worst first") {
  nn::WorstImages metric{{.count = 2, .classes = {"shirt", "shoe"}}};
  data::Batch batch;
  batch.images = Tensor::from({3, 1, 2, 1}, {0, 1, -1, 1, 5, 5});
  batch.labels = Tensor::from<int64_t>({3}, {0, 1, 1});
  batch.samples = {10, 11, 12};
  metric.add(nn::Outputs({Tensor::from({3, 2}, {0, 1, 9, 0, 0, 3})}), batch);
  const auto pictures = metric.measured().pictures;
  REQUIRE(pictures.size() == 2);
  CHECK(pictures[0].caption == "image 11: shoe taken for shirt, loss 9");
  CHECK(pictures[1].caption == "image 10: shirt taken for shoe, loss 1.313");
  CHECK(pictures[0].image.at<uint8_t>({0, 0, 0}) == 0);
  CHECK(pictures[0].image.at<uint8_t>({0, 1, 0}) == 255);
}
