#include "onednn_primitive.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string_view>

#include "autograd.h"
#include "lru_cache.h"
#include "one_thread.h"
#include "parallel.h"

namespace sinter::onednn {

namespace {

using dnnl::memory;
using Dims = memory::dims;

using WeightKey = std::pair<uint64_t, PrimitiveKey>;  // storage

struct ReorderedWeight {
  std::weak_ptr<const Storage> storage;
  Storage::Stamp stamp;
  Tensor values;
};

// Of a primitive with its reorder, mostly code. Measured with oneDNN 2.6.3: 25 to 126 KiB, the most with AVX-512 and
// kernels of 7x7 and more.
constexpr int64_t kPrimitiveBytes = 128 << 10;

struct Library {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::mutex mutex;
  LruCache<PrimitiveKey, std::shared_ptr<const Primitive>> primitives{256 << 20};
  LruCache<WeightKey, ReorderedWeight> weights{1 << 30};
  int64_t live_weights = 0;  // bytes that were left when those of dead storages were last dropped
  std::atomic<int64_t> created{0};

  // oneDNN's own cache, the process's, would keep what is dropped here.
  Library() { dnnl::set_primitive_cache_capacity(0); }
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

Dims weight_dims(const Convolution& c) {
  if (c.groups == 1) return {c.out, c.in, c.kernel_h, c.kernel_w};
  return {c.groups, c.out / c.groups, c.in / c.groups, c.kernel_h, c.kernel_w};
}

// OHWI, or IHWO where it is transposed, as oneDNN's logical [g]oihw with strides.
memory::desc user_weight(const Convolution& c, memory::data_type type) {
  const bool transposed = c.transposed_weight;
  const int64_t last = (transposed ? c.out : c.in) / c.groups, first = (transposed ? c.in : c.out) / c.groups;
  const int64_t step = c.kernel_h * c.kernel_w * last;
  Dims strides{transposed ? 1 : step, transposed ? step : 1, c.kernel_w * last, last};
  if (c.groups > 1) strides.insert(strides.begin(), first * step);
  return {weight_dims(c), type, strides};
}

memory::desc activation(int64_t n, int64_t h, int64_t w, int64_t channels, memory::data_type type,
                        bool blocked = false) {
  return {{n, channels, h, w}, type, blocked ? memory::format_tag::nChw16c : memory::format_tag::nhwc};
}

// oneDNN 2.6's AVX2 kernel for the weights' gradient of a strided 1x1 convolution runs past its scratchpad where there
// are fewer input channels than a vector holds: it damages memory with one thread, and its gradient is wrong with more.
void avoid_overrun(dnnl::convolution_backward_weights::primitive_desc& desc, const Convolution& c) {
  const bool strided = c.kernel_h == 1 && c.kernel_w == 1 && (c.stride_h > 1 || c.stride_w > 1);
  while (strided && c.in / c.groups < 8 && std::string_view(desc.impl_info_str()) == "jit_1x1:avx2")
    if (!desc.next_impl()) break;
}

// Images of one pixel as the rows of one image: oneDNN would take them one at a time.
Convolution with_rows(Convolution c) {
  if (c.height == 1 && c.width == 1 && c.out_height == 1 && c.out_width == 1 && c.kernel_h == 1 && c.kernel_w == 1 &&
      c.padding_h == 0 && c.padding_w == 0) {
    c.stride_h = c.stride_w = 1;
    c.height = c.out_height = c.batch;
    c.batch = 1;
  }
  return c;
}

std::shared_ptr<const Primitive> make(const PrimitiveKey& key) {
  expect_memory_for_code();
  const auto& [kind, given, has_bias, winograd] = key;
  const Convolution c = with_rows(given);
  const OneThread alone;
  using type = memory::data_type;
  using tag = memory::format_tag;
  const bool integer = kind == Kind::int8_forward || kind == Kind::uint8_forward;
  const type x_type = kind == Kind::int8_forward ? type::s8 : kind == Kind::uint8_forward ? type::u8 : type::f32;
  const type weight_type = integer ? type::s8 : type::f32;
  const auto x = activation(c.batch, c.height, c.width, c.in, x_type, winograd);
  const auto y = activation(c.batch, c.out_height, c.out_width, c.out, integer ? type::s32 : type::f32, winograd);
  const memory::desc weight(weight_dims(c), weight_type, tag::any);
  const memory::desc bias = has_bias ? memory::desc({c.out}, type::f32, tag::x) : memory::desc();
  // A kernel of one value has no dilation: oneDNN would compute with a large one.
  const Dims strides{c.stride_h, c.stride_w};
  const Dims dilations{c.kernel_h == 1 ? 0 : c.dilation_h - 1, c.kernel_w == 1 ? 0 : c.dilation_w - 1};
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
  made->weight_as_given = kind == Kind::int8_forward
                              ? memory::desc(weight_dims(c), weight_type, c.groups == 1 ? tag::oihw : tag::goihw)
                              : user_weight(c, weight_type);
  made->reorders = made->weight != made->weight_as_given;
  if (made->reorders) {
    const bool outward = kind == Kind::backward_weights;
    const dnnl::reorder::primitive_desc desc(engine, outward ? made->weight : made->weight_as_given, engine,
                                             outward ? made->weight_as_given : made->weight, attributes);
    made->reorder = dnnl::reorder(desc);
    made->reorder_scratchpad = desc.scratchpad_desc();
  }
  ++library().created;
  return made;
}

// All that oneDNN runs. A scratchpad of the primitive's own would be shared by the threads that run it at once.
void run(const dnnl::primitive& primitive, const memory::desc& scratchpad, Arguments arguments) {
  Tensor held;
  if (scratchpad.get_size() > 0) {
    held = bytes(scratchpad.get_size());
    arguments.emplace(DNNL_ARG_SCRATCHPAD, at(scratchpad, address(held)));
  }
  const OneThread alone;
  primitive.execute(stream(), arguments);
  stream().wait();
}

void run_reorder(const Primitive& p, const memory::desc& from_desc, const void* from, const memory::desc& to_desc,
                 const void* to) {
  run(p.reorder, p.reorder_scratchpad, {{DNNL_ARG_FROM, at(from_desc, from)}, {DNNL_ARG_TO, at(to_desc, to)}});
}

Tensor ohwi_to_oihw(const Convolution& c, const Tensor& weight) {
  const int64_t in = c.in / c.groups, positions = c.kernel_h * c.kernel_w;
  if (positions == 1) return weight;
  Tensor result = Tensor::empty(weight.shape(), DType::int8);
  const int8_t* from = weight.data<int8_t>();
  auto* to = result.mutable_data<int8_t>();
  const int64_t grain = std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(in * positions, 1));
  parallel_for(c.out, grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t k = 0; k < positions; ++k)
        for (int64_t i = 0; i < in; ++i) to[(o * in + i) * positions + k] = from[(o * positions + k) * in + i];
  });
  return result;
}

Tensor reorder_weight(const Primitive& p, const PrimitiveKey& key, const Tensor& weight, bool keep) {
  const Tensor given = key.kind == Kind::int8_forward ? ohwi_to_oihw(key.convolution, weight) : weight;
  if (!p.reorders) return given;
  Tensor values = bytes(p.weight.get_size(), keep);
  run_reorder(p, p.weight_as_given, address(given), p.weight, address(values));
  return values;
}

}  // namespace

void expect_memory_for_code() {
  constexpr size_t kMost = size_t{32} << 20;  // ten times what the largest primitive was seen to take
  void* room = ::mmap(nullptr, kMost, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(room != MAP_FAILED, "out of memory: there is no room for oneDNN's code");
  ::munmap(room, kMost);
}

std::shared_ptr<const Primitive> find_or_make(const PrimitiveKey& key) {
  Library& lib = library();
  const std::lock_guard lock(lib.mutex);
  if (const auto* found = lib.primitives.find(key)) return *found;
  PrimitiveKey direct = key;
  direct.winograd = false;
  if (key.winograd) {
    try {
      return lib.primitives.insert(key, make(key), kPrimitiveBytes);
    } catch (const dnnl::error&) {  // it has none for this shape
    }
  }
  return lib.primitives.insert(key, make(direct), kPrimitiveBytes);
}

Tensor prepared_weight(const Primitive& p, const PrimitiveKey& key, const Tensor& weight, bool keep) {
  if (!p.reorders && key.kind != Kind::int8_forward) return weight;
  if (!keep) return reorder_weight(p, key, weight, false);
  const auto& storage = detail::Access::storage(weight);
  const WeightKey weight_key{storage->id(), key};
  const Storage::Stamp stamp = storage->stamp();
  Library& lib = library();
  const std::lock_guard lock(lib.mutex);
  if (const auto* found = lib.weights.find(weight_key); found != nullptr && found->stamp == stamp) return found->values;
  lib.weights.erase(weight_key);  // first, so that the new values may take the old ones' memory
  // Nobody tells of a storage that dies, and computed weights are new ones in every step.
  if (lib.weights.total_cost() > 2 * lib.live_weights) {
    lib.weights.erase_if([](const ReorderedWeight& of) { return of.storage.expired(); });
    lib.live_weights = lib.weights.total_cost();
  }
  const Tensor values = reorder_weight(p, key, weight, true);
  return lib.weights.insert(weight_key, {storage, stamp, values}, values.bytes()).values;
}

void reorder_gradient(const Primitive& p, const float* from, float* to) {
  if (p.reorders)
    run_reorder(p, p.weight, from, p.weight_as_given, to);
  else
    std::memcpy(to, from, p.weight.get_size());
}

Tensor bytes(size_t count, bool kept) {
  const auto size = static_cast<int64_t>(count);
  return detail::Access::make(std::make_shared<Storage>(size, kept), {DType::uint8, {size}});
}

const void* address(const Tensor& t) { return detail::Access::storage(t)->data(); }

memory at(const memory::desc& desc, const void* data) { return {desc, library().engine, const_cast<void*>(data)}; }

void execute(const Primitive& p, Arguments arguments) { run(p.primitive, p.scratchpad, std::move(arguments)); }

int64_t primitives_created() { return library().created; }

CacheBytes cached() {
  Library& lib = library();
  const std::lock_guard lock(lib.mutex);
  return {lib.primitives.total_cost(), lib.weights.total_cost()};
}

CacheBytes limit_cache(const CacheBytes& most) {
  Library& lib = library();
  const std::lock_guard lock(lib.mutex);
  const CacheBytes before{lib.primitives.set_capacity(most.primitives), lib.weights.set_capacity(most.weights)};
  lib.live_weights = std::min(lib.live_weights, lib.weights.total_cost());
  return before;
}

}  // namespace sinter::onednn
