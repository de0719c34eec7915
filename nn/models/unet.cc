#include "unet.h"

#include "../../core/ops/concat.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/resize.h"

namespace sinter::nn {

DoubleConv::DoubleConv(Options o)
    : conv1({.in = o.in, .out = o.out, .kernel = 3, .padding = 1, .bias = false}),
      bn1(o.out),
      conv2({.in = o.out, .out = o.out, .kernel = 3, .padding = 1, .bias = false}),
      bn2(o.out) {}

Tensor DoubleConv::forward(const Tensor& x) const { return relu(bn2(conv2(relu(bn1(conv1(x)))))); }

UNetUp::UNetUp(Options o) : bn(o.out), body({.in = 2 * o.out, .out = o.out}) {
  check(o.up == "transposed" || o.up == "bilinear", "UNetUp: up is \"", o.up,
        "\", expected \"transposed\" or \"bilinear\"");
  if (o.up == "transposed")
    transposed.emplace(ConvTranspose2dOptions{.in = o.in, .out = o.out, .kernel = 2, .stride = 2, .bias = false});
  else
    narrow.emplace(Conv2dOptions{.in = o.in, .out = o.out, .kernel = 1, .bias = false});
}

std::vector<Tensor> UNetUp::forward_all(std::span<const Tensor> x) const {
  check(x.size() == 2, "UNetUp: got ", x.size(), " images, expected a smaller and a larger one");
  const Tensor small = transposed ? relu(bn((*transposed)(x[0]))) : resize_bilinear(relu(bn((*narrow)(x[0]))), 2);
  return {body(concat({x[1], small}))};
}

Tensor UNetUp::operator()(const Tensor& small, const Tensor& large) const {
  return Module::operator()({small, large})[0];
}

namespace {

int64_t first_channels(const UNetOptions& o) {
  check(!o.channels.empty() && o.up.size() + 1 == o.channels.size(), "UNet: it has ", o.channels.size(), " sizes and ",
        o.up.size(), " ways up, expected at least one size, and one way up less");
  return o.channels[0];
}

}  // namespace

UNet::UNet(const UNetOptions& o) : head({.in = first_channels(o), .out = o.classes, .kernel = 1}) {
  for (size_t i = 0; i < o.channels.size(); ++i)
    down.push_back({{.in = i == 0 ? o.in_channels : o.channels[i - 1], .out = o.channels[i]}});
  for (size_t i = 0; i < o.up.size(); ++i)
    up.push_back({{.in = o.channels[i + 1], .out = o.channels[i], .up = o.up[i]}});
}

Tensor UNet::forward(const Tensor& x) const {
  const int64_t step = int64_t{1} << up.size();
  check(x.rank() == 4 && x.size(1) % step == 0 && x.size(2) % step == 0, "UNet: images are ", x.shape(),
        ", expected [N,H,W,C] with H and W multiples of ", step);
  std::vector<Tensor> sizes;
  for (const auto& body : down)
    sizes.push_back(body(sizes.empty() ? x : max_pool2d(sizes.back(), {.kernel = 2, .stride = 2})));
  Tensor y = sizes.back();
  for (size_t i = up.size(); i-- > 0;) y = up[i](y, sizes[i]);
  return head(y);
}

}  // namespace sinter::nn
