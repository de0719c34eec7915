#pragma once

#include <concepts>
#include <memory>

#include "../module.h"

namespace sinter::nn {

/// Modules one after another, named "0", "1", ...: `Sequential features{conv, nn::ReLU{}, pool};` It owns copies (or
/// what is moved in), and copying it copies them.
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class First, class... Rest>
  requires(std::derived_from<std::remove_cvref_t<First>, Module>&&...&&
               std::derived_from<std::remove_cvref_t<Rest>, Module>) &&
      (sizeof...(Rest) > 0 || !std::same_as<std::remove_cvref_t<First>, Sequential>)Sequential(First&& first,
                                                                                               Rest&&... rest) {
    add(std::forward<First>(first));
    (add(std::forward<Rest>(rest)), ...);
  }
  Sequential(const Sequential& other);
  Sequential(Sequential&&) noexcept = default;
  Sequential& operator=(const Sequential& other);
  Sequential& operator=(Sequential&&) noexcept = default;

  template <class M>
  requires std::derived_from<std::remove_cvref_t<M>, Module>
  void add(M&& module) {
    using Value = std::remove_cvref_t<M>;
    layers_.push_back(
        {std::make_unique<Value>(std::forward<M>(module)), [](const Module& m) -> std::unique_ptr<Module> {
           return std::make_unique<Value>(static_cast<const Value&>(m));
         }});
  }

  int64_t size() const { return static_cast<int64_t>(layers_.size()); }
  /// Throws Error when there is no such module.
  const Module& operator[](int64_t i) const;

  Tensor forward(const Tensor& x) const override;
  void members(MemberVisitor& visitor) const override;

 private:
  struct Layer {
    std::unique_ptr<Module> module;
    std::unique_ptr<Module> (*clone)(const Module&);
  };
  std::vector<Layer> layers_;
};

}  // namespace sinter::nn
