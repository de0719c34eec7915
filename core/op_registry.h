#pragma once
// Private: operations by name, for files that carry them.

#include <memory>
#include <string>

#include "op.h"

namespace sinter {

/// The operation of that name with these attributes, as `name()` and `fields()` of another one gave them. Throws Error
/// for a name that no operation of a network has, and for attributes that it refuses.
std::shared_ptr<const Op> make_op(const std::string& name, std::span<const Field> fields);

class Archive;
/// The sections of attributes, below `prefix`, and the attributes of such sections.
void save_fields(std::span<const Field> fields, Archive& archive, const std::string& prefix);
std::vector<Field> load_fields(const Archive& archive, const std::string& prefix);
/// The sections of an operation, below `prefix`, and the operation of such sections.
void save_op(const Op& op, Archive& archive, const std::string& prefix);
std::string load_op_name(const Archive& archive, const std::string& prefix);

}  // namespace sinter
