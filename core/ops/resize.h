#pragma once

#include "../op.h"
#include "window.h"

namespace sinter {

/// Factors of height and width; one number is both.
struct Scale {
  double h = 1, w = 1;
  Scale() = default;
  Scale(double both) : h(both), w(both) {}
  Scale(double height, double width) : h(height), w(width) {}
  bool operator==(const Scale&) const = default;
};
/// `2x1.5`
std::string to_string(const Scale& scale);

namespace detail {
void append_field(std::vector<Field>& out, std::string_view name, const Scale& value);  // as scale_h and scale_w
void assign_field(std::span<const Field> fields, std::string_view name, Scale& value);
}  // namespace detail

struct ResizeAttributes {
  Scale scale{0};                ///< the output has floor(size * scale) rows and columns; or, where that is 0,
  Pair size{0};                  ///< the output has so many
  std::string mode = "nearest";  ///< or "bilinear"
  bool align_corners = false;    ///< bilinear: the corners of input and output are the centres of their corner pixels
};
SINTER_FIELDS(ResizeAttributes, scale, size, mode, align_corners)

namespace ops {

/// Another size of an image, with the coordinates of PyTorch's F.interpolate on images in channels_last (contiguous
/// ones of several channels have other nearest values where a scale that is no integer keeps or doubles a size): x
/// float32 [N,H,W,C] to [N,OH,OW,C]. An axis that keeps its size keeps its values, whatever the scale. Else along an
/// axis of n values, with s = 1 / scale (or n / output where a size is given), output i comes from
///   nearest:  value floor(i s) in float32, at most n - 1; value floor(i / 2) where there are 2n outputs
///   bilinear: the point u = max((i + 1/2) s - 1/2, 0), or u = i (n - 1) / (output - 1) with align_corners, between
///             values floor(u) and floor(u) + 1, the last one repeated.
struct Resize final : OpWith<ResizeAttributes> {
  /// Throws Error unless there is either a scale or a size, for an unknown mode, and for "nearest" with align_corners.
  Resize(const ResizeAttributes& attributes);
  std::string_view name() const override { return "resize"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Resize: `resize(x, {.size = {32, 64}, .mode = "bilinear"})`.
Tensor resize(const Tensor& x, const ResizeAttributes& attributes);
/// `resize_nearest(x, 2)`, `resize_bilinear(x, {2, 1.5})`
Tensor resize_nearest(const Tensor& x, const Scale& scale);
Tensor resize_bilinear(const Tensor& x, const Scale& scale, bool align_corners = false);

}  // namespace sinter
