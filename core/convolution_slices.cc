#include "convolution_slices.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "kernel/isa.h"
#include "onednn_primitive.h"

namespace sinter::onednn {

namespace {

using dnnl::memory;

// Winograd's F(4x4, 3x3) (Lavin & Gray, 1509.09308) multiplies a quarter as often; with few channels its transforms
// cost more than that saves. Measured, its rounding errors are 2.4 times those of direct sums (7e-7 of the result's
// deviation at 64 channels).
bool knows_winograd(const Convolution& c) {
  constexpr int64_t kLeastChannels = 32;
  return isa() == Isa::avx512 && c.groups == 1 && c.kernel_h == 3 && c.kernel_w == 3 && c.stride_h == 1 &&
         c.stride_w == 1 && c.dilation_h == 1 && c.dilation_w == 1 && c.padding_h == 1 && c.padding_w == 1 &&
         c.in % kBlock == 0 && c.out % kBlock == 0 && c.in >= kLeastChannels && c.out >= kLeastChannels;
}

// Of an image.
int64_t tiles_of(const Convolution& c) { return ((c.out_height + 3) / 4) * ((c.out_width + 3) / 4); }

// Whether it is worth it for so many images: every call transforms the weights as well. Measured for 32 to 512
// channels, it takes 0.7 to 1.05 of the time of direct sums with so many tiles, and 0.4 to 0.5 with many more.
bool suits_winograd(Kind kind, const Convolution& c, int64_t images) {
  const int64_t tiles = images * tiles_of(c);
  const bool cheap = kind == Kind::backward_weights || std::min(c.in, c.out) >= 256;
  return tiles >= (cheap ? 16 : 32);
}

// [images, pixels, channels] as nChw16c, and back.
template <bool kBack>
void block_channels(const float* from, int64_t images, int64_t pixels, int64_t channels, float* to) {
  const int64_t blocks = channels / kBlock;
  for (int64_t n = 0; n < images; ++n)
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t plain = (n * pixels + p) * channels + b * kBlock,
                      blocked = ((n * blocks + b) * pixels + p) * kBlock;
        std::memcpy(to + (kBack ? plain : blocked), from + (kBack ? blocked : plain), kBlock * sizeof(float));
      }
}

// Images of a slice, the same for a convolution and its gradients: a power of two.
int64_t slice_images(const Convolution& c) {
  constexpr int64_t kFloats = 1 << 16;  // of an image in or out: what a slice touches stays in a second-level cache
  constexpr int64_t kLeastFloats = 1 << 14;  // out: a block of batch normalisation
  constexpr int64_t kWeights = 1 << 21;      // floats of all slices' gradients together, unless there are few slices
  constexpr int64_t kFewSlices = 8;
  const int64_t out = c.out_image(), image = std::max(c.image(), out);
  const int64_t weights = c.out * (c.in / c.groups) * c.kernel_h * c.kernel_w;
  const int64_t most_slices = std::max(kFewSlices, kWeights / weights);
  const int64_t many = std::clamp(c.batch * image / kFewSlices, kFloats, 2 * kFloats);
  const bool winograd =
      knows_winograd(c) && suits_winograd(Kind::forward, c, std::clamp<int64_t>(many / image, 1, c.batch));
  const int64_t floats = winograd ? many : kFloats;
  const auto images = static_cast<uint64_t>(std::max({int64_t{1}, floats / image, kLeastFloats / out}));
  return static_cast<int64_t>(std::max(
      std::bit_floor(images), std::bit_ceil(static_cast<uint64_t>((c.batch + most_slices - 1) / most_slices))));
}

}  // namespace

struct ConvolutionSlices::State {
  // Images that are computed by one call.
  struct Piece {
    std::shared_ptr<const Primitive> primitive;
    Tensor weight;         // as the primitive wants it
    int64_t x = 0, y = 0;  // its first elements, in and out
  };
  Convolution geometry;  // of a whole slice
  int64_t batch;
  Piece whole, rest;          // the last slice may be smaller
  std::vector<Piece> pieces;  // of a single slice, or none
  Tensor bias;
  Tensor gradients, bias_gradients;  // a row for each slice, on cache lines of their own

  int64_t count() const { return (batch + geometry.batch - 1) / geometry.batch; }
  int64_t images(int64_t slice) const { return std::min(geometry.batch, batch - slice * geometry.batch); }
  bool is_whole(int64_t slice) const { return images(slice) == geometry.batch; }
  const Piece& piece(int64_t slice) const { return is_whole(slice) ? whole : rest; }
};

namespace {

int64_t floats(const memory::desc& desc) { return static_cast<int64_t>(desc.get_size() / sizeof(float)); }

Tensor rows(int64_t count, int64_t columns) {
  constexpr int64_t kLine = 16;
  return Tensor::empty({count, (columns + kLine - 1) / kLine * kLine});
}

// Where several threads write, each its row: not `mutable_data`, which counts.
float* row(const Tensor& t, int64_t i) { return static_cast<float*>(const_cast<void*>(address(t))) + i * t.size(1); }

// Adds up the first rows, in order.
void sum_rows(const Tensor& t, int64_t count, int64_t columns, float* total) {
  parallel_for(columns, 1 << 12, [&](int64_t begin, int64_t end) {
    std::copy(row(t, 0) + begin, row(t, 0) + end, total + begin);
    for (int64_t r = 1; r < count; ++r) {
      const float* part = row(t, r);
      for (int64_t i = begin; i < end; ++i) total[i] += part[i];
    }
  });
}

struct Cut {
  Convolution images;
  int64_t first;  // element of x
};

constexpr int64_t kMostPieces = 4;
constexpr int64_t kTiles = 128;  // of a piece that is worth Winograd's transform of all weights

// How a single slice's forward pass is cut: images, or rows of one image's result. None where that costs more than it
// saves: what other threads take to come, and to read all weights again.
std::vector<Cut> cut(const Convolution& c, bool integers, bool winograd) {
  constexpr int64_t kPixels = 48;
  const int64_t weights = c.out * (c.in / c.groups) * c.kernel_h * c.kernel_w;
  const int64_t pixels = c.batch * c.out_height * c.out_width, least = integers ? 1 << 24 : 1 << 23;
  const int64_t count = std::min({kMostPieces, pixels / kPixels, pixels * weights / least});
  if (count < 2) return {};
  const int64_t images = (c.batch + count - 1) / count;
  const int64_t bands = images > 1 ? 1 : std::min(c.out_height, std::max<int64_t>(1, count / c.batch));
  const int64_t tile = winograd ? 4 : 1, rows = (c.out_height + tile * bands - 1) / (tile * bands) * tile;
  std::vector<Cut> pieces;
  for (int64_t n = 0; n < c.batch; n += images)
    for (int64_t row = 0; row < c.out_height; row += rows) {
      Convolution piece = c;
      piece.batch = std::min(images, c.batch - n);
      piece.out_height = std::min(rows, c.out_height - row);
      const int64_t top = row * c.stride_h - c.padding_h, first = std::max<int64_t>(0, top);
      const int64_t end = top + (piece.out_height - 1) * c.stride_h + (c.kernel_h - 1) * c.dilation_h + 1;
      if (bands > 1) {
        piece.padding_h = first - top;
        piece.height = std::min(end, c.height) - first;
        if (piece.height <= 0) return {};  // nothing but padding
      }
      pieces.push_back({piece, n * c.image() + first * c.width * c.in});
    }
  return pieces;
}

}  // namespace

ConvolutionSlices::ConvolutionSlices(Kind kind, const Convolution& c, const Tensor& weight, const Options& o,
                                     const Tensor& bias)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  const bool backward_weights = kind == Kind::backward_weights,
             backward = backward_weights || kind == Kind::backward_data;
  const bool integers = kind == Kind::int8_forward || kind == Kind::uint8_forward;
  state.batch = c.batch;
  state.bias = bias;
  state.geometry = c;
  state.geometry.batch = std::min(slice_images(c), c.batch);
  const auto winograd = [&](int64_t images) {
    return !integers && !o.exact && knows_winograd(c) && suits_winograd(kind, c, images);
  };
  const auto of = [&](const Convolution& images, bool by_winograd, const State::Piece* other) {
    const PrimitiveKey key{
        .kind = kind, .convolution = images, .has_bias = o.bias || bias.defined(), .winograd = by_winograd};
    State::Piece piece{.primitive = find_or_make(key), .weight = {}};
    if (backward_weights) return piece;
    const bool alike = other != nullptr && piece.primitive->weight == other->primitive->weight;
    piece.weight = alike ? other->weight : prepared_weight(*piece.primitive, key, weight, o.keep);
    return piece;
  };
  explained("conv2d", c, [&] {
    if (state.count() == 1 && !backward) {
      const bool by_winograd = winograd(c.batch) && c.batch * tiles_of(c) >= kMostPieces * kTiles;
      int64_t y = 0;
      for (const auto& [images, x] : cut(c, integers, by_winograd)) {
        State::Piece piece = of(images, by_winograd, state.pieces.empty() ? nullptr : &state.pieces[0]);
        piece.x = x;
        piece.y = std::exchange(y, y + images.batch * images.out_image());
        state.pieces.push_back(std::move(piece));
      }
      if (y > 0) return;
    }
    Convolution rest = c;
    rest.batch = c.batch % state.geometry.batch;
    state.whole = of(state.geometry, winograd(state.geometry.batch), nullptr);
    if (rest.batch != 0) state.rest = of(rest, winograd(rest.batch), &state.whole);
  });
  if (!backward_weights) return;
  const int64_t rest_floats = state.rest.primitive == nullptr ? 0 : floats(state.rest.primitive->weight);
  state.gradients = rows(state.count(), std::max(floats(state.whole.primitive->weight), rest_floats));
  if (o.bias) state.bias_gradients = rows(state.count(), c.out);
}

ConvolutionSlices::~ConvolutionSlices() = default;
ConvolutionSlices::ConvolutionSlices(ConvolutionSlices&&) noexcept = default;

int64_t ConvolutionSlices::count() const { return state_->count(); }
int64_t ConvolutionSlices::first(int64_t slice) const { return slice * state_->geometry.batch; }
int64_t ConvolutionSlices::images(int64_t slice) const { return state_->images(slice); }

namespace {

// The images that `desc` describes, in the primitive's order of channels; `held` keeps a copy.
const float* blocked(const Primitive& p, const memory::desc& desc, const float* plain, Tensor& held) {
  if (!p.blocked) return plain;
  const auto dims = desc.dims();
  held = Tensor::empty({dims[0], dims[2], dims[3], dims[1]});
  float* to = held.mutable_data<float>();
  block_channels<false>(plain, dims[0], dims[2] * dims[3], dims[1], to);
  return to;
}

// f(where a primitive may write images), which end up as [N,H,W,C].
template <class F>
void unblocked(const Primitive& p, const memory::desc& desc, float* plain, const F& f) {
  if (!p.blocked) return f(plain);
  const auto dims = desc.dims();
  Tensor held = Tensor::empty({dims[0], dims[2], dims[3], dims[1]});
  float* from = held.mutable_data<float>();
  f(from);
  block_channels<true>(from, dims[0], dims[2] * dims[3], dims[1], plain);
}

// Images of one kind from those of another, by a primitive that reads weights.
struct Images {
  int argument;
  const memory::desc& desc;
};
void transform(const Primitive& p, const Tensor& weight, const Images& source, const float* from,
               const Images& destination, float* to, const Tensor& bias = {}) {
  Tensor held;
  const float* in = blocked(p, source.desc, from, held);
  unblocked(p, destination.desc, to, [&](float* out) {
    Arguments arguments{{source.argument, at(source.desc, in)},
                        {DNNL_ARG_WEIGHTS, at(p.weight, address(weight))},
                        {destination.argument, at(destination.desc, out)}};
    if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, at(p.bias, address(bias)));
    execute(p, std::move(arguments));
  });
}

}  // namespace

template <class F>
void ConvolutionSlices::for_pieces(int64_t slice, const F& f) const {
  const std::vector<State::Piece>& pieces = state_->pieces;
  if (pieces.empty()) return f(state_->piece(slice));
  parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(pieces[i]);
  });
}

void ConvolutionSlices::forward(int64_t slice, const float* x, float* y) const {
  for_pieces(slice, [&](const State::Piece& piece) {
    const Primitive& p = *piece.primitive;
    transform(p, piece.weight, {DNNL_ARG_SRC, p.x}, x + piece.x, {DNNL_ARG_DST, p.y}, y + piece.y, state_->bias);
  });
}

void ConvolutionSlices::forward(int64_t slice, const int8_t* x, int32_t* acc) const {
  for_pieces(slice, [&](const State::Piece& piece) {
    const Primitive& p = *piece.primitive;
    execute(p, {{DNNL_ARG_SRC, at(p.x, x + piece.x)},
                {DNNL_ARG_WEIGHTS, at(p.weight, address(piece.weight))},
                {DNNL_ARG_DST, at(p.y, acc + piece.y)}});
  });
}

void ConvolutionSlices::backward_data(int64_t slice, const float* dy, float* dx) const {
  const auto& [primitive, weight, x, y] = state_->piece(slice);
  const Primitive& p = *primitive;
  transform(p, weight, {DNNL_ARG_DIFF_DST, p.y}, dy, {DNNL_ARG_DIFF_SRC, p.x}, dx);
}

void ConvolutionSlices::backward_weights(int64_t slice, const float* x, const float* dy) {
  const Primitive& p = *state_->piece(slice).primitive;
  Tensor held_x, held_dy;
  Arguments arguments{{DNNL_ARG_SRC, at(p.x, blocked(p, p.x, x, held_x))},
                      {DNNL_ARG_DIFF_DST, at(p.y, blocked(p, p.y, dy, held_dy))},
                      {DNNL_ARG_DIFF_WEIGHTS, at(p.weight, row(state_->gradients, slice))}};
  if (p.has_bias) arguments.emplace(DNNL_ARG_DIFF_BIAS, at(p.bias, row(state_->bias_gradients, slice)));
  execute(p, std::move(arguments));
}

void ConvolutionSlices::finish(Tensor& dweight, Tensor& dbias) const {
  const State& s = *state_;
  const Primitive &whole = *s.whole.primitive, *rest = s.rest.primitive.get();
  const bool differs = rest != nullptr && rest->weight != whole.weight;  // in layout
  const int64_t alike = differs ? count() - 1 : count();
  Tensor sum = Tensor::empty({floats(whole.weight)});
  sum_rows(s.gradients, alike, sum.elements(), sum.mutable_data<float>());
  float* out = dweight.mutable_data<float>();
  reorder_gradient(whole, sum.data<float>(), out);
  if (differs) {
    Tensor last = Tensor::empty(dweight.shape());
    float* share = last.mutable_data<float>();
    reorder_gradient(*rest, row(s.gradients, alike), share);
    for (int64_t i = 0; i < last.elements(); ++i) out[i] += share[i];
  }
  if (whole.has_bias) sum_rows(s.bias_gradients, count(), dbias.elements(), dbias.mutable_data<float>());
}

}  // namespace sinter::onednn
