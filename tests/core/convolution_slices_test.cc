#include "../../core/convolution_slices.h"

#include "../support.h"

using namespace sinter;

namespace {

// Slices of two images, whose gradients oneDNN lays out otherwise than those of one image where it has SSE4.1 only.
const onednn::Convolution kConvolution{.batch = 3,
                                       .height = 28,
                                       .width = 28,
                                       .in = 24,
                                       .out = 10,
                                       .kernel_h = 5,
                                       .kernel_w = 5,
                                       .padding_h = 2,
                                       .padding_w = 2,
                                       .out_height = 28,
                                       .out_width = 28};

// Images from `first` on.
Tensor images(const Tensor& x, int64_t first, int64_t count) {
  const int64_t each = x.elements() / x.size(0);
  return Tensor::from(x.shape().with(0, count), x.values<float>().subspan(first * each, count * each));
}

}  // namespace

TEST_CASE("a smaller last slice adds its share of the gradients, and makes its primitives once") {
  const Tensor x = test::normal({3, 28, 28, 24}, 1), dy = test::normal({3, 28, 28, 10}, 2);
  const auto gradients = [&](int64_t first, int64_t count) {
    onednn::Convolution c = kConvolution;
    c.batch = count;
    std::vector<Tensor> made{Tensor::empty({10, 5, 5, 24}), Tensor::empty({10})};
    onednn::convolution_backward_weights(c, images(x, first, count), images(dy, first, count), made[0], made[1]);
    return made;
  };
  const std::vector<Tensor> all = gradients(0, 3), two = gradients(0, 2), one = gradients(2, 1);
  for (size_t i = 0; i < all.size(); ++i) {
    Tensor sum = two[i].clone();
    for (int64_t j = 0; j < sum.elements(); ++j) sum.mutable_data<float>()[j] += one[i].data<float>()[j];
    CHECK_CLOSE(all[i], sum, 1e-4, 1e-3);
  }
  const int64_t made = onednn::primitives_created();
  CHECK_SAME(gradients(0, 3)[0], all[0]);
  CHECK(onednn::primitives_created() == made);
}

TEST_CASE("slices cover the batch, each image once, whatever the number of threads") {
  onednn::Convolution c = kConvolution;
  c.batch = 7;
  const onednn::ConvolutionSlices slices(onednn::Kind::forward, c, Tensor::zeros({10, 5, 5, 24}), {});
  CHECK(slices.count() == 4);
  int64_t next = 0;
  for (int64_t slice = 0; slice < slices.count(); ++slice) {
    CHECK(slices.first(slice) == next);
    next += slices.images(slice);
  }
  CHECK(next == 7);
  std::vector<int> visits(7, 0);
  slices.for_each([&](int64_t slice, int64_t image) {
    for (int64_t i = image; i < image + slices.images(slice); ++i) ++visits[i];
  });
  CHECK(visits == std::vector<int>(7, 1));
}
