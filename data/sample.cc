#include "sample.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "../core/autograd.h"

namespace sinter::data {

namespace {

template <class Map>
std::string names_of(const Map& map) {
  std::vector<std::string> names;
  for (const auto& entry : map) names.push_back('"' + entry.first + '"');
  return names.empty() ? "none" : joined(names);
}

template <class Map, class Other>
const auto& find(const Map& map, const std::string& name, const char* owner, const char* kind, const Other& others,
                 const char* use) {
  const auto found = map.find(name);
  if (found != map.end()) return found->second;
  fail(owner, " has no ", kind, " \"", name, "\" (there are: ", names_of(map), ")",
       others.count(name) > 0 ? text("; ", use, "(\"", name, "\") has it") : std::string());
}

template <class T>
void copy_into(Tensor& all, size_t i, const Tensor& one) {
  const auto count = static_cast<size_t>(one.elements());
  if (count > 0) std::memcpy(sinter::detail::Access::write<T>(all) + i * count, one.data<T>(), count * sizeof(T));
}

// What `get` gives of every sample, with `shape` for each, one behind the other.
template <class Get>
Tensor stack(const std::vector<Sample>& samples, const std::string& name, const Shape& shape, const Get& get) {
  const Tensor& first = get(samples[0]);
  std::vector<int64_t> sizes{static_cast<int64_t>(samples.size())};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  Tensor all = Tensor::empty(Shape(std::span<const int64_t>(sizes)), first.dtype());
  for (size_t i = 0; i < samples.size(); ++i) {
    const Tensor& one = get(samples[i]);
    check(one.defined() && one.spec() == first.spec(), "collate: ", name, " of sample ", samples[i].index, " is ",
          one.defined() ? to_string(one.spec()) : "undefined", ", that of sample ", samples[0].index, " ", first.spec(),
          ": a batch needs them of one shape and type, or a collate of your own");
    switch (one.dtype()) {
      case DType::float32:
        copy_into<float>(all, i, one);
        break;
      case DType::int8:
        copy_into<int8_t>(all, i, one);
        break;
      case DType::uint8:
        copy_into<uint8_t>(all, i, one);
        break;
      case DType::int16:
        copy_into<int16_t>(all, i, one);
        break;
      case DType::int32:
        copy_into<int32_t>(all, i, one);
        break;
      case DType::int64:
        copy_into<int64_t>(all, i, one);
        break;
    }
  }
  return all;
}

void check_names(const std::vector<Sample>& samples, const char* kind, Tensors Sample::*tensors) {
  const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
  const Tensors& first = samples[0].*tensors;
  for (const Sample& sample : samples) {
    const Tensors& other = sample.*tensors;
    check(std::equal(first.begin(), first.end(), other.begin(), other.end(), same_name), "collate: ", kind,
          " of sample ", sample.index, " are ", names_of(other), ", those of sample ", samples[0].index, " ",
          names_of(first));
    for (const auto& [name, tensor] : other)
      check(tensor.defined(), "collate: \"", name, "\" of sample ", sample.index, " is undefined");
  }
}

}  // namespace

const Tensor& Sample::operator[](const std::string& target) const {
  return find(targets, target, "sample", "target", lists, "list");
}

const Tensor& Sample::list(const std::string& name) const {
  return find(lists, name, "sample", "list", targets, "operator[]");
}

const Tensor& Batch::operator[](const std::string& target) const {
  return find(targets, target, "batch", "target", lists, "list");
}

const std::vector<Tensor>& Batch::list(const std::string& name) const {
  return find(lists, name, "batch", "list", targets, "operator[]");
}

Batch collate(const std::vector<Sample>& samples) {
  check(!samples.empty(), "collate: there are no samples");
  check_names(samples, "targets", &Sample::targets);
  check_names(samples, "lists", &Sample::lists);
  const Tensor& image = samples[0].image;
  check(image.defined() && image.rank() >= 1 && image.size(0) == 1, "collate: the image of sample ", samples[0].index,
        " is ", image.defined() ? to_string(image.spec()) : "undefined", ", expected float32 [1,H,W,C]");
  Batch batch;
  batch.images = stack(samples, "the image", Shape(std::span(image.shape().begin() + 1, image.shape().end())),
                       [](const Sample& sample) -> const Tensor& { return sample.image; });
  batch.labels = Tensor::empty({static_cast<int64_t>(samples.size())}, DType::int64);
  auto* labels = sinter::detail::Access::write<int64_t>(batch.labels);
  for (size_t i = 0; i < samples.size(); ++i) {
    labels[i] = samples[i].label;
    batch.samples.push_back(samples[i].index);
    for (const auto& [name, tensor] : samples[i].lists) batch.lists[name].push_back(tensor);
  }
  for (const auto& [name, tensor] : samples[0].targets)
    batch.targets[name] =
        stack(samples, '"' + name + '"', tensor.shape(),
              [&name = name](const Sample& sample) -> const Tensor& { return sample.targets.find(name)->second; });
  return batch;
}

}  // namespace sinter::data
