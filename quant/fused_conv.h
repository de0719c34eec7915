#pragma once
// Private: the fused operation of prepared graphs.

#include "../core/graph.h"
#include "../core/onednn.h"
#include "../core/ops/conv2d.h"
#include "contract.h"

namespace sinter {

struct FusedConvAttributes {
  Pair stride{1};
  Pair padding{0};
  Pair dilation{1};
  int64_t groups = 1;
  bool linear = false;                ///< x [N,...,K] and weight [O,K] instead of images
  bool transposed = false;            ///< a transposed convolution of this stride, padding and dilation
  Pair output_padding{0};             ///< of a transposed one
  std::string activation = "none";    ///< none, relu, relu6
  bool batch_norm = false;            ///< "with_bn": normalised before skip and activation
  double eps = 1e-5, momentum = 0.1;  ///< of the batch normalisation
  bool frozen = false;                ///< its statistics stay as they are in training, too
};
SINTER_FIELDS(FusedConvAttributes, stride, padding, dilation, groups, linear, transposed, output_padding, activation,
              batch_norm, eps, momentum, frozen)

namespace quant {

/// Weights and bias with a batch normalisation in them.
struct Folded {
  Tensor weight, bias;
};

/// What a BPU runs as one layer: activation(batch_norm(conv2d or linear(x, weight) + bias) (+ skip)). Inputs x, weight,
/// bias [O], with batch_norm gamma, beta, running mean and variance [O], and perhaps skip, of the output's shape.
/// Runs in evaluation behaviour; a batch normalisation that trains is several operations (prepare.cc).
///
/// The weight of a transposed convolution is ops::ConvTranspose2d's rotated by half a turn (`rotated`):
/// w[o,i,j,c] = W[o,KH-1-i,KW-1-j,c]. It is that of a convolution of stride 1 over x with its values `stride` apart
/// and zeros between them, padded by dilation (kernel - 1) - padding, which must not be negative.
struct FusedConv final : OpWith<FusedConvAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override {
    return attributes.linear ? "linear" : attributes.transposed ? "conv_transpose2d" : "conv2d";
  }
  /// Without `frozen` where it is false: files have it only where it says something.
  std::vector<Field> fields() const override;
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;

  Activation activation() const { return activation_named(attributes.activation); }
  /// Where skip is among the inputs, if there is one.
  size_t skip_at() const { return attributes.batch_norm ? 7 : 3; }

 private:
  void convolve(const Tensor& x, const Folded& by, Tensor& y) const;
};

/// The fused convolution that a node is, or null.
const FusedConv* fused_conv(const Node& node);
/// Whether two nodes are fused convolutions whose weights are the same, also as VALIDATION folds them.
bool same_weights(const Node& a, const Node& b);
/// Another node than `node` that reads this parameter, or null.
const Node* other_reader(const Graph& graph, const Node& node, const Operand& parameter);
/// What a fused convolution adds, or null.
const Operand* skip_of(const Node& node);

/// By running statistics, computed in double.
Folded fold_batch_norm(const Tensor& weight, const Tensor& bias, const Tensor& gamma, const Tensor& beta,
                       const Tensor& mean, const Tensor& var, double eps);

/// Throws Error, starting with `what`, for a graph whose batch normalisation is not folded ("with_bn").
void check_folded(const char* what, const Graph& graph);
/// The weights and bias of a fused node as VALIDATION has them.
Folded folded_weights(const Graph& graph, const Node& node);

/// The same as an operation, with its gradients to weight, bias, gamma and beta. Outputs: weight and bias.
struct FoldBatchNorm final : Op {
  double eps;
  explicit FoldBatchNorm(double e) : eps(e) {}
  std::string_view name() const override { return "fold_batch_norm"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0], x[1]}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// Weights [O,KH,KW,I] with both axes of the kernel reversed.
Tensor rotated(const Tensor& weight);

/// The gradients of conv(x, weight) + bias by that of its result, all float32.
Tensor data_gradient(const FusedConvAttributes& a, const Tensor& dv, const Tensor& weight, const Shape& x,
                     bool keep = true);
void weight_gradient(const FusedConvAttributes& a, const Tensor& x, const Tensor& dv, Tensor& dweight, Tensor& dbias);

/// Whether the integers of a transposed convolution with weights [O,KH,KW,I] are computed as columns: of one group, or
/// of as many as channels (integer/conv.h).
bool as_columns(const FusedConvAttributes& a, const Shape& weight);
/// What an integer convolution reads: x itself, or, for another transposed one, x [N,H,W,C] (int8 or int16) with its
/// values `stride` apart, zeros between them and `output_padding` zeros behind.
Tensor spread(const FusedConvAttributes& a, const Tensor& x, const Shape& weight);
/// The geometry of a fused convolution over spread(x), or, where it is computed as columns, of the one whose gradient
/// it is; a linear layer is a 1x1 convolution of 1x1 images.
onednn::Convolution geometry(const FusedConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y);

/// Multiply-accumulates of x to y; those with the zeros of a spread image do not count.
int64_t convolution_macs(const FusedConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y);

}  // namespace quant
}  // namespace sinter
