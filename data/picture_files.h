#pragma once
// Private: the pictures in a folder.

#include <string>
#include <vector>

namespace sinter::data {

/// Paths of the files in a folder and those within it whose endings are a picture's, in the order of their names.
/// Throws Error, starting with `what`, when there is no such folder.
std::vector<std::string> picture_files(const std::string& folder, const char* what);
/// Names of the folders in a folder, in order.
std::vector<std::string> folders_of(const std::string& folder, const char* what);

}  // namespace sinter::data
