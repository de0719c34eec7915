#include "concat.h"

#include <utility>

#include "../autograd.h"
#include "../kernel/independent.h"
#include "runs.h"

namespace sinter {

namespace ops {

Specs Concat::infer(std::span<const Spec> x) const {
  check(!x.empty(), "concat: got no inputs, expected at least 1");
  const int axis = normalize_axis(attributes.axis, x[0].shape.rank(), "concat");
  int64_t size = 0;
  for (const Spec& spec : x) {
    const bool fits = spec.dtype == x[0].dtype && spec.shape.rank() == x[0].shape.rank() &&
                      spec.shape.with(axis, 0) == x[0].shape.with(axis, 0);
    check(fits, "concat: inputs are ", x[0], " and ", spec, ", expected one type and, but for axis ", axis,
          ", one shape");
    size += spec.shape[axis];
  }
  return {{x[0].dtype, x[0].shape.with(axis, size)}};
}

namespace {

// A part's memory, and what a run takes in it.
struct Part {
  std::byte* memory;
  int64_t bytes;
};

// Between parts and the whole of them, in whose memory a run of each lies beside those of the others: a few runs of all
// parts at a time, while they are in cache. Parts without memory are left out.
enum class Direction { join, separate };

// One value of 4 bytes of each of as many parts as there are indices beside the others': a loop that the compiler turns
// into one over vectors.
template <size_t... kPart>
void interleave(std::index_sequence<kPart...>, const std::vector<Part>& parts, std::byte* whole, int64_t begin,
                int64_t end) {
  constexpr size_t kBytes = 4, kParts = sizeof...(kPart);
  const std::byte* const from[] = {parts[kPart].memory...};
  SINTER_INDEPENDENT
  for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
    (std::memcpy(whole + (i * kParts + kPart) * kBytes, from[kPart] + i * kBytes, kBytes), ...);
}

void copy_parts(Direction direction, const std::vector<Part>& parts, std::byte* whole, int64_t step, int64_t count) {
  constexpr int64_t kGrain = 1 << 16, kBlock = 1 << 14;  // bytes a thread copies at least, and at a time
  if (step == 0) return;
  const int64_t at_once = std::max<int64_t>(1, kBlock / step);
  const bool values = direction == Direction::join && parts.size() > 1 && parts.size() < 5 &&
                      std::all_of(parts.begin(), parts.end(), [](const Part& p) { return p.bytes == 4; });
  parallel_for(count, std::max<int64_t>(1, kGrain / step), [&](int64_t begin, int64_t end) {
    if (values && parts.size() == 2) return interleave(std::make_index_sequence<2>(), parts, whole, begin, end);
    if (values && parts.size() == 3) return interleave(std::make_index_sequence<3>(), parts, whole, begin, end);
    if (values) return interleave(std::make_index_sequence<4>(), parts, whole, begin, end);
    for (int64_t first = begin; first < end; first += at_once) {
      const int64_t runs = std::min(at_once, end - first);
      std::byte* at = whole + first * step;
      for (const Part& part : parts) {
        if (part.memory != nullptr) {
          std::byte* own = part.memory + first * part.bytes;
          if (direction == Direction::join)
            copy_runs_here(own, part.bytes, at, step, part.bytes, runs);
          else
            copy_runs_here(at, step, own, part.bytes, part.bytes, runs);
        }
        at += part.bytes;
      }
    }
  });
}

}  // namespace

void Concat::forward(Inputs x, Outputs y, Context&) const {
  const int axis = normalize_axis(attributes.axis, y[0].rank(), "concat");
  std::vector<Part> parts;
  for (const Tensor& part : x) parts.push_back({detail::Access::storage(part)->data(), run_bytes(part.spec(), axis)});
  copy_parts(Direction::join, parts, detail::Access::storage(y[0])->data(), run_bytes(y[0].spec(), axis),
             runs(y[0].shape(), axis));
}

void Concat::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const int axis = normalize_axis(attributes.axis, dy[0].rank(), "concat");
  std::vector<Part> parts;
  for (size_t i = 0; i < dx.size(); ++i)
    parts.push_back({dx.wanted(i) ? detail::Access::storage(dx.create(i))->data() : nullptr,
                     run_bytes({DType::float32, context.input(i).shape}, axis)});
  copy_parts(Direction::separate, parts, detail::Access::storage(dy[0])->data(), run_bytes(dy[0].spec(), axis),
             runs(dy[0].shape(), axis));
}

}  // namespace ops

Tensor concat(const std::vector<Tensor>& x, int64_t axis) {
  return call_all(std::make_shared<const ops::Concat>(ConcatAttributes{axis}), x)[0];
}

}  // namespace sinter
