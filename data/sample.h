#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../core/tensor.h"

namespace sinter::data {

/// Tensors by name, of any types and shapes.
using Tensors = std::map<std::string, Tensor>;

/// One image, and what belongs to it. Names are the dataset's to choose; augmentations know some of them (augment.h).
struct Sample {
  Tensor image;       ///< float32 [1,H,W,C], normalised: a batch of one
  int64_t label = 0;  ///< where there are classes
  Tensors targets{};  ///< of one shape in all images: a mask, a value, further inputs of the network
  Tensors lists{};    ///< of any shape, as boxes are [n,4] where there are n things to see
  int64_t index = 0;  ///< within the dataset; a loader sets it

  /// A target. Throws Error when there is none of that name, naming those that are there.
  const Tensor& operator[](const std::string& target) const;
  /// Likewise one of the lists.
  const Tensor& list(const std::string& name) const;
};

/// Images with what belongs to them. It may be kept: the loader does not touch it again.
struct Batch {
  Tensor images;                                       ///< float32 [N,H,W,C]
  Tensor labels;                                       ///< int64 [N]
  int64_t index = 0;                                   ///< within the epoch
  std::vector<int64_t> samples{};                      ///< which images of the dataset these are, [N]
  Tensors targets{};                                   ///< [N,...]: those of the samples, one behind the other
  std::map<std::string, std::vector<Tensor>> lists{};  ///< as in the samples, one tensor an image, [N]

  /// A target. Throws Error when there is none of that name, naming those that are there.
  const Tensor& operator[](const std::string& target) const;
  /// Likewise one of the lists.
  const std::vector<Tensor>& list(const std::string& name) const;
};

/// The samples one behind the other. Throws Error when there are none, when images or targets of one name differ in
/// shape or type, and when one has a name that another has not.
Batch collate(const std::vector<Sample>& samples);

}  // namespace sinter::data
