#pragma once
// Private: tensors as they were, for methods that change a model whole or not at all.

#include <vector>

#include "../../core/tensor.h"

namespace sinter::quant {

/// Puts the tensors that it was shown back when it ends, unless all was done.
class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    for (Change& change : changes_) change.tensor.copy_from(change.before);
  }

  /// Once for each, before it changes.
  void keep(const Tensor& tensor) { changes_.push_back({tensor, tensor.clone()}); }
  void done() { changes_.clear(); }

 private:
  struct Change {
    Tensor tensor, before;
  };
  std::vector<Change> changes_;
};

}  // namespace sinter::quant
