#pragma once
// Training steps for tests.

#include <memory>
#include <utility>
#include <vector>

#include "../../core/ops/cross_entropy.h"
#include "../../core/parameter.h"
#include "../../nn/optim/sgd.h"
#include "../support.h"

namespace sinter::test {

/// Images [count,16,16,3] of as many classes.
struct Batch {
  explicit Batch(int64_t count)
      : images(test::normal({count, 16, 16, 3})), labels(Tensor::arange(count, DType::int64)) {}
  Tensor images, labels;
};

/// step(i), which trains on the batches by turns, as where a last batch is smaller.
template <class F>
auto training(const F& forward, std::vector<NamedParameter> parameters, std::vector<Batch> batches) {
  // The parameters move, as copies would be others.
  return [forward, parameters = std::move(parameters), batches = std::move(batches),
          optimizer = std::make_shared<optim::SGD>(optim::SGDOptions{.lr = 0.01, .momentum = 0.9})](int step) {
    const TrainingMode mode(true);
    const Batch& batch = batches[step % batches.size()];
    cross_entropy(forward(batch.images), batch.labels).backward();
    optimizer->step(parameters);
    optim::zero_grad(parameters);
  };
}

}  // namespace sinter::test
