#pragma once

#include <cstdint>
#include <string>

#include "../quant/program.h"

namespace sinter::bpu {

using quant::check_program;
using quant::Instruction;
using quant::Value;

/// A network as integers, for one march, as it is compiled, written to files and simulated. It gives the same integers
/// under every instruction set and number of threads, unless it has operations in float (quant::run_in_float): what is
/// computed from these is the same under one instruction set only.
struct Program : quant::IntegerProgram {
  std::string version;      ///< of the library that compiled it
  int64_t fingerprint = 0;  ///< of the prepared model's graph
};

/// Writes a program to a file: equal programs give equal bytes.
void save(const Program& program, const std::string& path);
/// Throws Error, naming the file and the fault, for a file that is damaged, of a newer version, or no program.
Program load_program(const std::string& path);

/// Bytes of weights, biases and rescaling integers.
int64_t parameter_bytes(const Program& program);
/// One line an instruction: name, operation, shape, weights; and which are in float, if any are.
std::string to_string(const Program& program);

}  // namespace sinter::bpu
