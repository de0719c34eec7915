#pragma once
// Private: operations by name, for files that carry them.

#include <memory>
#include <string>

#include "op.h"

namespace sinter {

/// The operation of that name with these attributes, as `name()` and `fields()` of another one gave them. Throws Error
/// for a name that is unknown, and for attributes that it refuses or does not have.
std::shared_ptr<const Op> make_op(const std::string& name, std::span<const Field> fields);
/// Throws Error unless the operation has taken these attributes as they are.
void check_fields(const Op& op, std::span<const Field> fields);
/// Throws Error unless `make_op` makes this operation from its name and fields.
void check_can_be_made(const Op& op);

class Archive;
/// The sections of attributes, below `prefix`, and the attributes of such sections.
void save_fields(std::span<const Field> fields, Archive& archive, const std::string& prefix);
std::vector<Field> load_fields(const Archive& archive, const std::string& prefix);
/// The sections of an operation, below `prefix`, and the operation of such sections.
void save_op(const Op& op, Archive& archive, const std::string& prefix);
std::string load_op_name(const Archive& archive, const std::string& prefix);

}  // namespace sinter
