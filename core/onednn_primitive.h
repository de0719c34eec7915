#pragma once
// Private: oneDNN's primitives and reordered weights, made once and kept within bounds. All of it runs on the calling
// thread alone.

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "onednn.h"

namespace sinter::onednn {

/// What tells a primitive from all others.
struct PrimitiveKey {
  Kind kind;
  Convolution convolution;
  bool has_bias = false;
  bool winograd = false;  ///< where oneDNN knows one for the shape
  auto operator<=>(const PrimitiveKey&) const = default;
};

/// A primitive with the layouts it wants.
struct Primitive {
  using Desc = dnnl::memory::desc;
  dnnl::primitive primitive;
  Desc x, weight, bias, y, scratchpad;
  dnnl::reorder reorder;  ///< between the user's weights and the primitive's, when they differ
  Desc reorder_scratchpad;
  Desc weight_as_given;  ///< OHWI, or OIHW for int8_forward
  bool reorders = false;
  bool has_bias = false;
  bool blocked = false;  ///< x and y are nChw16c: Winograd's convolutions know no other order
};

constexpr int64_t kBlock = 16;  ///< channels of nChw16c

/// Throws Error where memory is about to end. oneDNN writes the code that it makes without a look at whether it got
/// memory for it: this has to be called before it makes any.
void expect_memory_for_code();

std::shared_ptr<const Primitive> find_or_make(const PrimitiveKey& key);

/// The weights as the primitive wants them; with `keep`, until their values change.
Tensor prepared_weight(const Primitive& p, const PrimitiveKey& key, const Tensor& weight, bool keep);
/// A gradient of the weights as the user wants it.
void reorder_gradient(const Primitive& p, const float* from, float* to);

Tensor bytes(size_t count, bool kept = false);
const void* address(const Tensor& t);
dnnl::memory at(const dnnl::memory::desc& desc, const void* data);

using Arguments = std::unordered_map<int, dnnl::memory>;
void execute(const Primitive& p, Arguments arguments);

/// Runs f. oneDNN's own errors say little: which convolution it was is what a user needs.
template <class F>
void explained(const char* what, const Convolution& c, const F& f) {
  try {
    f();
  } catch (const dnnl::error& error) {
    fail(what, ": oneDNN refused input [", c.batch, ",", c.height, ",", c.width, ",", c.in, "], kernel ", c.kernel_h,
         "x", c.kernel_w, ", ", c.out, " output channels, ", c.groups, " groups: ", error.what());
  }
}

}  // namespace sinter::onednn
