#include "vision_transformer.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/reshape.h"
#include "../../core/random.h"

namespace sinter::nn {

VisionTransformer::VisionTransformer(const VisionTransformerOptions& o)
    : patches({.in = o.in_channels, .out = o.channels, .kernel = o.patch, .stride = o.patch}),
      norm(o.channels, 1e-6),
      head({.in = o.channels, .out = o.classes}),
      image_(o.image) {
  const Pair patch = o.patch;
  check(image_.h >= patch.h && image_.w >= patch.w && image_.h % patch.h == 0 && image_.w % patch.w == 0,
        "VisionTransformer: patches of ", patch, " do not divide an image of ", image_);
  check(o.depth >= 1, "VisionTransformer: it has ", o.depth, " blocks, expected at least 1");
  const int64_t tokens = (image_.h / patch.h) * (image_.w / patch.w);
  positions = Parameter(Tensor::normal({1, tokens, o.channels}, default_random(), 0.02));
  for (int64_t i = 0; i < o.depth; ++i)
    body.push_back({{.channels = o.channels, .heads = o.heads, .hidden = o.hidden}});
}

Tensor VisionTransformer::forward(const Tensor& x) const {
  check(x.rank() == 4 && x.size(1) == image_.h && x.size(2) == image_.w, "VisionTransformer: input is ", x.shape(),
        ", expected images of ", image_);
  const Shape& shape = positions.tensor().shape();
  Tensor y = reshape(patches(x), {0, shape[1], shape[2]}) + positions;
  for (const auto& block : body) y = block(y);
  return head(mean(norm(y), {1}));
}

VisionTransformer vit_tiny(const VitOptions& o) {
  return {{.in_channels = o.in_channels, .classes = o.classes, .image = 224, .patch = 16}};
}
VisionTransformer cifar_vit(const VitOptions& o) {
  return {{.in_channels = o.in_channels, .classes = o.classes, .image = 32, .patch = 4, .depth = 6}};
}

}  // namespace sinter::nn
