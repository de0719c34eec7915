#include "../../core/op_registry.h"

#include "../../core/ops/abs.h"
#include "../../core/ops/argmax.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/avg_pool2d.h"
#include "../../core/ops/batch_norm.h"
#include "../../core/ops/clamp.h"
#include "../../core/ops/compare.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/conv2d.h"
#include "../../core/ops/conv_transpose2d.h"
#include "../../core/ops/dropout.h"
#include "../../core/ops/elu.h"
#include "../../core/ops/exp.h"
#include "../../core/ops/flatten.h"
#include "../../core/ops/gather.h"
#include "../../core/ops/gelu.h"
#include "../../core/ops/group_norm.h"
#include "../../core/ops/hardsigmoid.h"
#include "../../core/ops/hardswish.h"
#include "../../core/ops/index_select.h"
#include "../../core/ops/layer_norm.h"
#include "../../core/ops/leaky_relu.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/log.h"
#include "../../core/ops/log_softmax.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/mish.h"
#include "../../core/ops/one_hot.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/permute.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/pow.h"
#include "../../core/ops/prelu.h"
#include "../../core/ops/reciprocal.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/resize.h"
#include "../../core/ops/rsqrt.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/silu.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/softmax.h"
#include "../../core/ops/softplus.h"
#include "../../core/ops/softsign.h"
#include "../../core/ops/sqrt.h"
#include "../../core/ops/tanh.h"
#include "../../core/ops/topk.h"
#include "../../core/ops/variance.h"
#include "../../core/ops/where.h"
#include "../../core/serialize.h"
#include "../support.h"

using namespace sinter;

namespace {

template <class O>
void check_comes_back(const O& op) {
  CAPTURE(op.name());
  Archive archive("test");
  save_op(op, archive, "node/");
  const Archive read = Archive::decode(archive.encode(), "test");
  const auto made = make_op(load_op_name(read, "node/"), load_fields(read, "node/"));
  CHECK(dynamic_cast<const O*>(made.get()) != nullptr);
  CHECK(made->fields() == op.fields());
}

}  // namespace

TEST_CASE("every operation of a network comes back from its name and attributes") {
  check_comes_back(ops::Add{});
  check_comes_back(ops::Sub{});
  check_comes_back(ops::Mul{});
  check_comes_back(ops::Div{});
  check_comes_back(
      ops::AvgPool2d{{.kernel = 3, .stride = {1, 2}, .padding = 1, .ceil_mode = true, .count_include_pad = false}});
  check_comes_back(ops::BatchNorm{{.eps = 1e-3, .momentum = 0.2, .activation = "relu", .frozen = true}});
  check_comes_back(ops::Concat{{.axis = 1}});
  check_comes_back(ops::Conv2d{{.stride = {1, 2}, .padding = 3, .dilation = 2, .groups = 4}});
  check_comes_back(ops::ConvTranspose2d{
      {.stride = {2, 3}, .padding = 1, .output_padding = {0, 1}, .dilation = {1, 2}, .groups = 2}});
  check_comes_back(ops::Dropout{{.p = 0.1}});
  check_comes_back(ops::Flatten{{.start_axis = 2}});
  check_comes_back(ops::Hardsigmoid{{.slope = 0.2, .offset = 0.4}});
  check_comes_back(ops::Hardswish{});
  check_comes_back(ops::LeakyRelu{{.negative_slope = 0.3}});
  check_comes_back(ops::Linear{});
  check_comes_back(ops::LogSoftmax{{.axis = 1}});
  check_comes_back(ops::Max{{.axes = {1, 2}, .keep = true}});
  check_comes_back(
      ops::MaxPool2d{{.kernel = {3, 2}, .stride = 1, .padding = 1, .dilation = {2, 1}, .ceil_mode = true}});
  check_comes_back(ops::Mean{{.axes = {-1}}});
  check_comes_back(ops::Pad{{.before = {0, 1}, .after = {2, 0}, .value = -1.5}});
  check_comes_back(ops::PixelShuffle{{.upscale = 3}});
  check_comes_back(ops::Prelu{});
  check_comes_back(ops::Relu{});
  check_comes_back(ops::Relu6{});
  check_comes_back(ops::Reshape{{.shape = {0, -1}}});
  check_comes_back(ops::Resize{{.scale = {2, 1.5}, .mode = "bilinear", .align_corners = true}});
  check_comes_back(ops::Resize{{.size = {3, 4}}});
  check_comes_back(ops::Sigmoid{});
  check_comes_back(ops::Silu{});
  check_comes_back(ops::Slice{{.axis = 2, .begin = -3, .step = 2}});
  check_comes_back(ops::Softmax{{.axis = 2}});
  check_comes_back(ops::Sum{{.axes = {0}}});
  check_comes_back(ops::Tanh{});
  check_comes_back(ops::Gather{{.axis = 1}});
  check_comes_back(ops::Compare{{.relation = "ge"}});
  check_comes_back(ops::GroupNorm{{.groups = 4, .eps = 1e-3}});
  check_comes_back(ops::LayerNorm{{.axes = 2, .eps = 1e-6}});
  check_comes_back(ops::Variance{{.axes = {1}, .keep = true, .correction = 0}});
  check_comes_back(ops::Where{});
  check_comes_back(ops::Matmul{{.transpose_b = true}});
  check_comes_back(ops::Maximum{});
  check_comes_back(ops::Min{{.axes = {1}}});
  check_comes_back(ops::Minimum{});
  check_comes_back(ops::Permute{{.axes = {0, 2, 1}}});
  check_comes_back(ops::Abs{});
  check_comes_back(ops::Clamp{{.min = -1}});
  check_comes_back(ops::Elu{{.alpha = 0.5}});
  check_comes_back(ops::Exp{});
  check_comes_back(ops::Gelu{{.approximate = "tanh"}});
  check_comes_back(ops::Log{});
  check_comes_back(ops::Mish{});
  check_comes_back(ops::Pow{{.exponent = 1.5}});
  check_comes_back(ops::Reciprocal{});
  check_comes_back(ops::Rsqrt{});
  check_comes_back(ops::Softplus{{.beta = 2, .threshold = 5}});
  check_comes_back(ops::Softsign{});
  check_comes_back(ops::Sqrt{});
  check_comes_back(ops::Argmax{{.axis = 1, .keep = true}});
  check_comes_back(ops::IndexSelect{{.axis = -1}});
  check_comes_back(ops::OneHot{{.classes = 7}});
  check_comes_back(ops::TopK{{.k = 5, .axis = 1, .largest = false}});
}

TEST_CASE("an operation that is unknown, or has attributes that it refuses, does not come back") {
  CHECK_ERROR(make_op("fft", {}),
              "operation 'fft' is unknown: it is of a newer version, or a program's own: a `static const");
  const std::vector<Field> wrong_type{{"p", std::string("half")}}, refused{{"p", 2.0}}, surplus{{"slope", 0.1}};
  CHECK_ERROR(make_op("dropout", wrong_type), "attribute p=half is of another type than p has");
  CHECK_ERROR(make_op("dropout", refused), "dropout: p is 2, expected 0 <= p < 1");
  CHECK_ERROR(make_op("relu", surplus), "operation 'relu' has no attribute slope=0.1");
}
