// ELF: which architecture a program is for, and the smallest programs of each, to find out which ones run here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::sandbox {

/// How much of a file architecture_of() looks at.
inline constexpr std::size_t kElfHead = 64;

/// As Go and OCI call it: "arm64"; nothing for what is no ELF file or of no architecture that we know.
[[nodiscard]] std::optional<std::string_view> architecture_of(std::string_view head);

/// A static program that calls exit(0) and nothing else; empty for an architecture that we know none of.
[[nodiscard]] std::string exit_program(std::string_view architecture);

/// Architectures that exit_program() knows, the most used ones first.
[[nodiscard]] const std::vector<std::string_view>& known_architectures();

}  // namespace slipway::sandbox
