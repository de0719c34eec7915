#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <type_traits>

#include "error.h"
#include "tensor.h"

namespace sinter {

/// An element of a list was asked for that the list does not have.
class NoSuchElement : public Error {
 public:
  NoSuchElement(size_t at, size_t elements);
  size_t index, size;
};

namespace detail {

[[noreturn]] void no_such_element(size_t index, size_t size);

/// std::span, whose elements are checked: what a network does with the inputs it is given is up to its user.
template <class T>
class CheckedSpan {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using const_pointer = const T*;
  using reference = T&;
  using const_reference = const T&;
  using iterator = T*;
  using reverse_iterator = std::reverse_iterator<iterator>;
  static constexpr size_type extent = std::dynamic_extent;

  constexpr CheckedSpan() noexcept = default;
  template <std::contiguous_iterator It>
  requires std::is_convertible_v < std::remove_reference_t<std::iter_reference_t<It>>(*)
  [],
      T (*)[] > constexpr CheckedSpan(It first, size_type count) noexcept
      : data_(std::to_address(first)),
  size_(count) {}
  template <std::contiguous_iterator It, std::sized_sentinel_for<It> End>
  requires std::is_convertible_v < std::remove_reference_t<std::iter_reference_t<It>>(*)
  [],
      T (*)[] > &&(!std::is_convertible_v<End, size_type>)constexpr CheckedSpan(It first, End last)
      : data_(std::to_address(first)),
  size_(static_cast<size_type>(last - first)) {}
  /// Vectors, arrays, spans.
  template <class Range>
  requires(!std::is_base_of_v<CheckedSpan, std::remove_cvref_t<Range>>) && requires(Range& range) {
    { std::size(range) } -> std::convertible_to<size_type>;
    requires std::is_convertible_v < std::remove_pointer_t<decltype(std::data(range))>(*)
    [], T(*)[] > ;
  }
  constexpr CheckedSpan(Range&& range) : data_(std::data(range)), size_(std::size(range)) {}

  /// Throws NoSuchElement.
  constexpr reference operator[](size_type i) const {
    if (i >= size_) [[unlikely]]
      no_such_element(i, size_);
    return data_[i];
  }
  constexpr reference front() const { return (*this)[0]; }
  constexpr reference back() const { return (*this)[size_ - 1]; }
  constexpr pointer data() const noexcept { return data_; }
  constexpr size_type size() const noexcept { return size_; }
  constexpr size_type size_bytes() const noexcept { return size_ * sizeof(T); }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr iterator begin() const noexcept { return data_; }
  constexpr iterator end() const noexcept { return data_ + size_; }
  constexpr reverse_iterator rbegin() const noexcept { return reverse_iterator(end()); }
  constexpr reverse_iterator rend() const noexcept { return reverse_iterator(begin()); }

  constexpr std::span<T> first(size_type count) const { return subspan(0, count); }
  constexpr std::span<T> last(size_type count) const { return subspan(size_ - count, count); }
  constexpr std::span<T> subspan(size_type offset, size_type count = std::dynamic_extent) const {
    if (offset > size_) no_such_element(offset, size_);
    if (count == std::dynamic_extent) count = size_ - offset;
    if (count > size_ - offset) no_such_element(offset + count - 1, size_);
    return {data_ + offset, count};
  }

 private:
  pointer data_ = nullptr;
  size_type size_ = 0;
};

}  // namespace detail
}  // namespace sinter

/// The inputs of modules and operations: an index beyond the last is an Error instead of undefined behaviour.
template <>
class std::span<const sinter::Tensor> : public sinter::detail::CheckedSpan<const sinter::Tensor> {
 public:
  using CheckedSpan::CheckedSpan;
};
template <>
class std::span<const sinter::Spec> : public sinter::detail::CheckedSpan<const sinter::Spec> {
 public:
  using CheckedSpan::CheckedSpan;
};
