// Options of `docker build` that mean nothing here: those of the classic builder, and of buildx's own builders
// (spec/dockerfile.md section 12). What only asks for less or more of a resource, or for what is so anyway, is accepted
// and a note says that it changes nothing. What promises protection is refused: nobody shall believe to have it.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "cli/option.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

[[nodiscard]] const std::vector<Option>& compatibility_options();

/// Notes on the options that were given, in the order of the table. Errors are kUsage and name the option: a value that
/// docker would not take either, or something that must not be ignored.
[[nodiscard]] Result<std::vector<std::string>> compatibility_notes(const Arguments& arguments);

/// Attestations (--attest, --provenance, --sbom; BUILDX_NO_DEFAULT_ATTESTATIONS): that there shall be none is what
/// happens; asking for one is kUsage.
[[nodiscard]] Status check_attestations(const Arguments& arguments, const registry::Environment& environment);

}  // namespace slipway::cli
