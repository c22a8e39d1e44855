// Expansion of whole instructions: which of their texts go through the environment, and how (spec section 1.4).
//
// RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK, ONBUILD and MAINTAINER are not here: the builder expands nothing in them.
// Errors are those of expand_word(); use at() (dockerfile.hpp) to add the line.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/expand.hpp"
#include "dockerfile/instruction.hpp"

namespace slipway::dockerfile {

/// `lookup` knows global ARGs and platform ARGs only.
[[nodiscard]] Result<From> expanded(const From& from, char escape, const Lookup& lookup);
/// One item at a time: the next one sees this one's value.
[[nodiscard]] Result<ArgItem> expanded(const ArgItem& item, char escape, const Lookup& lookup);
[[nodiscard]] Result<Env> expanded(const Env& env, char escape, const Lookup& lookup);
[[nodiscard]] Result<Label> expanded(const Label& label, char escape, const Lookup& lookup);
/// All but --from, which must not need expansion: `variable expansion is not supported for --from, …`.
[[nodiscard]] Result<Copy> expanded(const Copy& copy, char escape, const Lookup& lookup);
[[nodiscard]] Result<Workdir> expanded(const Workdir& workdir, char escape, const Lookup& lookup);
[[nodiscard]] Result<User> expanded(const User& user, char escape, const Lookup& lookup);
/// Words of a value count as several ports.
[[nodiscard]] Result<Expose> expanded(const Expose& expose, char escape, const Lookup& lookup);
[[nodiscard]] Result<Volume> expanded(const Volume& volume, char escape, const Lookup& lookup);
[[nodiscard]] Result<StopSignal> expanded(const StopSignal& signal, char escape, const Lookup& lookup);

}  // namespace slipway::dockerfile
