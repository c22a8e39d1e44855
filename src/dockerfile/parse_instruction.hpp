// From a statement to an instruction: the number of arguments, flags and what each instruction demands of them.
#pragma once

#include <string_view>
#include <variant>

#include "base/error.hpp"
#include "dockerfile/instruction.hpp"
#include "dockerfile/statement.hpp"

namespace slipway::dockerfile {

/// FROM, and the name behind AS.
struct StageHeader {
  From from;
  std::string name;  ///< lower case; empty when absent
};

using Parsed = std::variant<StageHeader, Instruction>;

/// Errors (kInvalidArgument): `dockerfile parse error on line N: …` with the texts of BuildKit.
[[nodiscard]] Result<Parsed> parse_instruction(const Statement& statement, std::string_view file_name);

}  // namespace slipway::dockerfile
