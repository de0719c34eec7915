#include "onednn.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "autograd.h"
#include "lru_cache.h"
#include "parallel.h"

namespace sinter::onednn {

namespace {

using dnnl::memory;
using Dims = memory::dims;

enum class Kind : int64_t { forward, backward_data, backward_weights, int8_forward, uint8_forward };

// A primitive with the layouts it wants.
struct Primitive {
  dnnl::primitive primitive;
  memory::desc x, weight, bias, y, scratchpad;
  dnnl::reorder reorder;         // between the user's weights and the primitive's, when they differ
  memory::desc weight_as_given;  // OHWI for float, OIHW for int8
  bool reorders = false;
  bool has_bias = false;
  bool blocked = false;  // x and y are nChw16c: Winograd's convolutions know no other order
};

using PrimitiveKey = std::array<int64_t, 18>;
using WeightKey = std::pair<uint64_t, PrimitiveKey>;  // storage

struct ReorderedWeight {
  uint64_t version;
  Tensor values;
};

constexpr int64_t kMaxPrimitives = 2048;
constexpr int64_t kMaxWeightBytes = int64_t{1} << 30;

struct Library {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::mutex mutex;
  LruCache<PrimitiveKey, std::shared_ptr<const Primitive>> primitives{kMaxPrimitives};
  LruCache<WeightKey, ReorderedWeight> weights{kMaxWeightBytes};
  std::atomic<int64_t> created{0};
};

// Leaked on purpose: see the allocator.
Library& library() {
  static auto& instance = *new Library;
  return instance;
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(library().engine);
  return instance;
}

PrimitiveKey key_of(Kind kind, const Convolution& c, bool has_bias, int64_t team = threads(), bool winograd = false) {
  return {(static_cast<int64_t>(kind) * 2 + has_bias) * 2 + winograd,
          team,
          c.batch,
          c.height,
          c.width,
          c.in,
          c.out,
          c.groups,
          c.kernel_h,
          c.kernel_w,
          c.stride_h,
          c.stride_w,
          c.padding_h,
          c.padding_w,
          c.dilation_h,
          c.dilation_w,
          c.out_height,
          c.out_width};
}

Dims weight_dims(const Convolution& c) {
  if (c.groups == 1) return {c.out, c.in, c.kernel_h, c.kernel_w};
  return {c.groups, c.out / c.groups, c.in / c.groups, c.kernel_h, c.kernel_w};
}

// OHWI as oneDNN's logical [g]oihw with strides.
memory::desc ohwi(const Convolution& c, memory::data_type type) {
  const int64_t in = c.in / c.groups;
  const int64_t per_output = c.kernel_h * c.kernel_w * in;
  Dims strides{per_output, 1, c.kernel_w * in, in};
  if (c.groups > 1) strides.insert(strides.begin(), c.out / c.groups * per_output);
  return {weight_dims(c), type, strides};
}

memory::desc activation(int64_t n, int64_t h, int64_t w, int64_t channels, memory::data_type type,
                        bool blocked = false) {
  return {{n, channels, h, w}, type, blocked ? memory::format_tag::nChw16c : memory::format_tag::nhwc};
}

constexpr int64_t kBlock = 16;  // channels of nChw16c

// oneDNN 2.6's AVX2 kernel for the weights' gradient of a strided 1x1 convolution runs past its scratchpad where there
// are fewer input channels than a vector holds: it damages memory with one thread, and its gradient is wrong with more.
void avoid_overrun(dnnl::convolution_backward_weights::primitive_desc& desc, const Convolution& c) {
  const bool strided = c.kernel_h == 1 && c.kernel_w == 1 && (c.stride_h > 1 || c.stride_w > 1);
  while (strided && c.in / c.groups < 8 && std::string_view(desc.impl_info_str()) == "jit_1x1:avx2")
    if (!desc.next_impl()) break;
}

std::shared_ptr<const Primitive> make(Kind kind, const Convolution& c, bool has_bias, bool winograd) {
  using type = memory::data_type;
  using tag = memory::format_tag;
  const bool integer = kind == Kind::int8_forward || kind == Kind::uint8_forward;
  const type x_type = kind == Kind::int8_forward ? type::s8 : kind == Kind::uint8_forward ? type::u8 : type::f32;
  const type weight_type = integer ? type::s8 : type::f32;
  const auto x = activation(c.batch, c.height, c.width, c.in, x_type, winograd);
  const auto y = activation(c.batch, c.out_height, c.out_width, c.out, integer ? type::s32 : type::f32, winograd);
  const memory::desc weight(weight_dims(c), weight_type, tag::any);
  const memory::desc bias = has_bias ? memory::desc({c.out}, type::f32, tag::x) : memory::desc();
  const Dims strides{c.stride_h, c.stride_w}, dilations{c.dilation_h - 1, c.dilation_w - 1};
  const Dims before{c.padding_h, c.padding_w};
  // What the last window leaves over is padding of its own (or, negative, is not read).
  const Dims after{(c.out_height - 1) * c.stride_h + (c.kernel_h - 1) * c.dilation_h + 1 - c.height - c.padding_h,
                   (c.out_width - 1) * c.stride_w + (c.kernel_w - 1) * c.dilation_w + 1 - c.width - c.padding_w};
  const auto algorithm = winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto& engine = library().engine;

  auto made = std::make_shared<Primitive>();
  made->has_bias = has_bias;
  made->blocked = winograd;
  made->x = x;
  made->y = y;
  made->bias = bias;
  const auto prop = kind == Kind::forward ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const dnnl::convolution_forward::desc forward_desc =
      has_bias && kind == Kind::forward
          ? dnnl::convolution_forward::desc(prop, algorithm, x, weight, bias, y, strides, dilations, before, after)
          : dnnl::convolution_forward::desc(prop, algorithm, x, weight, y, strides, dilations, before, after);
  const dnnl::convolution_forward::primitive_desc forward(forward_desc, attributes, engine);
  if (kind == Kind::backward_data) {
    const dnnl::convolution_backward_data::primitive_desc desc(
        dnnl::convolution_backward_data::desc(algorithm, x, weight, y, strides, dilations, before, after), attributes,
        engine, forward);
    made->primitive = dnnl::convolution_backward_data(desc);
    made->weight = desc.weights_desc();
    made->scratchpad = desc.scratchpad_desc();
  } else if (kind == Kind::backward_weights) {
    const auto backward_desc =
        has_bias
            ? dnnl::convolution_backward_weights::desc(algorithm, x, weight, bias, y, strides, dilations, before, after)
            : dnnl::convolution_backward_weights::desc(algorithm, x, weight, y, strides, dilations, before, after);
    dnnl::convolution_backward_weights::primitive_desc desc(backward_desc, attributes, engine, forward);
    avoid_overrun(desc, c);
    made->primitive = dnnl::convolution_backward_weights(desc);
    made->weight = desc.diff_weights_desc();
    made->scratchpad = desc.scratchpad_desc();
  } else {
    made->primitive = dnnl::convolution_forward(forward);
    made->weight = forward.weights_desc();
    made->scratchpad = forward.scratchpad_desc();
  }
  // The reorder that adds the compensation for signed sources only reads oneDNN's own plain layout.
  made->weight_as_given = integer ? memory::desc(weight_dims(c), weight_type, c.groups == 1 ? tag::oihw : tag::goihw)
                                  : ohwi(c, weight_type);
  made->reorders = made->weight != made->weight_as_given;
  if (made->reorders) {
    const bool outward = kind == Kind::backward_weights;
    made->reorder =
        dnnl::reorder(dnnl::reorder::primitive_desc(engine, outward ? made->weight : made->weight_as_given, engine,
                                                    outward ? made->weight_as_given : made->weight));
  }
  ++library().created;
  return made;
}

std::shared_ptr<const Primitive> find_or_make(const PrimitiveKey& key, Kind kind, const Convolution& c, bool has_bias,
                                              bool winograd = false) {
  Library& lib = library();
  const std::lock_guard lock(lib.mutex);
  if (const auto* found = lib.primitives.find(key)) return *found;
  if (winograd) {
    try {
      return lib.primitives.insert(key, make(kind, c, has_bias, true), 1);
    } catch (const dnnl::error&) {  // it has none for this shape
    }
  }
  return lib.primitives.insert(key, make(kind, c, has_bias, false), 1);
}

const void* address(const Tensor& t) { return detail::Access::storage(t)->data(); }

memory at(const memory::desc& desc, const void* data) { return {desc, library().engine, const_cast<void*>(data)}; }

Tensor bytes(size_t count) { return Tensor::empty({static_cast<int64_t>(count)}, DType::uint8); }

// While alive, oneDNN uses the calling thread alone: in what it makes and in what it runs.
class OneThread {
 public:
  OneThread() { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

constexpr size_t kSmallReorder = 1 << 18;  // bytes; waking threads costs more than they save

void run_reorder(const Primitive& p, const void* from, void* to, bool outward) {
  std::optional<OneThread> alone;
  if (p.weight.get_size() < kSmallReorder) alone.emplace();
  memory source = at(outward ? p.weight : p.weight_as_given, from);
  memory destination = at(outward ? p.weight_as_given : p.weight, to);
  p.reorder.execute(stream(), source, destination);
  stream().wait();
}

Tensor ohwi_to_oihw(const Convolution& c, const Tensor& weight) {
  const int64_t in = c.in / c.groups, positions = c.kernel_h * c.kernel_w;
  Tensor result = Tensor::empty(weight.shape(), DType::int8);
  const int8_t* from = weight.data<int8_t>();
  auto* to = result.mutable_data<int8_t>();
  for (int64_t o = 0; o < c.out; ++o)
    for (int64_t k = 0; k < positions; ++k)
      for (int64_t i = 0; i < in; ++i) to[(o * in + i) * positions + k] = from[(o * positions + k) * in + i];
  return result;
}

Tensor reorder_weight(const Primitive& p, const Convolution& c, const Tensor& weight) {
  const Tensor given = weight.dtype() == DType::int8 ? ohwi_to_oihw(c, weight) : weight;
  if (!p.reorders) return given;
  Tensor values = bytes(p.weight.get_size());
  run_reorder(p, address(given), values.mutable_data<uint8_t>(), false);
  return values;
}

// The weights as the primitive wants them; with `keep`, until their values change.
Tensor prepared_weight(const Primitive& p, const PrimitiveKey& key, const Convolution& c, const Tensor& weight,
                       bool keep) {
  if (!p.reorders && weight.dtype() != DType::int8) return weight;
  if (!keep) return reorder_weight(p, c, weight);
  const auto& storage = detail::Access::storage(weight);
  const WeightKey weight_key{storage->id(), key};
  Library& lib = library();
  const std::lock_guard lock(lib.mutex);
  if (const auto* found = lib.weights.find(weight_key); found != nullptr && found->version == storage->version())
    return found->values;
  lib.weights.erase(weight_key);  // first, so that the new values may take the old ones' memory
  return lib.weights
      .insert(weight_key, {storage->version(), reorder_weight(p, c, weight)}, static_cast<int64_t>(p.weight.get_size()))
      .values;
}

using Arguments = std::unordered_map<int, memory>;

void execute(const Primitive& p, Arguments arguments) {
  Tensor scratchpad;
  if (p.scratchpad.get_size() > 0) {
    scratchpad = bytes(p.scratchpad.get_size());
    arguments.emplace(DNNL_ARG_SCRATCHPAD, at(p.scratchpad, address(scratchpad)));
  }
  p.primitive.execute(stream(), arguments);
  stream().wait();
}

// oneDNN's own errors say little: which convolution it was is what a user needs.
template <class F>
void explained(const char* what, const Convolution& c, const F& f) {
  try {
    f();
  } catch (const dnnl::error& error) {
    fail(what, ": oneDNN refused input [", c.batch, ",", c.height, ",", c.width, ",", c.in, "], kernel ", c.kernel_h,
         "x", c.kernel_w, ", ", c.out, " output channels, ", c.groups, " groups: ", error.what());
  }
}

void forward(Kind kind, const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, bool keep,
             void* y) {
  const PrimitiveKey key = key_of(kind, c, bias.defined());
  const auto p = find_or_make(key, kind, c, bias.defined());
  const Tensor prepared = prepared_weight(*p, key, c, weight, keep);
  Arguments arguments{{DNNL_ARG_SRC, at(p->x, address(x))},
                      {DNNL_ARG_WEIGHTS, at(p->weight, address(prepared))},
                      {DNNL_ARG_DST, at(p->y, y)}};
  if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, at(p->bias, address(bias)));
  execute(*p, std::move(arguments));
}

}  // namespace

void convolution_forward(const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                         bool keep) {
  explained("conv2d", c, [&] { forward(Kind::forward, c, x, weight, bias, keep, y.mutable_data<float>()); });
}

void convolution_int8(const Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc) {
  const Kind kind = x.dtype() == DType::uint8 ? Kind::uint8_forward : Kind::int8_forward;
  explained("conv2d (int8)", c, [&] { forward(kind, c, x, weight, {}, keep, acc.mutable_data<int32_t>()); });
}

namespace {

// Winograd's F(4x4, 3x3) (Lavin & Gray, 1509.09308) multiplies a quarter as often; with few channels its transforms
// cost more than that saves. Measured, its rounding errors are 2.4 times those of direct sums (7e-7 of the result's
// deviation at 64 channels).
bool suits_winograd(const Convolution& c) {
  constexpr int64_t kLeastChannels = 32;
  return isa() == Isa::avx512 && c.groups == 1 && c.kernel_h == 3 && c.kernel_w == 3 && c.stride_h == 1 &&
         c.stride_w == 1 && c.dilation_h == 1 && c.dilation_w == 1 && c.padding_h == 1 && c.padding_w == 1 &&
         c.in % kBlock == 0 && c.out % kBlock == 0 && c.in >= kLeastChannels && c.out >= kLeastChannels;
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

}  // namespace

int64_t slice_images(const Convolution& c) {
  constexpr int64_t kFloats = 1 << 16;  // of an image in or out: what a slice touches stays in a second-level cache
  constexpr int64_t kLeastFloats = 1 << 14;  // out: a block of batch normalisation
  constexpr int64_t kWeights = 1 << 21;      // floats of all slices' gradients together, unless there are few slices
  constexpr int64_t kFewSlices = 8;
  const int64_t in = c.height * c.width * c.in, out = c.out_height * c.out_width * c.out;
  const int64_t weights = c.out * (c.in / c.groups) * c.kernel_h * c.kernel_w;
  const int64_t most_slices = std::max(kFewSlices, kWeights / weights);
  const int64_t image = std::max(in, out);
  // Winograd's convolutions transform their weights in every call.
  const int64_t floats = suits_winograd(c) ? std::clamp(c.batch * image / kFewSlices, kFloats, 2 * kFloats) : kFloats;
  const auto images = static_cast<uint64_t>(std::max({int64_t{1}, floats / image, kLeastFloats / out}));
  return static_cast<int64_t>(std::max(
      std::bit_floor(images), std::bit_ceil(static_cast<uint64_t>((c.batch + most_slices - 1) / most_slices))));
}

struct ConvolutionSlices::State {
  Convolution geometry;  // of a whole slice
  int64_t batch;
  std::shared_ptr<const Primitive> whole, rest;  // the last slice may be smaller
  Tensor whole_weight, rest_weight;              // as the primitives want them
  int64_t each = 0;                              // floats of a slice's gradients: weight, then bias
  Tensor gradients;

  int64_t count() const { return (batch + geometry.batch - 1) / geometry.batch; }
  int64_t images(int64_t slice) const { return std::min(geometry.batch, batch - slice * geometry.batch); }
  bool is_whole(int64_t slice) const { return images(slice) == geometry.batch; }
  const Primitive& primitive(int64_t slice) const { return is_whole(slice) ? *whole : *rest; }
  const Tensor& weight(int64_t slice) const { return is_whole(slice) ? whole_weight : rest_weight; }
  int64_t weight_floats() const { return static_cast<int64_t>(whole->weight.get_size() / sizeof(float)); }
};

ConvolutionSlices::ConvolutionSlices(Kind kind, const Convolution& c, const Tensor& weight, const Options& o)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  const auto of = [&](int64_t images, std::shared_ptr<const Primitive>& primitive, Tensor& prepared) {
    Convolution slice = c;
    slice.batch = images;
    const auto of_onednn = kind == Kind::forward         ? onednn::Kind::forward
                           : kind == Kind::backward_data ? onednn::Kind::backward_data
                                                         : onednn::Kind::backward_weights;
    const bool winograd = suits_winograd(c);
    const PrimitiveKey key = key_of(of_onednn, slice, o.bias, 1, winograd);
    const OneThread alone;
    primitive = find_or_make(key, of_onednn, slice, o.bias, winograd);
    if (kind != Kind::backward_weights) prepared = prepared_weight(*primitive, key, slice, weight, o.keep);
  };
  explained("conv2d", c, [&] {
    state.batch = c.batch;
    state.geometry = c;
    state.geometry.batch = std::min(slice_images(c), c.batch);
    const int64_t rest = c.batch % state.geometry.batch;
    of(state.geometry.batch, state.whole, state.whole_weight);
    if (rest != 0) of(rest, state.rest, state.rest_weight);
  });
  if (kind != Kind::backward_weights) return;
  constexpr int64_t kLine = 16;  // slices on cache lines of their own
  state.each = (state.weight_floats() + (o.bias ? c.out : 0) + kLine - 1) / kLine * kLine;
  state.gradients = Tensor::empty({state.count(), state.each});
}

ConvolutionSlices::~ConvolutionSlices() = default;

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

}  // namespace

void ConvolutionSlices::forward(int64_t slice, const float* x, float* y) const {
  const Primitive& p = state_->primitive(slice);
  Tensor held;
  const float* from = blocked(p, p.x, x, held);
  unblocked(p, p.y, y, [&](float* to) {
    execute(p, {{DNNL_ARG_SRC, at(p.x, from)},
                {DNNL_ARG_WEIGHTS, at(p.weight, address(state_->weight(slice)))},
                {DNNL_ARG_DST, at(p.y, to)}});
  });
}

void ConvolutionSlices::backward_data(int64_t slice, const float* dy, float* dx) const {
  const Primitive& p = state_->primitive(slice);
  Tensor held;
  const float* from = blocked(p, p.y, dy, held);
  unblocked(p, p.x, dx, [&](float* to) {
    execute(p, {{DNNL_ARG_DIFF_DST, at(p.y, from)},
                {DNNL_ARG_WEIGHTS, at(p.weight, address(state_->weight(slice)))},
                {DNNL_ARG_DIFF_SRC, at(p.x, to)}});
  });
}

void ConvolutionSlices::backward_weights(int64_t slice, const float* x, const float* dy) {
  const Primitive &p = state_->primitive(slice), &whole = *state_->whole;
  float* dweight = static_cast<float*>(const_cast<void*>(address(state_->gradients))) + slice * state_->each;
  Tensor held_x, held_dy;
  const float *from_x = blocked(p, p.x, x, held_x), *from_dy = blocked(p, p.y, dy, held_dy);
  const auto run = [&](const void* weights) {
    Arguments arguments{{DNNL_ARG_SRC, at(p.x, from_x)},
                        {DNNL_ARG_DIFF_DST, at(p.y, from_dy)},
                        {DNNL_ARG_DIFF_WEIGHTS, at(p.weight, weights)}};
    if (p.has_bias) arguments.emplace(DNNL_ARG_DIFF_BIAS, at(p.bias, dweight + state_->weight_floats()));
    execute(p, std::move(arguments));
  };
  if (p.weight == whole.weight) return run(dweight);
  const Tensor raw = bytes(p.weight.get_size());
  run(address(raw));
  memory from = at(p.weight, address(raw)), to = at(whole.weight, dweight);
  dnnl::reorder(from, to).execute(stream(), from, to);
  stream().wait();
}

void ConvolutionSlices::finish(Tensor& dweight, Tensor& dbias) const {
  const Primitive& p = *state_->whole;
  const int64_t slices = count(), each = state_->each;
  Tensor sum = Tensor::empty({each});
  const float* parts = state_->gradients.data<float>();
  float* total = sum.mutable_data<float>();
  const int64_t used = state_->weight_floats() + (p.has_bias ? state_->geometry.out : 0);
  parallel_for(used, 1 << 12, [&](int64_t begin, int64_t end) {
    std::copy(parts + begin, parts + end, total + begin);
    for (int64_t slice = 1; slice < slices; ++slice) {
      const float* part = parts + slice * each;
      for (int64_t i = begin; i < end; ++i) total[i] += part[i];
    }
  });
  float* out = dweight.mutable_data<float>();
  if (p.reorders)
    run_reorder(p, total, out, true);
  else
    std::copy_n(total, dweight.elements(), out);
  if (p.has_bias) std::copy_n(total + state_->weight_floats(), dbias.elements(), dbias.mutable_data<float>());
}

void convolution_backward_weights(const Convolution& c, const Tensor& x, const Tensor& dy, Tensor& dweight,
                                  Tensor& dbias) {
  ConvolutionSlices slices(ConvolutionSlices::Kind::backward_weights, c, dweight, {.bias = dbias.defined()});
  const int64_t x_image = c.height * c.width * c.in, y_image = c.out_height * c.out_width * c.out;
  const float *from = x.data<float>(), *gradient = dy.data<float>();
  explained("conv2d backward", c, [&] {
    parallel_for(slices.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        slices.backward_weights(i, from + slices.first(i) * x_image, gradient + slices.first(i) * y_image);
    });
    slices.finish(dweight, dbias);
  });
}

void convolution_forward_sliced(const Convolution& c, const Tensor& x, const Tensor& weight, Tensor& y) {
  const ConvolutionSlices slices(ConvolutionSlices::Kind::forward, c, weight, {});
  const int64_t x_image = c.height * c.width * c.in, y_image = c.out_height * c.out_width * c.out;
  const float* from = x.data<float>();
  float* to = y.mutable_data<float>();
  explained("conv2d", c, [&] {
    parallel_for(slices.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        slices.forward(i, from + slices.first(i) * x_image, to + slices.first(i) * y_image);
    });
  });
}

void convolution_backward_data(const Convolution& c, const Tensor& dy, const Tensor& weight, Tensor& dx, bool keep) {
  const ConvolutionSlices slices(ConvolutionSlices::Kind::backward_data, c, weight, {.keep = keep});
  const int64_t x_image = c.height * c.width * c.in, y_image = c.out_height * c.out_width * c.out;
  const float* gradient = dy.data<float>();
  float* to = dx.mutable_data<float>();
  explained("conv2d backward", c, [&] {
    parallel_for(slices.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        slices.backward_data(i, gradient + slices.first(i) * y_image, to + slices.first(i) * x_image);
    });
  });
}

void gemm(const Gemm& g, const float* a, const float* b, float* c) {
  if (g.rows == 0 || g.columns == 0) return;
  if (g.depth == 0) {
    if (!g.accumulate) std::fill_n(c, g.rows * g.columns, 0.0f);
    return;
  }
  const int64_t a_step = g.transpose_a ? g.rows : g.depth, b_step = g.transpose_b ? g.depth : g.columns;
  const auto rows = [&](int64_t begin, int64_t end) {
    const dnnl::status status = dnnl::sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', end - begin,
                                            g.columns, g.depth, 1, a + begin * (g.transpose_a ? 1 : g.depth), a_step, b,
                                            b_step, g.accumulate ? 1 : 0, c + begin * g.columns, g.columns);
    check(status == dnnl::status::success, "matmul: oneDNN refused [", g.rows, ",", g.depth, "] x [", g.depth, ",",
          g.columns, "]");
  };
  if (isa() == Isa::avx512) return rows(0, g.rows);
  // With AVX and AVX2 its sums depend on how it splits the work among threads, so the split is ours.
  constexpr int64_t kRows = 64;
  parallel_for((g.rows + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
    const OneThread alone;
    for (int64_t i = begin; i < end; ++i) rows(i * kRows, std::min((i + 1) * kRows, g.rows));
  });
}

Isa isa() {
  static const Isa chosen = [] {
    const auto effective = static_cast<int>(dnnl::get_effective_cpu_isa());
    const auto has = [&](dnnl::cpu_isa wanted) {
      return (effective & static_cast<int>(wanted)) == static_cast<int>(wanted);
    };
    if (has(dnnl::cpu_isa::avx512_core)) return Isa::avx512;
    return has(dnnl::cpu_isa::avx2) ? Isa::avx2 : Isa::baseline;
  }();
  return chosen;
}

bool has_vnni() {
  static const bool vnni =
      (static_cast<int>(dnnl::get_effective_cpu_isa()) & static_cast<int>(dnnl::cpu_isa::avx512_core_vnni)) ==
      static_cast<int>(dnnl::cpu_isa::avx512_core_vnni);
  return vnni;
}

int64_t primitives_created() { return library().created; }

}  // namespace sinter::onednn
