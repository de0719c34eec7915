#pragma once
// What the fuzzers of files that are archives share: changes to sections, with the checksums of what comes out right,
// as nobody guesses 32 bits and the faults are behind them.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "../../core/error.h"
#include "../../core/serialize.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace sinter::fuzz {

inline Archive::Bytes bytes_of(const uint8_t* data, size_t size) {
  const auto* first = reinterpret_cast<const std::byte*>(data);
  return {first, first + size};
}

/// A file that has a path, as long as it is open.
class File {
 public:
  File(const uint8_t* data, size_t size) : file_(memfd_create("fuzz", 0)) {
    if (file_ < 0 || write(file_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~File() { close(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

/// One of the numbers that break things, or a few bits of the value.
template <class T>
T mutated(T value, std::minstd_rand& random) {
  if (random() % 2 == 0) {
    LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(&value), sizeof value, sizeof value);
    return value;
  }
  using Limits = std::numeric_limits<T>;
  std::vector<T> all{T{0}, T{1}, T(-1), Limits::max(), Limits::lowest()};
  if (value < Limits::max()) all.push_back(T(value + 1));
  if (value > Limits::lowest()) all.push_back(T(value - 1));
  if constexpr (std::is_floating_point_v<T>)
    all.insert(all.end(), {Limits::infinity(), Limits::quiet_NaN(), Limits::denorm_min(), value * 2});
  else if constexpr (sizeof(T) >= 4)
    all.insert(all.end(), {T{2}, T{127}, T{255}, T{1} << 15, T{1} << 20, T{1} << 30});
  return all[random() % all.size()];
}

template <class T>
Tensor mutated_elements(const Tensor& tensor, std::minstd_rand& random) {
  Tensor copy = tensor.clone();
  T* values = copy.mutable_data<T>();
  for (int i = 0; i < 2; ++i) {
    const auto at = static_cast<int64_t>(random()) % copy.elements();
    if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, float> || std::is_same_v<T, int32_t>)
      values[at] = mutated(values[at], random);
    if constexpr (sizeof(T) < 4) values[at] = static_cast<T>(random());
  }
  return copy;
}

inline void mutate_section(Archive& archive, const std::string& name, std::minstd_rand& random) {
  const auto as = [&](auto read, auto change) {
    try {
      change(read());
      return true;
    } catch (const Error&) {  // of another type
      return false;
    }
  };
  as([&] { return archive.integer(name); }, [&](int64_t v) { archive.set(name, mutated(v, random)); }) ||
      as([&] { return archive.real(name); }, [&](double v) { archive.set(name, mutated(v, random)); }) ||
      as([&] { return archive.text(name); },
         [&](std::string v) {
           const size_t size = v.size();
           v.resize(size + 4);
           v.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(v.data()), size, v.size()));
           archive.set(name, v);
         }) ||
      as([&] { return archive.bytes(name); },
         [&](Archive::Bytes v) {
           if (v.size() < 8) return;
           const size_t at = random() % (v.size() / 8) * 8;
           int64_t word = 0;
           std::memcpy(&word, v.data() + at, 8);
           word = word == INT64_MAX || word == INT64_MIN ? 0 : mutated(word, random);
           std::memcpy(v.data() + at, &word, 8);
           archive.set(name, v);
         }) ||
      as([&] { return archive.tensor(name); },
         [&](const Tensor& v) {
           if (v.elements() == 0) return;
           if (random() % 8 == 0) return archive.set(name, Tensor::zeros({v.elements()}, v.dtype()));
           switch (v.dtype()) {
             case DType::float32:
               return archive.set(name, mutated_elements<float>(v, random));
             case DType::int64:
               return archive.set(name, mutated_elements<int64_t>(v, random));
             case DType::int32:
               return archive.set(name, mutated_elements<int32_t>(v, random));
             case DType::int16:
               return archive.set(name, mutated_elements<int16_t>(v, random));
             case DType::int8:
               return archive.set(name, mutated_elements<int8_t>(v, random));
             case DType::uint8:
               return archive.set(name, mutated_elements<uint8_t>(v, random));
           }
         });
}

/// Changes one to three sections, or lets one stand for another; what is no archive becomes one of `seeds`.
inline size_t mutate(uint8_t* data, size_t size, size_t max_size, unsigned int seed, std::string_view kind,
                     const std::vector<Archive::Bytes>& seeds) {
  std::minstd_rand random(seed);
  const auto put = [&](const Archive::Bytes& bytes) {
    const size_t count = std::min(bytes.size(), max_size);
    std::memcpy(data, bytes.data(), count);
    return count;
  };
  try {
    Archive archive = Archive::decode(bytes_of(data, size), kind, INT64_MAX);
    const auto names = archive.names();
    for (unsigned int i = 0; i <= random() % 3 && !names.empty(); ++i)
      mutate_section(archive, names[random() % names.size()], random);
    return put(archive.encode());
  } catch (const Error&) {
    return put(seeds[random() % seeds.size()]);
  }
}

}  // namespace sinter::fuzz
