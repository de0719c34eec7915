#pragma once

#include <string>

#include "dataset.h"

namespace sinter::data {

/// Reads an IDX file (the format of MNIST and its relatives), plain or compressed with gzip: uint8, int8, int16, int32
/// or float32 of 1 to 6 axes. Throws Error, naming the file and the fault, for a file that is missing, unreadable, no
/// IDX, cut, corrupt, or longer than its header says; a header's sizes are not believed before the data has come.
Tensor read_idx(const std::string& path);

/// A dataset of one's own in MNIST's form: a file of images, uint8 [N,H,W] or [N,H,W,C], and one of labels, uint8 to
/// int32 [N]. Throws Error, naming the file, for anything else, for labels that are negative or no class, and where
/// there are not as many of both.
ImageDataset idx_images(const std::string& images, const std::string& labels, const ImageDatasetOptions& options = {});

}  // namespace sinter::data
